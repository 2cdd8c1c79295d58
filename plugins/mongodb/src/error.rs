//! Failures with their codes.

use bson::Document;
use weft_sdk::Error;

/// The connection string cannot be used.
pub fn uri(message: impl Into<String>) -> Error {
    Error::new("mongodb.uri", message)
}

/// The server was not heard, or not understood.
pub fn connection(message: impl Into<String>) -> Error {
    Error::new("mongodb.connection", message).retryable()
}

/// The user or the password is wrong, or the server does not say that it knows them.
pub fn authentication(message: impl Into<String>) -> Error {
    Error::new("mongodb.authentication", message)
}

/// Adds to the failure of a connection which properties to look at.
pub fn unreached(error: Error) -> Error {
    match error.code() {
        "network.certificate" => error.hint(
            "give the authority's certificate as `connection.caPem` or, for every task, name its file in `network: \
             {caFile: FILE}` of the configuration",
        ),
        // A rule of the operator, and a file of authorities, have hints of their own.
        "network.denied" | "network.authorities" | "mongodb.uri" => error,
        _ => error.hint(
            "look at host, port and `tls` in `connection.uri`; `serverSelectionTimeoutMS` in it says how long a \
             server is tried",
        ),
    }
}

/// Adds who refused to let the user in, and which property to look at.
pub fn not_signed_in(error: Error, peer: &str) -> Error {
    let error = error.context(&format!("`{peer}`"));
    match error.code() {
        "mongodb.authentication" => error.hint(
            "look at user, password, `authSource` and `authMechanism` in `connection.uri`; in user and password \
             `@`, `:`, `/`, `?` and `%` are percent-encoded",
        ),
        _ => error,
    }
}

/// A document of the flow or of a file is none.
pub fn document(message: impl Into<String>) -> Error {
    Error::new("mongodb.document", message)
}

/// What the server says about a command that it did not carry out.
pub fn command(name: &str, reply: &Document) -> Error {
    let code = number(reply, "code");
    let text = reply.get_str("errmsg").unwrap_or("no reason was given");
    let message = format!("the server refused `{name}`: {text} (code {code})");
    match code {
        18 => authentication("user or password is wrong, or the user is not in the database `authSource`"),
        13 => Error::new("mongodb.unauthorized", message)
            .hint("look at the user in `connection.uri`, and at what its roles allow"),
        _ if is_passing(code) => connection(message),
        _ => Error::new("mongodb.command", message),
    }
}

/// Codes of a server that is shutting down, or is not the primary any more: another attempt may find it well.
fn is_passing(code: i64) -> bool {
    matches!(code, 6 | 7 | 89 | 91 | 112 | 189 | 262 | 9001 | 10_107 | 11_600 | 11_602 | 13_435 | 13_436)
}

/// A number of whatever type.
pub fn number(document: &Document, key: &str) -> i64 {
    match document.get(key) {
        Some(bson::Bson::Int32(number)) => i64::from(*number),
        Some(bson::Bson::Int64(number)) => *number,
        Some(bson::Bson::Double(number)) => *number as i64,
        Some(bson::Bson::Boolean(flag)) => i64::from(*flag),
        _ => 0,
    }
}
