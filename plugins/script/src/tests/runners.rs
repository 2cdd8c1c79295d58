use serde_json::{Value, json};
use weft_sdk::Plugin;
use weft_sdk::testing::Harness;

use super::full_name;
use crate::WeftPlugin;

const LEVELS: [(&str, &str); 2] = [("stdoutLevel", "INFO"), ("stderrLevel", "WARN")];

/// The image, if it is a container, and the options besides the levels.
fn runner(host: Harness, name: &str, properties: &Value) -> Result<(Option<String>, Value), String> {
    let mut all = json!({"commands": ["a"]});
    if name.ends_with("Script") {
        all = json!({"script": "a"});
    }
    all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    let run = host.call::<WeftPlugin>(&full_name(name), &all);
    if let Err(error) = run.result {
        return Err(error.code().to_owned());
    }
    let spawned = &run.commands[0];
    let mut options = spawned.command.options.clone();
    for (level, expected) in LEVELS {
        assert_eq!(options.remove(level), Some(json!(expected)));
    }
    Ok((spawned.image.clone(), Value::Object(options)))
}

#[test]
fn runners_of_both_eras() {
    let docker = "io.kestra.plugin.scripts.runner.docker.Docker";
    let process = "io.kestra.plugin.core.runner.Process";
    let image = |image: &str, options: Value| Ok((Some(image.to_owned()), options));
    let as_process = || Ok((None, json!({})));
    for (name, properties, expected) in [
        // The images of the table
        ("python.Script", json!({}), image("python", json!({"dependencyCaches": ["pip", "uv"]}))),
        ("r.Commands", json!({}), image("r-base", json!({"dependencyCaches": ["R"]}))),
        ("node.Script", json!({}), image("node", json!({"dependencyCaches": ["npm"]}))),
        ("python.Script", json!({"dependencyCacheEnabled": false}), image("python", json!({}))),
        (
            "python.Script",
            json!({"docker": {"dependencyCaches": ["pip"]}}),
            image("python", json!({"dependencyCaches": ["pip"]})),
        ),
        ("shell.Commands", json!({}), image("ubuntu", json!({}))),
        ("powershell.Script", json!({}), image("mcr.microsoft.com/powershell", json!({}))),
        ("Bash", json!({}), as_process()),
        ("Python", json!({}), as_process()),
        ("Node", json!({"runner": "DOCKER"}), image("node", json!({"dependencyCaches": ["npm"]}))),
        // `runner` and `docker`
        ("shell.Commands", json!({"runner": "PROCESS"}), as_process()),
        ("shell.Commands", json!({"runner": "PROCESS", "docker": {"image": "a"}}), as_process()),
        ("shell.Commands", json!({"runner": "DOCKER"}), image("ubuntu", json!({}))),
        (
            "shell.Commands",
            json!({"docker": {"image": "a:1", "pullPolicy": "NEVER", "cpu": {"cpus": 0.5}, "user": null}}),
            image("a:1", json!({"pullPolicy": "NEVER", "cpu": {"cpus": 0.5}})),
        ),
        (
            "shell.Commands",
            json!({"docker": {"dockerHost": "tcp://a", "dockerConfig": "{}"}}),
            image("ubuntu", json!({"host": "tcp://a", "config": "{}"})),
        ),
        (
            "shell.Commands",
            json!({"docker": {"dockerHost": "old", "host": "new"}}),
            image("ubuntu", json!({"host": "new"})),
        ),
        (
            "Bash",
            json!({"runner": "DOCKER", "dockerOptions": {"image": "a", "user": "b"}}),
            image("a", json!({"user": "b"})),
        ),
        // `taskRunner` and `containerImage`
        ("shell.Commands", json!({"containerImage": "b"}), image("b", json!({}))),
        ("shell.Commands", json!({"taskRunner": {"type": process}}), as_process()),
        (
            "shell.Commands",
            json!({"taskRunner": {"type": docker, "pullPolicy": "ALWAYS", "volumes": ["/a:/b"]}, "containerImage": "b"}),
            image("b", json!({"pullPolicy": "ALWAYS", "volumes": ["/a:/b"]})),
        ),
        (
            "shell.Commands",
            json!({"taskRunner": {"type": "io.kestra.plugin.kubernetes.runner.Kubernetes"}}),
            Err("script.runner"),
        ),
        // Both
        (
            "shell.Commands",
            json!({"taskRunner": {"type": docker, "user": "a", "shmSize": "1MB"}, "docker": {"user": "b", "image": "c"}, "containerImage": "d"}),
            image("c", json!({"user": "b", "shmSize": "1MB"})),
        ),
        ("shell.Commands", json!({"runner": "PROCESS", "taskRunner": {"type": docker}}), as_process()),
        (
            "shell.Commands",
            json!({"runner": "DOCKER", "taskRunner": {"type": process, "x": 1}}),
            image("ubuntu", json!({})),
        ),
    ] {
        let expected: Result<_, String> = expected.map_err(str::to_owned);
        assert_eq!(runner(Harness::new(), name, &properties), expected, "{name} {properties}");
    }
}

#[test]
fn whoever_starts_the_execution_has_the_last_word() {
    let docker = json!({"docker": {"image": "a"}});
    for (fact, properties, expected) in [
        (json!("process"), docker.clone(), Ok(None)),
        (json!("process"), json!({}), Ok(None)),
        (json!("docker"), json!({"runner": "PROCESS", "docker": {"image": "a"}}), Ok(Some("a"))),
        (json!(null), docker, Ok(Some("a"))),
        (json!("podman"), json!({}), Err("script.runner")),
    ] {
        let host = Harness::new().fact("runner", fact.clone());
        let seen = runner(host, "shell.Commands", &properties).map(|(image, _)| image);
        let expected = expected.map(|image| image.map(str::to_owned)).map_err(str::to_owned);
        assert_eq!(seen, expected, "{fact} {properties}");
    }
}

#[test]
fn schemas_say_which_words_a_type_has() {
    let descriptor = WeftPlugin::describe();
    let schema = |name: &str| {
        let tasks = descriptor["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["type"] == full_name(name)).unwrap()["properties"].clone()
    };
    for (name, required, has, has_not) in [
        ("python.Script", json!(["script"]), "dependencies", "commands"),
        ("python.Commands", json!(["commands"]), "pythonVersion", "script"),
        ("shell.Script", json!(["script"]), "docker", "dependencies"),
        ("node.Commands", json!(["commands"]), "taskRunner", "packageManager"),
        ("Bash", json!(["commands"]), "exitOnFailed", "requirements"),
        ("Python", json!(null), "requirements", "docker"),
        ("Node", json!(null), "args", "requirements"),
    ] {
        let schema = schema(name);
        assert_eq!(schema["required"], required, "{name}");
        assert_eq!(schema["additionalProperties"], json!(false), "{name}");
        assert!(!schema["properties"][has].is_null(), "{name} has no {has}");
        assert!(schema["properties"][has_not].is_null(), "{name} has {has_not}");
    }
}

#[test]
fn the_engine_finds_what_it_carries_out() {
    let descriptor = WeftPlugin::describe();
    let properties = &descriptor["tasks"][0]["properties"]["properties"];
    for (name, role) in [
        ("script", "localize"),
        ("beforeCommands", "localize"),
        ("inputFiles", "input-files"),
        ("outputFiles", "output-files"),
        ("outputDirectory", "output-directory"),
        ("namespaceFiles", "namespace-files"),
    ] {
        assert_eq!(properties[name]["x-weft-role"], role, "{name}");
    }
    assert_eq!(properties["outputDirectory"]["default"], json!(true));
}
