//! Connections of guests, to real servers on this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use weft_host::{Capability, Grants, Host, HostOptions};
use weft_model::{Failure, Map};
use weft_network::{Network, NetworkOptions};

use crate::support::{Engine, Place, call};

/// What is denied to the guest in these tests, beside the usual: a network that leads nowhere (RFC 5737).
const DENIED: &str = "192.0.2.0/24";

fn host(place: &Place, capability: Option<Capability>) -> Host {
    let network = NetworkOptions {
        read_timeout: Duration::from_secs(2),
        deny: vec![DENIED.parse().unwrap()],
        ..NetworkOptions::default()
    };
    let granted = capability.map_or(Grants::none(), |capability| Grants::none().with(capability));
    Host::new(HostOptions {
        grants: [("behaviours".to_owned(), granted)].into(),
        network: Network::new(network),
        ..place.options()
    })
}

/// A server over real sockets that answers each connection by `serve`, and gives its address.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads one request; its first line and its body. None if it is something else, such as the beginning of TLS.
fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        bytes.push(byte[0]);
        if !bytes[0].is_ascii_uppercase() {
            return None;
        }
    }
    let head = String::from_utf8(bytes).ok()?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head.lines().next().unwrap_or_default().to_owned(), body))
}

/// A server for HTTP with one path for each thing that can happen.
fn web() -> String {
    server(|mut stream| {
        let Some((line, body)) = request(&mut stream) else { return };
        let answer = match line.split(' ').nth(1).unwrap_or_default() {
            "/ok" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned(),
            "/short" => "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello".to_owned(),
            "/not-http" => "220 smtp ready\r\n".to_owned(),
            "/metadata" => {
                "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n"
                    .to_owned()
            }
            "/there" => {
                "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n"
                    .to_owned()
            }
            "/round" => {
                "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: /round\r\ncontent-length: 0\r\n\r\n"
                    .to_owned()
            }
            "/silent" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").unwrap();
                thread::sleep(Duration::from_secs(30));
                return;
            }
            "/refuses" => {
                "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno".to_owned()
            }
            "/length" => {
                let text = body.len().to_string();
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
            }
            path => {
                thread::sleep(Duration::from_millis(20));
                let text = format!("{path} {}", body.len());
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                )
            }
        };
        let _ = stream.write_all(answer.as_bytes());
    })
}

async fn run(host: &Host, type_name: &str, properties: Value) -> (Arc<Engine>, Result<Map, Failure>) {
    let engine = Arc::new(Engine::new());
    let result =
        host.run(type_name, call(properties), Arc::clone(&engine) as _, std::future::pending()).await;
    (engine, result)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_out_and_its_answer_goes_to_a_file() {
    let (place, web) = (Place::with_behaviours(), web());
    let host = host(&place, Some(Capability::Http));
    let properties = json!({"url": format!("http://{web}/there"), "redirects": 3});
    let (engine, result) = run(&host, "test.Http", properties).await;
    let expected = json!({"status": 200, "url": format!("http://{web}/ok"), "length": 5});
    assert_eq!(Value::Object(result.unwrap()), expected);
    assert_eq!(std::fs::read_to_string(engine.work.path().join("answer.bin")).unwrap(), "hello");

    let text = "x".repeat(3_000_000);
    let properties = json!({"url": format!("http://{web}/length"), "send": text, "redirects": 0});
    let (engine, result) = run(&host, "test.Http", properties).await;
    assert_eq!(result.unwrap()["status"], 200);
    assert_eq!(std::fs::read_to_string(engine.work.path().join("answer.bin")).unwrap(), "3000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_code() {
    let (place, web) = (Place::with_behaviours(), web());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = host(&place, Some(Capability::Http));
    for (url, code, message, retryable) in [
        (format!("http://{web}/short"), "network.interrupted", "closed the connection before", true),
        (format!("http://{web}/not-http"), "network.protocol", "does not answer in HTTP/1.1", false),
        (format!("http://{web}/silent"), "network.timeout", "the next part of the answer took longer", true),
        (format!("http://{web}/metadata"), "network.denied", "it is a link-local address", false),
        (format!("http://{web}/round"), "http.redirects", "redirects more than 3 times", false),
        ("http://169.254.169.254/".to_owned(), "network.denied", "it is a link-local address", false),
        ("http://2852039166/".to_owned(), "network.denied", "`2852039166` (169.254.169.254)", false),
        ("http://192.0.2.1/".to_owned(), "network.denied", "the configuration denies `192.0.2.0/24`", false),
        (format!("http://{free}/"), "network.connect", "connection refused", true),
        (format!("https://{web}/ok"), "network.tls", "no secure connection", false),
        ("http://nowhere.invalid/".to_owned(), "network.lookup", "cannot find the address", true),
        ("gopher://a/".to_owned(), "http.url", "expected one that begins with `http://`", false),
    ] {
        let failure = run(&host, "test.Http", json!({"url": url, "redirects": 3})).await.1.expect_err(&url);
        assert_eq!((failure.code.as_str(), failure.retryable), (code, retryable), "{url}: {failure:?}");
        assert!(failure.message.contains(message), "{url}: {}", failure.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_early_ends_the_sending() {
    let place = Place::with_behaviours();
    let host = host(&place, Some(Capability::Http));
    // Answers without reading more than the beginning of what is sent.
    let early = server(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ =
            stream.write_all(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno");
        // Closing at once could overtake the answer.
        thread::sleep(Duration::from_secs(5));
    });
    let text = "x".repeat(12_000_000);
    let properties = json!({"url": format!("http://{early}/"), "send": text, "redirects": 0});
    let (_, result) = run(&host, "test.Http", properties).await;
    assert_eq!(result.unwrap()["status"], 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_run_beside_each_other() {
    let (place, web) = (Place::with_behaviours(), web());
    let host = host(&place, Some(Capability::Http));
    let properties = json!({"url": format!("http://{web}"), "count": 20, "at_a_time": 5, "bytes": 300_001});
    let (_, result) = run(&host, "test.Many", properties).await;
    let expected: Vec<_> = (0..20).map(|n| format!("/{n} 300000")).collect();
    assert_eq!(result.unwrap()["texts"], json!(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_grant_nothing_goes_out() {
    let (place, web) = (Place::with_behaviours(), web());
    for (type_name, properties, granted, capability) in [
        ("test.Http", json!({"url": format!("http://{web}/ok"), "redirects": 0}), Capability::Tcp, "http"),
        ("test.Tcp", json!({"address": web, "text": ""}), Capability::Http, "tcp"),
        ("test.Tcp", json!({"address": "localhost:80", "text": ""}), Capability::Http, "tcp"),
    ] {
        for granted in [None, Some(granted)] {
            let failure = run(&host(&place, granted), type_name, properties.clone()).await.1.unwrap_err();
            assert_eq!(failure.code, "capability.denied", "{type_name}: {failure:?}");
            assert!(
                failure.message.contains(&format!("`--grant behaviours:{capability}`")),
                "{}",
                failure.message
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_connect_by_name_and_address_under_the_same_rules() {
    let place = Place::with_behaviours();
    let host = host(&place, Some(Capability::Tcp));
    let echo = server(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let port = echo.rsplit(':').next().unwrap().to_owned();
    for address in [echo.clone(), format!("localhost:{port}")] {
        let (_, result) = run(&host, "test.Tcp", json!({"address": address, "text": "ping"})).await;
        assert_eq!(result.expect(&address)["text"], "ping");
    }
    for address in ["169.254.169.254:80", "[fe80::1]:80", "192.0.2.1:80"] {
        let failure = run(&host, "test.Tcp", json!({"address": address, "text": ""})).await.1.unwrap_err();
        assert_eq!(failure.code, "network.denied", "{address}: {failure:?}");
    }
}
