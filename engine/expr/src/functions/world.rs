//! Functions that ask the environment: the clock, secrets, files, stored values, chance.

use super::Function;
use crate::Value;
use crate::arguments::Args;
use crate::error::Fault;
use crate::eval::Evaluator;
use crate::filters;
use crate::values::{self, Entries};

const HTTP_PARAMETERS: &[&str] =
    &["uri", "method", "query", "body", "contentType", "headers", "options", "accept"];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("decrypt", &["key", "encrypted"], 2, |scope, args| {
        let decrypted = scope.engine.env.decrypt(&args.text(0)?, &args.text(1)?)?;
        scope.engine.text(decrypted)
    }),
    Function::new("encrypt", &["key", "plaintext"], 2, |scope, args| {
        let encrypted = scope.engine.env.encrypt(&args.text(0)?, &args.text(1)?)?;
        scope.engine.text(encrypted)
    }),
    Function::new("errorLogs", &[], 0, |scope, _| scope.engine.env.error_logs()),
    Function::new("fileEmpty", &["path", "namespace"], 1, is_file_empty),
    Function::new("fileExists", &["path", "namespace"], 1, |scope, args| {
        Ok(Value::from(scope.engine.env.file_exists(&file(args)?)?))
    }),
    Function::new("fileSize", &["path", "namespace"], 1, |scope, args| {
        Ok(Value::from(scope.engine.env.file_size(&file(args)?)?))
    }),
    Function::new("fileURI", &["path"], 1, |scope, args| {
        let uri = scope.engine.env.file_uri(&args.text(0)?)?;
        scope.engine.text(uri)
    }),
    Function::new("http", HTTP_PARAMETERS, 1, http),
    Function::new("id", &[], 0, |scope, _| Ok(Value::from(base_62(random(scope)?)))),
    Function::new("isFileEmpty", &["path", "namespace"], 1, is_file_empty),
    Function::new("kv", &["key", "namespace", "errorOnMissing"], 1, kv),
    Function::new("now", &["format", "timeZone", "existingFormat", "locale"], 0, |scope, args| {
        filters::now(args, scope.engine)
    }),
    Function::new("randomInt", &["lower", "upper"], 2, random_int),
    Function::new("randomPort", &[], 0, |scope, _| Ok(Value::from(i64::from(scope.engine.env.free_port()?)))),
    Function::new("read", &["path", "namespace"], 1, |scope, args| {
        let text = scope.engine.env.read(&file(args)?)?;
        scope.engine.text(text)
    }),
    Function::new("secret", &["key", "namespace", "subkey"], 1, secret),
    Function::new("uuid", &[], 0, |scope, _| Ok(Value::from(uuid(random(scope)?)))),
];

/// The file meant by `path` and `namespace`: an address, or a path among the namespace's files.
fn file(args: &Args<'_>) -> Result<String, Fault> {
    let path = args.text(0)?;
    match args.opt_text(1)? {
        Some(namespace) if !path.starts_with("kestra://") => {
            Ok(format!("kestra:///{}/_files/{}", namespace.replace('.', "/"), path.trim_start_matches('/')))
        }
        _ => Ok(path.into_owned()),
    }
}

fn is_file_empty(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    Ok(Value::from(scope.engine.env.file_size(&file(args)?)? == 0))
}

/// The arguments that are given, by their names, are the request.
fn http(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let mut request = Entries::new();
    for (index, parameter) in HTTP_PARAMETERS.iter().enumerate() {
        if let Some(value) = args.get(index) {
            request.insert((*parameter).to_string(), value.clone());
        }
    }
    let request = scope.engine.map(request)?;
    scope.engine.env.http(&request)
}

fn kv(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let (key, namespace) = (args.text(0)?, args.opt_text(1)?);
    let found = scope.engine.env.kv(&key, namespace.as_deref())?;
    match found {
        Some(value) => Ok(value),
        None if args.opt_flag(2)?.unwrap_or(true) => {
            let place =
                namespace.map_or(String::new(), |namespace| format!(" in the namespace `{namespace}`"));
            Err(Fault::new(format!("there is no stored value `{key}`{place}"))
                .with_hint(format!("write `kv('{key}', errorOnMissing=false) ?? ...` if it may be missing")))
        }
        None => Ok(values::null()),
    }
}

/// Secrets belong to the installation, so `namespace` is accepted and changes nothing; with `subkey` the secret is a
/// JSON object and one of its values is meant.
fn secret(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let key = args.text(0)?;
    let secret = scope.engine.env.secret(&key)?;
    let Some(subkey) = args.opt_text(2)?.filter(|subkey| !subkey.is_empty()) else {
        return scope.engine.text(secret);
    };
    // What serde says of the text could quote it.
    let json: serde_json::Value = serde_json::from_str(&secret)
        .map_err(|_| Fault::new(format!("the secret `{key}` is not JSON, so it has no key `{subkey}`")))?;
    let value = match json.get(&*subkey) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => return Err(Fault::new(format!("the secret `{key}` has no key `{subkey}`"))),
    };
    scope.engine.env.hide(&value);
    scope.engine.text(value)
}

fn random(scope: &Evaluator<'_>) -> Result<u128, Fault> {
    let env = scope.engine.env;
    Ok(u128::from(env.random()?) << 64 | u128::from(env.random()?))
}

fn random_int(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let (lower, upper) = (args.integer(0)?, args.integer(1)?);
    if upper < lower {
        return Err(Fault::new(format!("`randomInt` from {lower} to {upper} is empty"))
            .with_hint("the first argument is the least number, the second is greater than the greatest"));
    }
    let count = i128::from(upper) - i128::from(lower);
    let offset = if count == 0 { 0 } else { i128::from(scope.engine.env.random()?) % count };
    // Between two integers of 64 bits is another one.
    Ok(Value::from(i64::try_from(i128::from(lower) + offset).unwrap_or(lower)))
}

/// A UUID of version 4.
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let text = format!("{bits:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// 22 characters, as Kestra's identifiers are.
fn base_62(mut number: u128) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 22];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_form() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(base_62(0), "0".repeat(22));
        assert_eq!(base_62(u128::MAX), "7n42DGM5Tflk9n8mt7Fhc7");
    }
}
