//! Flows of the documentation, as they are written, with images of the same names that were made here.

use serde_json::json;

use super::Daemon;
use crate::harness::Sandbox;

/// A tag of one of the test images; removed at the end, unless somebody had it before.
struct Tag<'a> {
    daemon: &'a Daemon,
    name: &'static str,
    mine: bool,
}

impl<'a> Tag<'a> {
    fn new(daemon: &'a Daemon, image: &str, name: &'static str) -> Self {
        let mine = daemon.try_docker(&["image", "inspect", name]).is_err();
        if mine {
            daemon.docker(&["tag", &format!("weft-test/{image}:1"), name]);
        }
        Self { daemon, name, mine }
    }
}

impl Drop for Tag<'_> {
    fn drop(&mut self) {
        if self.mine {
            let _ = self.daemon.try_docker(&["rmi", self.name]);
        }
    }
}

#[test]
fn python_in_a_container_of_a_private_image() {
    let Some(daemon) = Daemon::find() else { return };
    let _tag = Tag::new(&daemon, "python", "annageller/kestra:latest");
    let sandbox = Sandbox::new();
    // Without the clone, which needs a network: its script comes by `LocalFiles`.
    let flow = r#"
id: pythonInContainer
namespace: dev

tasks:
  - id: wdir
    type: io.kestra.core.tasks.flows.WorkingDirectory
    tasks:
      - id: scripts
        type: io.kestra.core.tasks.storages.LocalFiles
        inputs:
          scripts/etl_script.py: |
            open("result.csv", "w").write("a,b\n1,2\n")

      - id: gitPythonScripts
        type: io.kestra.plugin.scripts.python.Commands
        warningOnStdErr: false
        commands:
          - python scripts/etl_script.py
        runner: DOCKER
        docker:
          image: annageller/kestra:latest
          config: |
            {
              "auths": {
                  "https://index.docker.io/v1/": {
                      "username": "annageller",
                      "password": "{{ secret('DOCKER_PAT') }}"
                  }
              }
            }
      - id: output
        type: io.kestra.core.tasks.storages.LocalFiles
        outputs:
          - "*.csv"
          - "*.parquet"
"#;
    let path = sandbox.file("flow.yaml", flow);
    let mut command = sandbox.command();
    command.args(["run", path.to_str().unwrap(), "--json"]).env("SECRET_DOCKER_PAT", "czNjcmV0");
    let run = crate::harness::finish(&mut command).expect(0);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(json["taskRunList"][3]["outputs"]["uris"]["result.csv"].is_string(), "{json:#}");
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_rust_program_of_an_image() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    // The image has a program `etl`; here it is one of busybox that takes its name.
    let built = std::process::Command::new("docker")
        .args(["build", "--quiet", "--tag", "ghcr.io/kestra-io/rust:latest", "-"])
        .env("DOCKER_BUILDKIT", "0")
        .stdin(std::fs::File::open(sandbox.file(
            "Dockerfile",
            "FROM weft-test/busybox:1\nRUN echo '#!/bin/sh' > /bin/etl && echo 'echo a,b > out.csv' >> /bin/etl && chmod +x /bin/etl\n",
        ))
        .unwrap())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let flow = r#"
id: rustFlow
namespace: dev
tasks:
  - id: wdir
    type: io.kestra.core.tasks.flows.WorkingDirectory
    tasks:
      - id: rust
        type: io.kestra.plugin.scripts.shell.Commands
        commands:
          - etl
        docker:
          image: ghcr.io/kestra-io/rust:latest

      - id: downloadFiles
        type: io.kestra.core.tasks.storages.LocalFiles
        outputs:
          - "*.csv"
"#;
    let execution = sandbox.run_flow(flow).expect("SUCCESS");
    assert!(execution.outputs("downloadFiles")["uris"]["out.csv"].is_string());
    daemon.docker(&["rmi", "ghcr.io/kestra-io/rust:latest"]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn r_writes_a_file() {
    let Some(daemon) = Daemon::find() else { return };
    let _tag = Tag::new(&daemon, "r", "ghcr.io/kestra-io/rdata:latest");
    let sandbox = Sandbox::new();
    // Without `dplyr` and `arrow`, which the image here does not have.
    let flow = r#"
id: rCars
namespace: dev

tasks:
  - id: wdir
    type: io.kestra.core.tasks.flows.WorkingDirectory
    tasks:
      - id: r
        type: io.kestra.plugin.scripts.r.Script
        warningOnStdErr: false
        docker:
          image: ghcr.io/kestra-io/rdata:latest
        script: |
          data(mtcars) # Load mtcars data
          print(head(mtcars))
          final <- data.frame(avg_mpg = mean(mtcars$mpg))
          write.csv(final, "final.csv")

      - id: outputs
        type: io.kestra.core.tasks.storages.LocalFiles
        outputs:
          - "*.csv"
          - "*.parquet"
"#;
    let execution = sandbox.run_flow(flow).expect("SUCCESS");
    assert!(execution.outputs("outputs")["uris"]["final.csv"].is_string());
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn packages_are_installed_and_used() {
    let Some(daemon) = Daemon::find() else { return };
    let _tag = Tag::new(&daemon, "python", "python:3.11-slim");
    let sandbox = Sandbox::new();
    let flow = r#"
id: apiJSONtoMongoDB
namespace: dev

tasks:
  - id: wdir
    type: io.kestra.core.tasks.flows.WorkingDirectory
    tasks:
      - id: demoSQL
        type: io.kestra.core.tasks.storages.LocalFiles
        inputs:
          query.sql: |
            SELECT sum(total) as total, avg(quantity) as avg_quantity
            FROM sales;

      - id: inlineScript
        type: io.kestra.plugin.scripts.python.Script
        docker:
          image: python:3.11-slim
        beforeCommands:
          - pip install requests kestra > /dev/null
        warningOnStdErr: false
        script: |
          import requests
          import json
          from kestra import Kestra

          with open('query.sql', 'r') as input_file:
              sql = input_file.read()

          with open("output.json", "w") as output_file:
              json.dump({"version": requests.__version__}, output_file)

          Kestra.outputs({'receivedSQL': sql})

      - id: jsonFiles
        type: io.kestra.core.tasks.storages.LocalFiles
        outputs:
          - output.json
"#;
    let execution = sandbox.run_flow(flow).expect("SUCCESS");
    let sql = "SELECT sum(total) as total, avg(quantity) as avg_quantity\nFROM sales;\n";
    assert_eq!(execution.outputs("inlineScript")["vars"], json!({"receivedSQL": sql}));
    assert!(execution.outputs("jsonFiles")["uris"]["output.json"].is_string());
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_script_of_the_machine_is_mounted() {
    let Some(daemon) = Daemon::find() else { return };
    let _tag = Tag::new(&daemon, "python", "ghcr.io/kestra-io/pydata:latest");
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", "docker:\n  volumesEnabled: true\n");
    let script = sandbox.file("scripts/etl/parametrized.py", "print('parametrized')\n");
    let scripts = script.ancestors().nth(2).unwrap().display().to_string();
    let flow = format!(
        r#"
id: pythonVolume
namespace: dev
tasks:
  - id: anyPythonScript
    type: io.kestra.plugin.scripts.python.Commands
    runner: DOCKER
    docker:
      image: ghcr.io/kestra-io/pydata:latest
      volumes:
        - {scripts}:/app
    commands:
      - python /app/etl/parametrized.py
"#
    );
    let execution = sandbox.run_flow(&flow).expect("SUCCESS");
    assert_eq!(execution.log(&sandbox), ["INFO parametrized"]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn node_is_a_language_too() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let flow = r#"
id: node
namespace: tests
tasks:
  - id: node
    type: io.kestra.plugin.scripts.node.Script
    containerImage: weft-test/node:1
    taskRunner:
      type: io.kestra.plugin.scripts.runner.docker.Docker
    script: |
      console.log('::{"outputs":{"sum":' + (1 + 2) + '}}::');
"#;
    let execution = sandbox.run_flow(flow).expect("SUCCESS");
    assert_eq!(execution.outputs("node")["vars"], json!({"sum": 3}));
    daemon.expect_nothing_left(&sandbox);
}
