//! Examples of the reference documentation, one complete task or flow each.

use weft_sdk::Example;

pub const PYTHON_SCRIPT: &[Example] = &[
    Example {
        title: "Put out a value and a metric without any library",
        yaml: r#"id: python_outputs
namespace: company.team
tasks:
  - id: count
    type: io.kestra.plugin.scripts.python.Script
    runner: PROCESS
    script: |
      import json
      rows = [1, 2, 3]
      print("::" + json.dumps({
          "outputs": {"sum": sum(rows)},
          "metrics": [{"name": "rows", "type": "counter", "value": len(rows)}],
      }) + "::")
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "the sum is {{ outputs.count.vars.sum }}"
"#,
    },
    Example {
        title: "Keep a file that the script writes, and read it in the next task",
        yaml: r#"id: python_files
namespace: company.team
tasks:
  - id: write
    type: io.kestra.plugin.scripts.python.Script
    runner: PROCESS
    outputFiles:
      - "*.csv"
    script: |
      with open("orders.csv", "w") as file:
          file.write("id,total\n1,9.5\n")
  - id: read
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - cat {{ outputs.write.outputFiles['orders.csv'] }}
"#,
    },
    Example {
        title: "Install packages first, in a container",
        yaml: r#"id: request
type: io.kestra.plugin.scripts.python.Script
containerImage: python:3.13-slim
dependencies:
  - requests
script: |
  import requests
  print(requests.get("https://example.com").status_code)
"#,
    },
];

pub const PYTHON_COMMANDS: &[Example] = &[
    Example {
        title: "Run a program that comes with the flow",
        yaml: r#"id: etl
type: io.kestra.plugin.scripts.python.Commands
runner: PROCESS
inputFiles:
  main.py: |
    import sys
    print("hello", sys.argv[1])
commands:
  - python3 main.py world
"#,
    },
    Example {
        title: "Install packages in the container before the program runs",
        yaml: r#"id: etl
type: io.kestra.plugin.scripts.python.Commands
docker:
  image: python:3.11-slim
warningOnStdErr: false
beforeCommands:
  - pip install -r requirements.txt > /dev/null
commands:
  - python scripts/etl_script.py
"#,
    },
];

pub const R_SCRIPT: &[Example] = &[Example {
    title: "Write a table to a file",
    yaml: r#"id: cars
type: io.kestra.plugin.scripts.r.Script
warningOnStdErr: false
outputFiles:
  - cars.csv
script: |
  write.csv(head(mtcars), "cars.csv")
"#,
}];

pub const R_COMMANDS: &[Example] = &[Example {
    title: "Run a program that comes with the flow",
    yaml: r#"id: model
type: io.kestra.plugin.scripts.r.Commands
inputFiles:
  main.R: |
    print("Hello World!")
commands:
  - Rscript main.R
"#,
}];

pub const NODE_SCRIPT: &[Example] = &[Example {
    title: "Put out a value",
    yaml: r#"id: node
type: io.kestra.plugin.scripts.node.Script
runner: PROCESS
script: |
  const outputs = { answer: 6 * 7 };
  console.log("::" + JSON.stringify({ outputs }) + "::");
"#,
}];

pub const NODE_COMMANDS: &[Example] = &[Example {
    title: "Install packages first, then run a program that comes with the flow",
    yaml: r#"id: convert
type: io.kestra.plugin.scripts.node.Commands
beforeCommands:
  - npm install --silent json2csv
inputFiles:
  main.js: |
    console.log("Hello World!");
commands:
  - node main.js
"#,
}];

pub const SHELL_SCRIPT: &[Example] = &[Example {
    title: "Use bash instead of sh",
    yaml: r#"id: loop
type: io.kestra.plugin.scripts.shell.Script
runner: PROCESS
interpreter:
  - /bin/bash
  - -c
script: |
  for i in {1..3}; do
    echo "round $i"
  done
"#,
}];

pub const SHELL_COMMANDS: &[Example] = &[
    Example {
        title: "Run commands on this machine and put out a value",
        yaml: r#"id: shell_outputs
namespace: company.team
tasks:
  - id: measure
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - size=$(ls / | wc -l)
      - echo "::{\"outputs\":{\"size\":$size}}::"
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.measure.vars.size }} entries"
"#,
    },
    Example {
        title: "Run a tool that exists as an image",
        yaml: r#"id: etl
type: io.kestra.plugin.scripts.shell.Commands
docker:
  image: ghcr.io/kestra-io/rust:latest
commands:
  - etl
outputFiles:
  - "*.csv"
"#,
    },
];

pub const POWERSHELL_SCRIPT: &[Example] = &[Example {
    title: "Put out a value",
    yaml: r#"id: powershell
type: io.kestra.plugin.scripts.powershell.Script
script: |
  $outputs = @{ outputs = @{ answer = 6 * 7 } } | ConvertTo-Json -Compress
  Write-Output "::$outputs::"
"#,
}];

pub const POWERSHELL_COMMANDS: &[Example] = &[Example {
    title: "Run a program that comes with the flow",
    yaml: r#"id: powershell
type: io.kestra.plugin.scripts.powershell.Commands
inputFiles:
  hello.ps1: |
    Write-Output "Hello World!"
commands:
  - ./hello.ps1
"#,
}];

pub const FORMER_BASH: &[Example] = &[Example {
    title: "Run commands",
    yaml: r#"id: bash
type: io.kestra.core.tasks.scripts.Bash
commands:
  - echo "hello"
"#,
}];

pub const FORMER_PYTHON: &[Example] = &[Example {
    title: "Run main.py",
    yaml: r#"id: python
type: io.kestra.core.tasks.scripts.Python
inputFiles:
  main.py: |
    import sys
    print("hello", sys.argv[1])
args:
  - world
"#,
}];

pub const FORMER_NODE: &[Example] = &[Example {
    title: "Run main.js",
    yaml: r#"id: node
type: io.kestra.core.tasks.scripts.Node
inputFiles:
  main.js: |
    console.log("hello");
"#,
}];
