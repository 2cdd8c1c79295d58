//! A task that asks for whatever the test says, one thing after the other, and tells what came of each.

use std::fs;
use std::io::Write;

use weft_sdk::prelude::*;
use weft_sdk::{Command, Needs, TcpOptions};

/// One call of the host.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(tag = "call", rename_all = "camelCase")]
pub enum Call {
    Secret { name: String },
    Kv { namespace: Option<String>, key: String },
    KvSet { namespace: Option<String>, key: String },
    KvKeys { namespace: Option<String> },
    KvDelete { namespace: Option<String>, key: String },
    /// Writes a file and puts it into storage under this name.
    Put { name: String },
    Get { uri: String },
    Size { uri: String },
    Delete { uri: String },
    /// Puts a file, reads its size and removes it.
    PutAndDelete { name: String },
    Variable { name: String },
    File { path: String },
    Spawn { argv: Vec<String>, #[serde(default)] env: Vec<(String, String)> },
    Container { image: String },
    Http { url: String, #[serde(default)] redirects: u32 },
    /// A connection that the host opens.
    Connect { host: String, port: u16 },
    /// One of `std::net`.
    Socket { address: String },
    Clone { url: String },
    Label { key: String },
}

impl Call {
    fn make(self, cx: &Context) -> Result<Value> {
        let file = |text: &str| fs::write("/work/try.txt", text);
        Ok(match self {
            Self::Secret { name } => json!(cx.secrets().get(&name)?),
            Self::Kv { namespace, key } => json!(cx.kv_in(namespace.as_deref()).get(&key)?),
            Self::KvSet { namespace, key } => {
                cx.kv_in(namespace.as_deref()).set(&key, &json!("set by a guest"), None, true)?;
                json!("set")
            }
            Self::KvKeys { namespace } => json!(cx.kv_in(namespace.as_deref()).keys("")?),
            Self::KvDelete { namespace, key } => json!(cx.kv_in(namespace.as_deref()).delete(&key)?),
            Self::Put { name } => {
                file("put by a guest")?;
                json!(cx.storage().put("try.txt", &name)?)
            }
            Self::Get { uri } => {
                cx.storage().get(&written(&uri), "got.txt")?;
                json!(fs::read_to_string("/work/got.txt").unwrap_or_default())
            }
            Self::Size { uri } => json!(cx.storage().size(&written(&uri))?),
            Self::Delete { uri } => json!(cx.storage().delete(&written(&uri))?),
            Self::PutAndDelete { name } => {
                file("12345")?;
                let uri = cx.storage().keep("try.txt", &name)?;
                let size = cx.storage().size(&uri)?;
                json!({"size": size, "deleted": cx.storage().delete(&uri)?})
            }
            Self::Variable { name } => json!(cx.environment().variable(&name)?),
            Self::File { path } => json!(cx.environment().file(&path)?),
            Self::Spawn { argv, env } => {
                let mut command = Command::new(argv);
                command.env = env;
                json!(cx.process().spawn(&command)?.wait()?.code)
            }
            Self::Container { image } => {
                json!(cx.container().run(&image, &Command::new(["true"]))?.wait()?.code)
            }
            Self::Http { url, redirects } => {
                let answer = cx.http().follow(weft_sdk::http::Request::get(&url), redirects)?;
                json!(answer.status())
            }
            Self::Connect { host, port } => {
                cx.tcp().connect(&host, port, &TcpOptions::default())?.write_all(b"x")?;
                json!("connected")
            }
            Self::Socket { address } => match std::net::TcpStream::connect(&address) {
                Ok(_) => json!("connected"),
                Err(error) => return Err(cx.network_error(error)),
            },
            Self::Clone { url } => cx.git_clone(&json!({"url": url, "directory": "clone"}))?,
            Self::Label { key } => {
                cx.execution().labels(&[(key, "by a guest")])?;
                json!("set")
            }
        })
    }
}

/// `kestra|a/b` and `nsfile|a/b` stand for addresses that the plugin made up itself: what stands in the properties is handed over
/// by the flow.
fn written(uri: &str) -> String {
    uri.replacen("kestra|", "kestra:///", 1).replacen("nsfile|", "nsfile://", 1)
}

fn try_all(calls: &[Call], cx: &Context) -> Value {
    let told = |call: &Call| match call.clone().make(cx) {
        Ok(value) => json!({"value": value}),
        Err(error) => json!({"code": error.code(), "message": error.message()}),
    };
    json!({"results": calls.iter().map(told).collect::<Vec<_>>()})
}

/// Makes calls.
#[derive(Deserialize, JsonSchema)]
pub struct Tries {
    calls: Vec<Call>,
    /// Read by nobody: what a flow may hand over.
    #[serde(default)]
    #[allow(dead_code)]
    note: Option<Value>,
}

impl Task for Tries {
    const TYPE: &'static str = "test.Tries";
    const NEEDS: Needs =
        Needs { variables: &["WEFT_TEST_*"], files: &["/etc/hostname"], ..Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        Ok(try_all(&self.calls, cx))
    }
}

/// Makes calls, and says that it needs little.
#[derive(Deserialize, JsonSchema)]
pub struct Modest {
    calls: Vec<Call>,
}

impl Task for Modest {
    const TYPE: &'static str = "test.Modest";
    const ALIASES: &'static [&'static str] = &["test.Humble"];
    const NEEDS: Needs =
        Needs { capabilities: Some(&["secrets=MODEST_*", "kv", "process=git"]), ..Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        Ok(try_all(&self.calls, cx))
    }
}
