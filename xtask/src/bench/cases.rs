//! The cases: a flow, the same work without an engine, and the budget.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;

use super::{
    measure::{Series, compare},
    report,
    subject::Subject,
};

/// Tasks of the flow of [`seq`].
const TASKS: u32 = 100;

/// One shell task against one shell; plugins are compiled before.
pub fn single(binary: &Path, rounds: u32) -> Result<()> {
    let subject = Subject::new(binary, &flow(&[":"]))?;
    let (weft, shell) = compare(rounds, || subject.run(), || subject.shell(":"))?;
    report::comparison("single: one shell task", ("weft run", &weft), ("sh -c :", &shell));
    report::result("over the floor", &over(&weft, &shell), "15 ms");
    Ok(())
}

/// One shell task right after the installation: plugins are compiled in it.
pub fn first_run(binary: &Path, rounds: u32) -> Result<()> {
    let mut subject = Subject::new(binary, &flow(&[":"]))?;
    let shell = Subject::new(binary, "")?;
    let (weft, shell) = compare(rounds, || subject.first_run(), || shell.shell(":"))?;
    report::comparison(
        "first-run: one shell task, nothing on disk",
        ("weft run", &weft),
        ("sh -c :", &shell),
    );
    report::result("over the floor", &over(&weft, &shell), "150 ms");
    Ok(())
}

/// A hundred shell tasks in a row against a hundred shells in a row.
pub fn seq(binary: &Path, rounds: u32) -> Result<()> {
    let subject = Subject::new(binary, &flow(&[":"; TASKS as usize]))?;
    let script = format!("i=0; while [ $i -lt {TASKS} ]; do sh -c :; i=$((i+1)); done");
    let (weft, shell) = compare(rounds, || subject.run(), || subject.shell(&script))?;
    report::comparison(&format!("seq: {TASKS} shell tasks"), ("weft run", &weft), ("shell loop", &shell));
    let each = weft.wall().median.saturating_sub(shell.wall().median) / TASKS;
    report::result("over the floor, per task", &report::time(each), "0.30 ms, and 15 ms for the process");
    Ok(())
}

/// A child that prints `lines` short lines: into the stored log, and into a file.
pub fn lines(binary: &Path, rounds: u32, lines: u64) -> Result<()> {
    // Each round takes seconds; a few say enough.
    let rounds = rounds.min(3);
    let script = |lines: u64| format!("yes 'a short line' | head -n {lines}");
    let all = Subject::new(binary, &flow(&[&script(lines)]))?;
    let to_file = format!("{} > lines.txt", script(lines));
    let (weft, shell) = compare(rounds, || all.run(), || all.shell(&to_file))?;
    report::comparison(
        &format!("lines: a child prints {lines} lines"),
        ("weft run", &weft),
        ("to a file", &shell),
    );
    let rate = lines as f64 / weft.wall().median.as_secs_f64();
    report::result("lines a second", &format!("{rate:.0}"), "500000");

    let tenth = Subject::new(binary, &flow(&[&script(lines / 10)]))?;
    let (few, _) = compare(1, || tenth.run(), || tenth.shell(":"))?;
    let peak = report::bytes(few.peak_rss().max);
    report::result("peak RSS with a tenth of the lines", &peak, "the same: memory is flat");
    Ok(())
}

/// The binary with all bundled plugins.
pub fn size(binary: &Path) -> Result<()> {
    println!("\nsize: {}", binary.display());
    report::result("bytes", &report::bytes(fs::metadata(binary)?.len()), "45 MB");
    Ok(())
}

fn over(weft: &Series, floor: &Series) -> String {
    let over: Duration = weft.wall().median.saturating_sub(floor.wall().median);
    report::time(over)
}

/// A flow of shell tasks run as processes of this machine, one a command.
fn flow(commands: &[&str]) -> String {
    let mut flow = "id: bench\nnamespace: weft.bench\ntasks:\n".to_owned();
    for (index, command) in commands.iter().enumerate() {
        flow.push_str(&format!(
            "  - id: task_{index}\n    type: io.kestra.plugin.scripts.shell.Commands\n    taskRunner:\n      type: \
             io.kestra.plugin.core.runner.Process\n    commands:\n      - \"{command}\"\n"
        ));
    }
    flow
}
