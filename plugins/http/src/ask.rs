//! From properties to an answer.

use serde_json::{Map, Value, json};
use weft_sdk::http::{Body, HttpOptions, Request, Response, basic_auth};
use weft_sdk::{Context, Error, Result};

use crate::form;
use crate::properties::{Auth, AuthType, LogWhat, Properties, Proxy, ProxyType};

/// How many redirects are followed.
const REDIRECTS: u32 = 20;
/// How much of an answer that is a failure goes into the message.
const EXCERPT: usize = 2000;
/// Header fields whose values nobody should read.
const SECRET: [&str; 5] = ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"];

/// Sends the request, and gives an answer that counts as success.
pub fn ask(properties: &Properties, cx: &Context) -> Result<Response> {
    let options = &properties.options;
    if let Some(charset) = options.default_charset.as_deref().filter(|charset| !is_utf8(charset)) {
        let message =
            format!("property `options.defaultCharset`: `{charset}` is not supported, only `UTF-8` is");
        return Err(Error::new("property.invalid", message));
    }
    cx.http().configure(&HttpOptions {
        insecure: [&options.ssl, &properties.ssl_options]
            .into_iter()
            .flatten()
            .any(|ssl| ssl.insecure_trust_all_certificates == Some(true)),
        ca_pem: None,
        proxy: proxy(properties)?,
        connect_timeout_ms: options
            .timeout
            .as_ref()
            .and_then(|timeout| timeout.connect_timeout)
            .or(options.connect_timeout)
            .map(|limit| u64::try_from(limit.0.as_millis()).unwrap_or(u64::MAX)),
    })?;
    let request = request(properties, cx)?;
    if properties.logs(LogWhat::RequestHeaders) {
        log_headers(cx, "request", request.headers());
    }
    if let (true, Some(body)) = (properties.logs(LogWhat::RequestBody), &properties.body) {
        cx.log().debug(format!("request body: {body}"));
    }
    let redirects = if options.follow_redirects.unwrap_or(true) { REDIRECTS } else { 0 };
    let response =
        if redirects == 0 { cx.http().send(request) } else { cx.http().follow(request, redirects) };
    let response = response.map_err(|error| match error.code() {
        "network.certificate" => error.hint(
            "name the authority's certificate in `network: {caFile: FILE}` of the configuration, or take every \
             certificate with `options: {ssl: {insecureTrustAllCertificates: true}}`",
        ),
        _ => error,
    })?;
    if properties.logs(LogWhat::ResponseHeaders) {
        log_headers(cx, "response", response.headers());
    }
    if properties.accepts(response.status()) {
        Ok(response)
    } else {
        Err(refused(response, credentials_in(properties)))
    }
}

/// The property that says who asks, if one does.
fn credentials_in(properties: &Properties) -> Option<&'static str> {
    let options = &properties.options;
    let mut headers = properties.headers.iter().flatten();
    let authority = properties.uri.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
    if options.auth.is_some() {
        Some("options.auth")
    } else if options.basic_auth_user.is_some() {
        Some("options.basicAuthUser")
    } else if headers.any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        Some("headers.Authorization")
    } else if authority.is_some_and(|authority| authority.contains('@')) {
        Some("uri")
    } else {
        None
    }
}

fn request(properties: &Properties, cx: &Context) -> Result<Request> {
    let method = properties.method.as_deref().unwrap_or("GET").trim().to_ascii_uppercase();
    let mut request = Request::new(method, with_params(&properties.uri, properties.params.as_ref()));
    let (mut content_type, body) = match (&properties.form_data, &properties.body) {
        (Some(fields), _) if !fields.is_empty() => {
            form::form(fields, properties.content_type.as_deref(), cx)?
        }
        (_, Some(body)) => {
            let content_type = properties.content_type.as_deref().unwrap_or("application/json");
            (Some(content_type.to_owned()), Body::from(body.as_ref()))
        }
        _ => (properties.content_type.as_deref().map(str::to_owned), Body::default()),
    };
    for (name, value) in properties.headers.iter().flatten() {
        if name.eq_ignore_ascii_case("content-type") && properties.form_data.is_none() {
            content_type = None;
        }
        // These come by themselves, and must say the truth.
        if !["host", "content-length", "connection", "transfer-encoding"]
            .contains(&&*name.to_ascii_lowercase())
        {
            request = request.header(name, value.trim());
        }
    }
    if let Some(content_type) = content_type {
        request = request.header("Content-Type", content_type);
    }
    if let Some(authorization) = authorization(properties)? {
        request = request.header("Authorization", authorization);
    }
    let options = &properties.options;
    let idle = options.timeout.as_ref().and_then(|timeout| timeout.read_idle_timeout);
    let first = options.read_timeout.or(idle).map(|limit| limit.0);
    let between = idle.or(options.read_idle_timeout).or(options.read_timeout).map(|limit| limit.0);
    Ok(request.body(body).patience(first, between))
}

fn authorization(properties: &Properties) -> Result<Option<String>> {
    let options = &properties.options;
    let missing = |name: &str, kind: &str| {
        Error::new("property.missing", format!("property `options.auth.{name}` is needed for `{kind}`"))
    };
    match &options.auth {
        Some(Auth { kind: Some(AuthType::Bearer), token, .. }) => {
            let token = token.as_deref().ok_or_else(|| missing("token", "BEARER"))?;
            Ok(Some(format!("Bearer {token}")))
        }
        Some(Auth { username, password, .. }) => {
            let username = username.as_deref().ok_or_else(|| missing("username", "BASIC"))?;
            Ok(Some(basic_auth(username, password.as_deref().unwrap_or_default())))
        }
        None => Ok(options
            .basic_auth_user
            .as_deref()
            .map(|user| basic_auth(user, options.basic_auth_password.as_deref().unwrap_or_default()))),
    }
}

fn proxy(properties: &Properties) -> Result<Option<String>> {
    let options = &properties.options;
    let former = Proxy {
        kind: options.proxy_type,
        address: options.proxy_address.clone(),
        port: options.proxy_port,
        username: options.proxy_username.clone(),
        password: options.proxy_password.clone(),
    };
    let proxy = options.proxy.as_ref().unwrap_or(&former);
    let scheme = match proxy.kind {
        Some(ProxyType::Direct) => return Ok(Some("none".to_owned())),
        Some(ProxyType::Socks) => "socks5",
        Some(ProxyType::Http) => "http",
        None if proxy.address.is_some() => "http",
        None => return Ok(None),
    };
    let Some(address) = proxy.address.as_deref() else {
        return Err(Error::new("property.missing", "property `options.proxy.address` is needed for a proxy"));
    };
    let user = match (proxy.username.as_deref(), proxy.password.as_deref()) {
        (Some(user), password) => {
            format!("{}:{}@", form::encoded(user), form::encoded(password.unwrap_or_default()))
        }
        (None, _) => String::new(),
    };
    let port = proxy.port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(Some(format!("{scheme}://{user}{address}{port}")))
}

/// The URL with more parameters.
fn with_params(uri: &str, params: Option<&Map<String, Value>>) -> String {
    let Some(params) = params.filter(|params| !params.is_empty()) else { return uri.to_owned() };
    let (uri, fragment) = match uri.split_once('#') {
        Some((uri, fragment)) => (uri, Some(fragment)),
        None => (uri, None),
    };
    let separator = if uri.contains('?') { '&' } else { '?' };
    let mut all = format!("{uri}{separator}{}", form::urlencoded(params));
    if let Some(fragment) = fragment {
        all.push('#');
        all.push_str(fragment);
    }
    all
}

/// The failure that an answer is; `credentials` is the property that said who asks.
fn refused(mut response: Response, credentials: Option<&str>) -> Error {
    let status = response.status();
    let place = response.url().split('?').next().unwrap_or_default().to_owned();
    let retry_after = response.header("retry-after").map(str::to_owned);
    // What cannot be read of a refusal does not matter.
    let mut excerpt = Vec::new();
    while excerpt.len() < EXCERPT {
        match response.chunk(EXCERPT - excerpt.len()) {
            Ok(chunk) if !chunk.is_empty() => excerpt.extend_from_slice(&chunk),
            _ => break,
        }
    }
    let excerpt = String::from_utf8_lossy(&excerpt).trim().to_owned();
    let mut message = match (status, credentials) {
        (401, Some(property)) => {
            format!(
                "`{place}` answered with status 401, Unauthorized: the credentials in `{property}` were refused"
            )
        }
        _ => format!("`{place}` answered with status {status}{}", meaning(status)),
    };
    if !excerpt.is_empty() {
        message.push('\n');
        message.push_str(&excerpt);
    }
    let detail = json!({"status": status, "retryAfter": retry_after});
    let error = Error::new("http.status", message).detail(&detail);
    if matches!(status, 408 | 425 | 429) || status >= 500 { error.retryable() } else { error }
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => ", Bad Request",
        401 => ", Unauthorized: it wants to know who asks",
        403 => ", Forbidden",
        404 => ", Not Found",
        405 => ", Method Not Allowed",
        407 => ", Proxy Authentication Required",
        408 => ", Request Timeout",
        409 => ", Conflict",
        410 => ", Gone",
        413 => ", Content Too Large",
        415 => ", Unsupported Media Type",
        422 => ", Unprocessable Content",
        429 => ", Too Many Requests",
        500 => ", Internal Server Error",
        502 => ", Bad Gateway",
        503 => ", Service Unavailable",
        504 => ", Gateway Timeout",
        _ => "",
    }
}

fn log_headers(cx: &Context, what: &str, headers: &[(String, String)]) {
    for (name, value) in headers {
        let secret = SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        cx.log().debug(format!("{what} header {name}: {}", if secret { "******" } else { value }));
    }
}

/// The header fields of an answer as flows see them: names in lower case, each with its values.
pub fn headers(response: &Response) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in response.headers() {
        let values = all.entry(name.to_ascii_lowercase()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(value.as_str().into());
        }
    }
    all
}

/// The metric of both tasks.
pub fn count(cx: &Context, properties: &Properties, status: u16, length: u64) {
    let status = status.to_string();
    let method = properties.method.as_deref().unwrap_or("GET");
    cx.counter("response.length", length as f64, &[("request", method), ("response", &status)]);
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}
