//! What flows may write on a script task, in the words of both eras: documentation and schema in structs, and one
//! reader for all of them.
//!
//! The structs are never filled: derived deserialization of this many properties is a fifth of the component, which is
//! 40 ms of the very first run. The engine has validated the properties by the schema before; the reader takes them by
//! name.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use weft_sdk::container::{Config, Options};
use weft_sdk::{Error, InputFiles, NamespaceFiles, OutputDirectory, OutputFiles, Result, Text};

use crate::runner::Way;

/// The properties of `Script` and `Commands`; [`schema`] leaves out what a type does not have.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
struct Properties {
    /// The script. A `kestra://` URI in it becomes the path of a local copy of that file.
    #[schemars(extend("x-weft-role" = "localize"))]
    script: Text,
    /// The commands, run one after the other in one process: variables and `cd` last from one to the next. A
    /// `kestra://` URI in one becomes the path of a local copy of that file.
    #[schemars(length(min = 1), extend("x-weft-role" = "localize"))]
    commands: Vec<Text>,
    /// Commands that run before, in the same process: for installing packages or activating an environment.
    #[schemars(extend("x-weft-role" = "localize"))]
    before_commands: Option<Vec<Text>>,
    /// Environment variables. `WORKING_DIR` and `OUTPUT_DIR` are set besides and cannot be overridden.
    env: Option<BTreeMap<String, Text>>,
    /// Files to put into the working directory first: a map from name to content, or to the `kestra://` URI of a
    /// stored file; or a JSON text of such a map.
    #[schemars(default)]
    input_files: InputFiles,
    /// Globs of files in the working directory to keep. Later tasks find them as
    /// `{{ outputs.<taskId>.outputFiles['<path>'] }}`. Kept after a failure too.
    #[schemars(default)]
    output_files: OutputFiles,
    /// Whether there is a directory `{{ outputDir }}`, also `$OUTPUT_DIR`, all of whose files are kept like those of
    /// `outputFiles`.
    #[schemars(default, extend("default" = true))]
    output_directory: OutputDirectory,
    /// Files of the namespace to put into the working directory first.
    #[schemars(default)]
    namespace_files: NamespaceFiles,
    /// Where the commands run: `DOCKER`, in a container, or `PROCESS`, as a process on the worker's machine. Without
    /// it, `taskRunner` decides, and without that, it is a container.
    runner: Option<RunnerName>,
    /// Settings of the container, with its image.
    docker: Option<Docker>,
    /// Where the commands run, and settings for that: the newer way to write `runner` and `docker`.
    task_runner: Option<TaskRunner>,
    /// The container's image. `docker.image` goes before it.
    container_image: Option<Text>,
    /// The program that gets all commands as its last argument, joined to one text. An empty list runs the commands as
    /// they are: the first is the program, the others are its arguments.
    interpreter: Option<Vec<Text>>,
    /// Whether the first command that fails ends the task. Otherwise the last command's exit code counts.
    #[schemars(extend("default" = true))]
    fail_fast: Option<bool>,
    /// Whether the task ends as WARNING when it succeeds but has written something to standard error.
    #[schemars(extend("default" = true))]
    warning_on_std_err: Option<bool>,
    /// The system that the commands run on: `WINDOWS` separates lines the way it does, and takes `failFast` from
    /// shells.
    #[schemars(rename = "targetOS", extend("default" = "AUTO"))]
    target_os: Option<TargetOs>,
    /// Packages to install first, with `pip`, into the Python that runs the script. On a machine whose Python the
    /// system manages, that needs a virtual environment or a container.
    dependencies: Option<Vec<Text>>,
    /// Has no effect: the Python of the image, or of the machine, is used.
    python_version: Option<Text>,
    /// Has no effect: packages are installed with `pip`.
    package_manager: Option<PackageManager>,
    /// Whether what `pip` and `uv` download in a container is kept for later runs with the same image.
    #[schemars(extend("default" = true))]
    dependency_cache_enabled: Option<bool>,
    /// Has no effect: no file about the execution is written.
    execution_context: Option<bool>,
}

/// The properties of the types that came before.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
struct FormerProperties {
    /// The commands, run one after the other in one process.
    #[schemars(extend("x-weft-role" = "localize"))]
    commands: Option<Vec<Text>>,
    /// Arguments of `main.py` or `main.js`, which run where there are no `commands`.
    args: Option<Vec<Text>>,
    /// Packages to install first, with `pip`.
    requirements: Option<Vec<Text>>,
    /// Files to put into the working directory first: a map from name to content or URI, or a JSON text of one.
    #[schemars(default)]
    input_files: InputFiles,
    /// Globs of files in the working directory to keep.
    #[schemars(default)]
    output_files: OutputFiles,
    /// The program that gets the commands as its last argument.
    #[schemars(extend("default" = "/bin/sh"))]
    interpreter: Option<Text>,
    /// The interpreter's own arguments.
    #[schemars(extend("default" = ["-c"]))]
    interpreter_args: Option<Vec<Text>>,
    /// Whether the first command that fails ends the task.
    #[schemars(extend("default" = true))]
    exit_on_failed: Option<bool>,
    /// Where the commands run.
    #[schemars(extend("default" = "PROCESS"))]
    runner: Option<RunnerName>,
    /// Settings of the container, with its image.
    docker_options: Option<Docker>,
    /// Environment variables.
    env: Option<BTreeMap<String, Text>>,
    /// Whether the task ends as WARNING when it succeeds but has written something to standard error.
    #[schemars(extend("default" = true))]
    warning_on_std_err: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum RunnerName {
    Docker,
    Process,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum TargetOs {
    Linux,
    Windows,
    Auto,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum PackageManager {
    Uv,
    Pip,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = true))]
#[allow(dead_code, reason = "only its schema is used")]
struct TaskRunner {
    /// `io.kestra.plugin.core.runner.Process` or `io.kestra.plugin.scripts.runner.docker.Docker`. The other properties
    /// are those of `docker`, without `image`.
    #[schemars(rename = "type", extend("enum" = Way::type_names()))]
    type_name: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
#[allow(dead_code, reason = "the engine's container runner reads these settings")]
struct Docker {
    /// The image. Without it, `containerImage` or the language's own.
    image: Option<Text>,
    /// The former name of `host`.
    docker_host: Option<Text>,
    /// The former name of `config`.
    docker_config: Option<Config>,
    #[schemars(flatten)]
    options: Options,
}

/// What only languages with packages of their own have.
const OF_PACKAGES: [&str; 5] =
    ["dependencies", "pythonVersion", "packageManager", "dependencyCacheEnabled", "requirements"];

/// The schema of a type that requires `required` (`script` or `commands`) and takes packages or does not.
pub fn schema(generator: &mut SchemaGenerator, required: &str, packages: bool) -> Schema {
    let mut schema = Properties::json_schema(generator);
    let other = if required == "script" { "commands" } else { "script" };
    retain(&mut schema, |name| name != other && (packages || !OF_PACKAGES.contains(&name)));
    schema.insert("required".to_owned(), json!([required]));
    schema
}

/// The schema of a type that came before: `main` is whether it runs a file of its own where there are no commands.
pub fn former_schema(generator: &mut SchemaGenerator, main: bool, packages: bool) -> Schema {
    let mut schema = FormerProperties::json_schema(generator);
    retain(&mut schema, |name| (main || name != "args") && (packages || !OF_PACKAGES.contains(&name)));
    if !main {
        schema.insert("required".to_owned(), json!(["commands"]));
    }
    schema
}

fn retain(schema: &mut Schema, keep: impl Fn(&str) -> bool) {
    schema.remove("description");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| keep(name));
    }
}

/// Takes properties by name. A null is as good as nothing.
#[derive(Debug)]
pub struct Reader(pub Map<String, Value>);

impl Reader {
    /// A property as it is.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// A text, or another scalar as text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.value(name).map(plain)
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>> {
        match self.value(name) {
            Some(Value::Array(items)) => Ok(Some(items.into_iter().map(plain).collect())),
            None => Ok(None),
            Some(_) => Err(misfit(name, "list")),
        }
    }

    /// A map.
    pub fn map(&mut self, name: &str) -> Result<Map<String, Value>> {
        match self.value(name) {
            Some(Value::Object(map)) => Ok(map),
            None => Ok(Map::new()),
            Some(_) => Err(misfit(name, "map")),
        }
    }

    /// A boolean.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        match self.value(name) {
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            None => Ok(None),
            Some(_) => Err(misfit(name, "boolean")),
        }
    }
}

/// A scalar as text; anything else as JSON.
pub fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        // Values have text keys and go to memory, so writing them cannot fail.
        other => serde_json::to_string(&other).unwrap_or_default(),
    }
}

fn misfit(name: &str, expected: &str) -> Error {
    Error::new("plugin.properties", ["`", name, "` is not a ", expected].concat())
}
