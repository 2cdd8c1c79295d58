//! `Clone`.

use schemars::JsonSchema;
use serde_json::{Map, Value};
use weft_sdk::prelude::*;
use weft_sdk::{Needs, Text};

/// Clones a Git repository into the working directory.
///
/// Made to be the first task of a `WorkingDirectory`: the directory must be empty, and the tasks after it find the
/// repository's files there. Over `https`, `http`, `ssh` and from a directory of the machine (`file`).
///
/// Without `commit` and `tag` only the last commit of one branch is fetched (`depth: 1`); `depth: 0` fetches all. The
/// machine's own Git configuration is not read, no hook is run, and credentials are written nowhere. A clone that fails
/// leaves the directory empty.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clone {
    /// The repository: `https://HOST/PATH`, `ssh://USER@HOST/PATH`, `USER@HOST:PATH` or `file:///PATH`.
    url: Text,
    /// Where to, below the working directory, without `./` at its beginning; the working directory itself without it.
    directory: Option<Text>,
    /// The branch to check out; the repository's default branch without it. The name of a tag is taken, too.
    branch: Option<Text>,
    /// The tag to check out, without a branch. Goes before `branch`.
    tag: Option<Text>,
    /// The commit to check out, in full or its beginning, without a branch. Goes before `tag` and `branch`, and fetches the
    /// whole history of all branches.
    commit: Option<Text>,
    /// How many commits of the branch's history are fetched; 0 for all. Without effect beside `tag` and `commit`, and for
    /// a repository of the machine.
    #[schemars(extend("default" = 1))]
    depth: Option<u32>,
    /// Whether submodules are cloned, too, and theirs. They get the credentials if they are on the same host.
    #[schemars(extend("default" = false))]
    clone_submodules: Option<bool>,
    /// Whether all branches are fetched. Without it, all are unless `depth` limits the history.
    clone_all_branches: Option<bool>,
    /// Whether tags are left out.
    #[schemars(extend("default" = false))]
    no_tags: Option<bool>,
    /// The user, or the organisation, for `https`; for `ssh` where the URL has none.
    username: Option<Text>,
    /// The password, or rather a token.
    password: Option<Text>,
    /// A private key for `ssh`: the whole text of its file.
    private_key: Option<Text>,
    /// The password of the private key.
    passphrase: Option<Text>,
    /// A PEM file of certificate authorities to trust besides: of the machine, or below the working directory.
    trusted_ca_pem_path: Option<Text>,
    /// Whether the proxy that is configured is left aside.
    #[schemars(extend("default" = false))]
    no_proxy: Option<bool>,
    /// How long a connection may take to be made, in milliseconds.
    connect_timeout: Option<u64>,
    /// How long the server may be silent, in milliseconds.
    read_timeout: Option<u64>,
    /// Entries for the clone's `.git/config`, as `core.fileMode: false`.
    git_config: Option<Map<String, Value>>,
}

/// What `Clone` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Cloned {
    /// The directory on the machine.
    directory: Value,
    /// The id of the commit that was checked out; null for an empty repository.
    commit: Value,
    /// Its branch; null without one.
    branch: Value,
}

impl Task for Clone {
    const TYPE: &'static str = "io.kestra.plugin.git.Clone";
    const EXAMPLES: &'static [Example] = &[
        Example {
            title: "Run a script of a public repository",
            yaml: r#"id: from_git
namespace: company.team
tasks:
  - id: directory
    type: io.kestra.plugin.core.flow.WorkingDirectory
    tasks:
      - id: clone
        type: io.kestra.plugin.git.Clone
        url: https://github.com/kestra-io/examples
        branch: main
      - id: run
        type: io.kestra.plugin.scripts.python.Commands
        runner: PROCESS
        commands:
          - python scripts/etl_script.py
"#,
        },
        Example {
            title: "A private repository, with a token",
            yaml: r#"id: clone
type: io.kestra.plugin.git.Clone
url: https://github.com/company/private
username: company
password: "{{ secret('GITHUB_TOKEN') }}"
"#,
        },
        Example {
            title: "With a key, into a folder, at a tag, with submodules",
            yaml: r#"id: clone
type: io.kestra.plugin.git.Clone
url: git@github.com:company/private.git
directory: source
tag: v1.2.0
cloneSubmodules: true
privateKey: "{{ secret('SSH_PRIVATE_KEY') }}"
passphrase: "{{ secret('SSH_PASSPHRASE') }}"
"#,
        },
    ];
    const NEEDS: Needs = Needs { hosts: &["*"], ..Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        if self.directory.as_deref().is_some_and(|directory| directory.starts_with("./")) {
            let message = "property `directory`: expected a path below the working directory, which does not begin \
                           with `./`\nhint: leave the `./` out";
            return Err(Error::new("property.invalid", message));
        }
        let shown = without_credentials(&self.url);
        cx.log().info(format!("Start cloning from '{shown}'"));
        let mut cloned = cx.git_clone(&self.request()).map_err(|error| match error.code() {
            "network.certificate" => error.hint(
                "name the authority's certificate in `trustedCaPemPath` or, for every task, in `network: {caFile: \
                 FILE}` of the configuration",
            ),
            _ => error,
        })?;
        let mut take = |name: &str| cloned.get_mut(name).map(Value::take).unwrap_or_default();
        let cloned = Cloned { directory: take("directory"), commit: take("commit"), branch: take("branch") };
        if let Some(commit) = cloned.commit.as_str() {
            cx.log().info(format!("Cloned '{shown}' at {}", commit.get(..12).unwrap_or(commit)));
        }
        Ok(cloned)
    }
}

impl Clone {
    /// What the host is asked for.
    fn request(&self) -> Value {
        let depth = Some(self.depth.unwrap_or(1)).filter(|&depth| depth > 0);
        json!({
            "url": &*self.url,
            "directory": self.directory,
            "branch": given(&self.branch),
            "tag": given(&self.tag),
            "commit": given(&self.commit),
            "depth": depth,
            "submodules": self.clone_submodules.unwrap_or(false),
            "allBranches": self.clone_all_branches.unwrap_or(depth.is_none()),
            "noTags": self.no_tags.unwrap_or(false),
            "username": given(&self.username),
            "password": given(&self.password),
            "privateKey": given(&self.private_key),
            "passphrase": given(&self.passphrase),
            "caPath": given(&self.trusted_ca_pem_path),
            "noProxy": self.no_proxy.unwrap_or(false),
            "connectTimeoutMs": self.connect_timeout,
            "readTimeoutMs": self.read_timeout,
            "config": self.git_config.clone().unwrap_or_default(),
        })
    }
}

/// A text that is not empty: an expression of nothing means that nothing was given.
fn given(text: &Option<Text>) -> Option<&str> {
    text.as_deref().map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// A URL without what is secret in `USER:PASSWORD@`. Over SSH the user is part of the address; elsewhere it may be a token.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let (credentials, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            let user = credentials.split(':').next().unwrap_or_default();
            if scheme.to_ascii_lowercase().contains("ssh") && !user.is_empty() {
                format!("{scheme}://{user}@{host}{path}")
            } else {
                format!("{scheme}://{host}{path}")
            }
        }
        None => url.to_owned(),
    }
}
