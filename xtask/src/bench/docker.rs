//! The cases with containers: a flow, and the same work by the `docker` command.

use std::path::Path;

use anyhow::{Result, bail};

use super::{measure::compare, report, subject::Subject};
use crate::{exec::capture, peers};

/// Tasks of the flow of [`wdir`].
const TASKS: usize = 5;

/// One `true` in a container.
pub fn single(binary: &Path, rounds: u32) -> Result<()> {
    let image = image()?;
    let subject = Subject::new(binary, &flow(&image, &["true"]))?;
    let floor = format!("docker run --rm {image} true");
    let (weft, docker) = compare(rounds, || subject.run(), || subject.shell(&floor))?;
    report::comparison(
        "docker-single: one `true` in a container",
        ("weft run", &weft),
        ("docker run --rm", &docker),
    );
    report::result("budget for the ratio", "above", "1.1");
    Ok(())
}

/// Five tasks of one directory with one image.
pub fn wdir(binary: &Path, rounds: u32) -> Result<()> {
    let image = image()?;
    let subject = Subject::new(binary, &flow(&image, &["true"; TASKS]))?;
    let floor = vec![format!("docker run --rm {image} true"); TASKS].join(" && ");
    let (weft, docker) = compare(rounds, || subject.run(), || subject.shell(&floor))?;
    report::comparison(
        &format!("docker-wdir: {TASKS} tasks in a WorkingDirectory"),
        ("weft run", &weft),
        (&format!("{TASKS} docker run --rm"), &docker),
    );
    report::result("budget for the ratio", "above", "0.5");
    Ok(())
}

/// A container that prints `lines` short lines: into the stored log, and into a file.
pub fn logs(binary: &Path, rounds: u32, lines: u64) -> Result<()> {
    let image = image()?;
    // Each round takes seconds; a few say enough.
    let rounds = rounds.min(3);
    let script = |lines: u64| format!("yes 'a short line' | head -n {lines}");
    let subject = Subject::new(binary, &flow(&image, &[&script(lines)]))?;
    let floor = format!("docker run --rm {image} sh -c \"{}\" > lines.txt", script(lines));
    let (weft, docker) = compare(rounds, || subject.run(), || subject.shell(&floor))?;
    report::comparison(
        &format!("docker-logs: a container prints {lines} lines"),
        ("weft run", &weft),
        ("docker run > file", &docker),
    );
    report::result("budget for the ratio", "above", "1.25: 0.8 of the throughput");

    let tenth = Subject::new(binary, &flow(&image, &[&script(lines / 10)]))?;
    let (few, _) = compare(1, || tenth.run(), || tenth.shell(":"))?;
    let peak = report::bytes(few.peak_rss().max);
    report::result("peak RSS with a tenth of the lines", &peak, "the same: memory is flat");
    Ok(())
}

/// The image to measure with.
fn image() -> Result<String> {
    let image = peers::docker::BUSYBOX.tag();
    if capture(peers::docker::docker().args(["image", "inspect", &image])).is_err() {
        bail!("expected the image {image}\nhint: cargo xtask peers up");
    }
    Ok(image)
}

/// A flow of shell tasks in containers: one by itself, several in a `WorkingDirectory`.
fn flow(image: &str, commands: &[&str]) -> String {
    let mut flow = "id: bench\nnamespace: weft.bench\ntasks:\n".to_owned();
    let indent = if commands.len() == 1 {
        "  "
    } else {
        flow.push_str("  - id: wdir\n    type: io.kestra.plugin.core.flow.WorkingDirectory\n    tasks:\n");
        "      "
    };
    for (index, command) in commands.iter().enumerate() {
        flow.push_str(&format!(
            "{indent}- id: task_{index}\n{indent}  type: io.kestra.plugin.scripts.shell.Commands\n{indent}  containerImage: \
             {image}\n{indent}  commands:\n{indent}    - \"{command}\"\n"
        ));
    }
    flow
}
