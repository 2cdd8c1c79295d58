//! What flows may write on a script task, in the words of both eras.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use weft_sdk::{InputFiles, NamespaceFiles, OutputDirectory, OutputFiles, Text};

use crate::docker::{DockerSettings, TaskRunner};

/// The properties of all the types; [`schema`] leaves out what a type does not have.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Properties {
    /// The script. A `kestra://` URI in it becomes the path of a local copy of that file.
    #[serde(default)]
    #[schemars(with = "Text", extend("x-weft-role" = "localize"))]
    pub script: Option<Text>,
    /// The commands, run one after the other in one process: variables and `cd` last from one to the next. A
    /// `kestra://` URI in one becomes the path of a local copy of that file.
    #[serde(default)]
    #[schemars(length(min = 1), extend("x-weft-role" = "localize"))]
    pub commands: Vec<Text>,
    /// Commands that run before, in the same process: for installing packages or activating an environment.
    #[serde(default)]
    #[schemars(with = "Vec<Text>", extend("x-weft-role" = "localize"))]
    pub before_commands: Option<Vec<Text>>,
    /// Environment variables. `WORKING_DIR` and `OUTPUT_DIR` are set besides and cannot be overridden.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Text>")]
    pub env: Option<Map<String, Value>>,
    /// Files to put into the working directory first: a map from name to content, or to the `kestra://` URI of a
    /// stored file; or a JSON text of such a map.
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    pub input_files: InputFiles,
    /// Globs of files in the working directory to keep. Later tasks find them as
    /// `{{ outputs.<taskId>.outputFiles['<path>'] }}`. Kept after a failure too.
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    pub output_files: OutputFiles,
    /// Whether there is a directory `{{ outputDir }}`, also `$OUTPUT_DIR`, all of whose files are kept like those of
    /// `outputFiles`.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    #[allow(dead_code, reason = "the engine carries it out")]
    pub output_directory: OutputDirectory,
    /// Files of the namespace to put into the working directory first.
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    pub namespace_files: NamespaceFiles,
    /// Where the commands run: `DOCKER`, in a container, or `PROCESS`, as a process on the worker's machine. Without
    /// it, `taskRunner` decides, and without that, it is a container.
    #[serde(default)]
    #[schemars(with = "RunnerKind")]
    pub runner: Option<RunnerKind>,
    /// Settings of the container, with its image.
    #[serde(default)]
    #[schemars(with = "DockerSettings")]
    pub docker: Option<Map<String, Value>>,
    /// Where the commands run, and settings for that: the newer way to write `runner` and `docker`.
    #[serde(default)]
    #[schemars(with = "TaskRunner")]
    pub task_runner: Option<Map<String, Value>>,
    /// The container's image. `docker.image` goes before it.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub container_image: Option<Text>,
    /// The program that gets all commands as its last argument, joined to one text. An empty list runs the commands as
    /// they are: the first is the program, the others are its arguments.
    #[serde(default)]
    #[schemars(with = "Vec<Text>")]
    pub interpreter: Option<Vec<Text>>,
    /// Whether the first command that fails ends the task. Otherwise the last command's exit code counts.
    #[serde(default = "yes")]
    pub fail_fast: bool,
    /// Whether the task ends as WARNING when it succeeds but has written something to standard error.
    #[serde(default = "yes")]
    pub warning_on_std_err: bool,
    /// The system that the commands run on: it decides the line separator, and whether `failFast` has an effect.
    #[serde(default, rename = "targetOS")]
    pub target_os: TargetOs,
    /// Packages to install first, with `pip`, into the Python that runs the script.
    #[serde(default)]
    pub dependencies: Vec<Text>,
    /// Has no effect: the Python of the image, or of the machine, is used.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub python_version: Option<Text>,
    /// Has no effect: packages are installed with `pip`.
    #[serde(default)]
    #[schemars(with = "PackageManager")]
    pub package_manager: Option<Text>,
    /// Has no effect: packages are installed by every task run.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub dependency_cache_enabled: Option<bool>,
    /// Has no effect: no file about the execution is written.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub execution_context: Option<bool>,
    #[serde(default)]
    pub args: Vec<Text>,
    #[serde(default)]
    pub requirements: Vec<Text>,
    #[serde(default)]
    pub interpreter_args: Option<Vec<Text>>,
    #[serde(default)]
    pub exit_on_failed: Option<bool>,
    #[serde(default)]
    pub docker_options: Option<Map<String, Value>>,
}

/// Where commands run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunnerKind {
    /// In a container.
    Docker,
    /// As a process on the worker's machine.
    Process,
}

/// The system that commands run on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TargetOs {
    /// Line feeds.
    Linux,
    /// Carriage return and line feed; `failFast` has no effect.
    Windows,
    /// As on Linux: that is where containers and this engine run.
    #[default]
    Auto,
}

/// The values of `packageManager`.
#[derive(JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum PackageManager {
    Uv,
    Pip,
}

fn yes() -> bool {
    true
}

/// What only languages with packages of their own have.
const OF_PACKAGES: [&str; 4] = ["dependencies", "pythonVersion", "packageManager", "dependencyCacheEnabled"];

/// The schema of a type that requires `required` (`script` or `commands`) and takes packages or does not.
pub fn schema(generator: &mut SchemaGenerator, required: &str, packages: bool) -> Schema {
    let mut schema = Properties::json_schema(generator);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| {
            let of_other_type = ["script", "commands"].contains(&name.as_str()) && name != required;
            let of_packages = OF_PACKAGES.contains(&name.as_str());
            !of_other_type && (packages || !of_packages)
        });
        if let Some(Value::Object(property)) = properties.get_mut(required) {
            property.remove("default");
        }
    }
    schema.remove("description");
    schema.insert("required".to_owned(), json!([required]));
    schema
}
