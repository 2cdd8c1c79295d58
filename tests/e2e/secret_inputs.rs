//! Inputs of type SECRET.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::Sandbox;

const FLOW: &str = "
id: secret
namespace: tests
inputs:
  - id: password
    type: SECRET
  - id: db.token
    type: SECRET
    defaults: token-by-default
tasks:
  - id: use
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    env:
      PASSWORD: \"{{ inputs.password }}\"
    commands:
      - test $(printf %s \"$PASSWORD\" | wc -c) = 11
      - echo it is $PASSWORD and {{ inputs.db.token }}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - id: code
        type: SECRET
  - id: after
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - test $(printf %s '{{ outputs.wait.onResume.code }}' | wc -c) = 12
      - test $(printf %s '{{ inputs.password }}' | wc -c) = 11
      - echo {{ outputs.wait.onResume.code }}
";

/// Files below a directory that contain a text.
fn mentions(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(text) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn secrets_are_encrypted_at_rest_hidden_in_logs_and_open_to_expressions() {
    let sandbox = Sandbox::new();
    let execution = sandbox.run_flow_with(FLOW, &["-i", "password=open-sesame"]).expect("PAUSED");
    assert_eq!(execution.json["inputs"]["password"]["type"], "io.kestra.datatype:aes_encrypted");
    assert!(execution.log(&sandbox).contains(&"INFO it is ****** and ******".to_owned()));

    let resumed =
        sandbox.weft(["executions", "resume", "last", "-i", "code=later-secret", "--json"]).expect(0);
    assert!(resumed.stdout.contains("\"SUCCESS\""), "{}", resumed.stdout);
    for secret in ["open-sesame", "token-by-default", "later-secret"] {
        // The default stands in the flow's source, which is kept as it was written.
        let stored = mentions(&sandbox.data(), secret);
        assert_eq!(stored.len(), usize::from(secret == "token-by-default"), "{secret}: {stored:?}");
        assert!(
            !resumed.stdout.contains(secret) && !resumed.stderr.contains(secret),
            "{secret}: {resumed:?}"
        );
    }
    let mode = std::fs::metadata(sandbox.data().join("encryption.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_configured_key_is_used_and_another_cannot_open() {
    let sandbox = Sandbox::new();
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    sandbox.file("data/config.yaml", format!("encryption:\n  secretKey: {key}\n"));
    sandbox.run_flow_with(FLOW, &["-i", "password=open-sesame"]).expect("PAUSED");
    assert!(!sandbox.data().join("encryption.key").exists());
    sandbox.file("data/config.yaml", format!("encryption:\n  secretKey: {}\n", key.replace("MDEy", "AAAA")));
    let run = sandbox.weft(["executions", "resume", "last", "-i", "code=x"]).expect(1);
    assert!(run.stderr.contains("encrypted with another key"), "{}", run.stderr);
    sandbox.file("data/config.yaml", "encryption:\n  secretKey: short\n");
    let run = sandbox.weft(["run", "flow.yaml", "-i", "password=x"]).expect(1);
    assert!(run.stderr.contains("openssl rand -base64 32"), "{}", run.stderr);
}

#[test]
fn encrypt_and_decrypt_in_expressions() {
    let sandbox = Sandbox::new();
    let execution = sandbox
        .run_flow(
            "
id: encrypts
namespace: tests
variables:
  key: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
tasks:
  - id: encrypted
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ encrypt(vars.key, 'hidden') }}\"
  - id: decrypted
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ decrypt(vars.key, outputs.encrypted.value) }}\"
",
        )
        .expect("SUCCESS");
    assert!(!execution.outputs("encrypted")["value"].as_str().unwrap().contains("hidden"));
    assert_eq!(execution.outputs("decrypted")["value"], "******");
    let stored = sandbox.weft(["executions", "outputs", "last", "decrypted", "--reveal"]).expect(0);
    assert!(stored.stdout.contains("\"hidden\""), "{}", stored.stdout);
}
