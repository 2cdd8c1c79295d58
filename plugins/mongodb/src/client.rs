//! A connection to a server that takes writes: finding it, signing in, and one command after the other.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use weft_sdk::{Context, Error, Result, TcpOptions};

use crate::error;
use crate::scram::Scram;
use crate::uri::{Host, Mechanism, Uri, User, WriteConcern, member};
use crate::wire::{Sequence, Wire};

/// From one look at all members of a replica set to the next, while it has no primary.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// So many servers are asked in one look at most: a replica set has 50 members, and one that names another one for each that
/// is asked is none.
const MOST_HOSTS: usize = 100;
/// Servers from 4.4 on know `hello`; this is what those before say about it.
const COMMAND_NOT_FOUND: i64 = 59;

/// What a server takes at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one document.
    pub document: usize,
    /// Bytes of one message.
    pub message: usize,
    /// Documents of one command.
    pub batch: usize,
}

/// A connection to a server that takes writes.
pub struct Client {
    wire: Wire,
    limits: Limits,
    write_concern: Option<Document>,
}

/// What a server says of itself.
struct Hello {
    reply: Document,
}

impl Hello {
    fn is_writable(&self) -> bool {
        self.reply.get_bool("isWritablePrimary").or_else(|_| self.reply.get_bool("ismaster")).unwrap_or(false)
    }

    fn set_name(&self) -> Option<&str> {
        self.reply.get_str("setName").ok()
    }

    /// The primary first, where it is known.
    fn members(&self) -> Vec<Host> {
        let primary = self.reply.get_str("primary").ok();
        let listed =
            ["hosts", "passives"].into_iter().filter_map(|name| self.reply.get_array(name).ok()).flatten();
        primary.into_iter().chain(listed.filter_map(Bson::as_str)).filter_map(member).collect()
    }

    fn limits(&self) -> Limits {
        let limit = |name, usual: usize| match error::number(&self.reply, name) {
            number if number > 0 => usize::try_from(number).unwrap_or(usual),
            _ => usual,
        };
        Limits {
            document: limit("maxBsonObjectSize", 16 << 20),
            message: limit("maxMessageSizeBytes", 48_000_000),
            batch: limit("maxWriteBatchSize", 100_000),
        }
    }

    fn mechanism(&self) -> Mechanism {
        let named = self.reply.get_array("saslSupportedMechs").ok();
        let knows =
            |name: &str| named.is_some_and(|named| named.iter().any(|known| known.as_str() == Some(name)));
        if knows("SCRAM-SHA-256") || named.is_none() { Mechanism::ScramSha256 } else { Mechanism::ScramSha1 }
    }
}

impl Client {
    /// Finds a server that takes writes, and signs in.
    pub fn connect(cx: &Context, uri: Uri, ca_pem: Option<String>) -> Result<Self> {
        let options = TcpOptions {
            tls: uri.tls.on,
            insecure: uri.tls.insecure,
            ca_pem,
            connect_timeout: Some(uri.connect_timeout),
            read_timeout: uri.read_timeout,
        };
        let (mut wire, hello) = find(cx, &uri, &options)?;
        if let Some(user) = &uri.user {
            let mechanism = uri.mechanism.unwrap_or_else(|| hello.mechanism());
            sign_in(&mut wire, user, mechanism, &uri.auth_source)
                .map_err(|error| error::not_signed_in(error, wire.peer()))?;
        }
        cx.log().debug(format!("connected to `{}`", wire.peer()));
        Ok(Self { wire, limits: hello.limits(), write_concern: write_concern(&uri.write_concern) })
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The command with what the connection string says about writes.
    pub fn writing(&self, mut command: Document) -> Document {
        if let Some(concern) = &self.write_concern {
            command.insert("writeConcern", concern.clone());
        }
        command
    }

    /// Whether a reply can be expected to say what was done: not for writes that nobody is to confirm.
    pub fn is_acknowledged(&self) -> bool {
        !self
            .write_concern
            .as_ref()
            .is_some_and(|concern| error::number(concern, "w") == 0 && concern.contains_key("w"))
    }

    /// Sends a command whose reply is taken later, by [`Self::reply`].
    pub fn send(&mut self, command: &Document, sequence: Option<Sequence<'_>>) -> Result<()> {
        self.wire.send(command, sequence)
    }

    /// The reply to the command `name`, if the server carried it out. Whether single documents were refused is for the
    /// caller to see.
    pub fn reply(&mut self, name: &str) -> Result<Document> {
        checked(name, self.wire.receive()?)
    }

    /// A command and its reply.
    pub fn run(&mut self, name: &str, command: &Document) -> Result<Document> {
        self.send(command, None)?;
        self.reply(name)
    }
}

fn checked(name: &str, reply: Document) -> Result<Document> {
    if error::number(&reply, "ok") == 1 { Ok(reply) } else { Err(error::command(name, &reply)) }
}

fn write_concern(given: &WriteConcern) -> Option<Document> {
    if given.is_default() {
        return None;
    }
    let mut concern = Document::new();
    if let Some(w) = &given.w {
        let w = w.parse::<i32>().map_or_else(|_| Bson::String(w.clone()), Bson::Int32);
        concern.insert("w", w);
    }
    if let Some(journal) = given.journal {
        concern.insert("j", journal);
    }
    if let Some(timeout) = given.timeout_ms {
        concern.insert("wtimeout", timeout);
    }
    Some(concern)
}

/// Asks the hosts of the connection string, and those that they name, until one takes writes.
fn find(cx: &Context, uri: &Uri, options: &TcpOptions) -> Result<(Wire, Hello)> {
    let begin = Instant::now();
    let mut is_first_look = true;
    loop {
        let mut waiting: VecDeque<Host> = uri.hosts.iter().cloned().collect();
        let mut asked: HashSet<Host> = HashSet::new();
        let mut problem = None;
        while let Some(host) = waiting.pop_front().filter(|_| asked.len() < MOST_HOSTS) {
            if !asked.insert(host.clone()) {
                continue;
            }
            match ask(cx, uri, &host, options) {
                Ok((wire, hello)) => {
                    if uri.direct || hello.is_writable() {
                        if let Some(wanted) = uri.replica_set.as_deref().filter(|_| !uri.direct)
                            && hello.set_name() != Some(wanted)
                        {
                            let found = hello
                                .set_name()
                                .map_or_else(|| "of none".to_owned(), |name| format!("of `{name}`"));
                            return Err(error::uri(format!(
                                "`{host}` is no member of the replica set `{wanted}`, but {found}"
                            )));
                        }
                        return Ok((wire, hello));
                    }
                    // The primary is asked before anybody else.
                    for member in hello.members().into_iter().rev() {
                        waiting.push_front(member);
                    }
                    problem.get_or_insert(error::connection(format!(
                        "`{host}` takes no writes, and knows nobody who does"
                    )));
                }
                Err(error) if is_final(&error) => return Err(error::unreached(error)),
                Err(error) => problem = Some(error),
            }
        }
        let problem = problem.unwrap_or_else(|| error::connection("no server was found"));
        if begin.elapsed() + LOOK_AGAIN > uri.selection_timeout || cx.cancelled() {
            return Err(error::unreached(problem));
        }
        if std::mem::take(&mut is_first_look) {
            let reason = problem.message().lines().next().unwrap_or_default();
            cx.log().warn(format!(
                "{reason}; it is tried again for {:?} (`serverSelectionTimeoutMS` of `connection.uri`)",
                uri.selection_timeout
            ));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Whether another look will not help.
fn is_final(error: &Error) -> bool {
    !error.is_retryable()
}

fn ask(cx: &Context, uri: &Uri, host: &Host, options: &TcpOptions) -> Result<(Wire, Hello)> {
    let stream = cx.tcp().connect(&host.name, host.port, options)?;
    let mut wire = Wire::new(Box::new(stream), host.to_string());
    let mut hello = doc! {
        "hello": 1,
        "helloOk": true,
        "client": {
            "driver": { "name": "weft", "version": env!("CARGO_PKG_VERSION") },
            "os": { "type": "wasi" },
        },
        "$db": "admin",
    };
    if let (Some(name), Ok(client)) = (&uri.app_name, hello.get_document_mut("client")) {
        client.insert("application", doc! { "name": name });
    }
    if let Some(user) = &uri.user {
        hello.insert("saslSupportedMechs", format!("{}.{}", uri.auth_source, user.name));
    }
    wire.send(&hello, None)?;
    let mut reply = wire.receive()?;
    if error::number(&reply, "code") == COMMAND_NOT_FOUND {
        let mut old = doc! { "isMaster": 1 };
        old.extend(hello.into_iter().skip(1));
        wire.send(&old, None)?;
        reply = wire.receive()?;
    }
    Ok((wire, Hello { reply: checked("hello", reply)? }))
}

fn sign_in(wire: &mut Wire, user: &User, mechanism: Mechanism, source: &str) -> Result<()> {
    let nonce: String = bson::oid::ObjectId::new().to_hex() + &bson::Uuid::new().to_string();
    let scram = Scram::new(mechanism, user, nonce);
    let binary = |text: String| {
        Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: text.into_bytes() })
    };
    let payload = |reply: &Document| {
        let bytes = reply.get_binary_generic("payload").cloned().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    };
    let start = doc! {
        "saslStart": 1, "mechanism": mechanism.name(), "payload": binary(scram.first()),
        "options": { "skipEmptyExchange": true }, "$db": source,
    };
    let mut exchange = |name: &str, command: &Document| -> Result<Document> {
        wire.send(command, None)?;
        checked(name, wire.receive()?)
    };
    let reply = exchange("saslStart", &start)?;
    let (message, expected) = scram.second(&payload(&reply))?;
    let conversation = reply.get("conversationId").cloned().unwrap_or(Bson::Int32(1));
    let next = |payload: Bson| {
        doc! { "saslContinue": 1, "conversationId": conversation.clone(), "payload": payload, "$db": source }
    };
    let reply = exchange("saslContinue", &next(binary(message)))?;
    expected.check(&payload(&reply))?;
    if !reply.get_bool("done").unwrap_or(false) {
        // Servers before 4.4 want one more, empty exchange.
        exchange("saslContinue", &next(binary(String::new())))?;
    }
    Ok(())
}
