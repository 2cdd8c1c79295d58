//! Cases about the size of flows: checking, running, and many tasks at a time.

use std::{fmt::Write, path::Path};

use anyhow::Result;

use super::{measure::compare, report, subject::Subject};

/// Tasks of a small and of a large flow: what is linear takes ten times as long.
const SIZES: [usize; 2] = [1_000, 10_000];

/// Tasks of [`parallel`] at a time: as `xargs` is told.
const WIDTH: usize = 8;

/// Reading and checking flows of 1,000 and 10,000 tasks, against a run of the binary that reads nothing.
pub fn validate(binary: &Path, rounds: u32) -> Result<()> {
    for size in SIZES {
        let subject = Subject::new(binary, &returns(size))?;
        let (check, empty) = compare(
            rounds.min(10),
            || subject.weft(&["validate", "flow.yaml"]),
            || subject.weft(&["--version"]),
        )?;
        report::comparison(
            &format!("validate: {size} tasks"),
            ("weft validate", &check),
            ("weft --version", &empty),
        );
        let over = check.wall().median.saturating_sub(empty.wall().median);
        report::result(
            "over the floor",
            &report::time(over),
            "50 ms for 1,000 tasks, and ten times that for 10,000",
        );
    }
    Ok(())
}

/// Flows of 1,000 and 10,000 `Return` tasks, one after the other.
pub fn returns_in_a_row(binary: &Path, rounds: u32) -> Result<()> {
    let subjects = SIZES.map(|size| Subject::new(binary, &returns(size)));
    let [small, large] = subjects;
    let (small, large) = (small?, large?);
    let (many, few) = compare(rounds.min(5), || large.run(), || small.run())?;
    report::comparison("returns: 10,000 core tasks", ("10,000 tasks", &many), ("1,000 tasks", &few));
    let each = many.wall().median / SIZES[1] as u32;
    report::result("per task", &report::time(each), "ratio about 10: linear");
    report::result("peak RSS of 10,000", &report::bytes(many.peak_rss().max), "no budget");
    Ok(())
}

/// A hundred shell tasks in a `Parallel`, against `xargs -P` with as many at a time.
pub fn parallel(binary: &Path, rounds: u32) -> Result<()> {
    let mut flow = format!(
        "id: bench\nnamespace: weft.bench\ntasks:\n  - id: all\n    type: io.kestra.plugin.core.flow.Parallel\n    \
         concurrent: {WIDTH}\n    tasks:\n"
    );
    for index in 0..100 {
        let _ = writeln!(
            flow,
            "      - {{id: t{index}, type: io.kestra.plugin.scripts.shell.Commands, runner: PROCESS, commands: [\"sleep 0.02\"]}}"
        );
    }
    let subject = Subject::new(binary, &flow)?;
    let script = format!("seq 100 | xargs -P {WIDTH} -I{{}} sh -c 'sleep 0.02'");
    let (weft, xargs) = compare(rounds, || subject.run(), || subject.shell(&script))?;
    let title = format!("parallel: 100 shell tasks, {WIDTH} at a time");
    report::comparison(&title, ("weft run", &weft), ("xargs -P", &xargs));
    Ok(())
}

/// A flow of `Return` tasks, each reading the one before.
fn returns(count: usize) -> String {
    let mut flow = "id: bench\nnamespace: weft.bench\ntasks:\n".to_owned();
    for index in 0..count {
        let format = match index {
            0 => "start".to_owned(),
            index => format!("{{{{ outputs.t{}.value | length }}}}", index - 1),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            flow,
            "  - id: t{index}\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{format}\""
        );
    }
    flow
}
