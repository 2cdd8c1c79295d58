//! HTTP tasks against a server over real sockets: redirects, slow bodies, wrong lengths, forms, large files.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::Sandbox;

/// The head and the body of a request.
type Seen = (String, Vec<u8>);

/// A small HTTP server of the tests' own.
pub struct Web {
    pub address: String,
    /// Every request as it came.
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Web {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                thread::spawn(move || while serve(&stream, &log).is_some() {});
            }
        });
        Self { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn last(&self) -> (String, Vec<u8>) {
        self.seen.lock().unwrap().last().cloned().unwrap()
    }
}

/// Answers one request; none when the connection is to end.
fn serve(mut stream: &TcpStream, log: &Mutex<Vec<(String, Vec<u8>)>>) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().to_owned())
        })
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    log.lock().unwrap().push((head.clone(), body.clone()));
    let path = head.split(' ').nth(1)?;
    let mut answer = |status: &str, headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()
    };
    match path.split('?').next()? {
        "/orders.csv" => answer("200 OK", "content-type: text/csv\r\n", b"id,price\n1,9\n"),
        "/named" => {
            answer("200 OK", "content-disposition: attachment; filename=\"report 1.csv\"\r\n", b"x\n")
        }
        "/moved" => answer("302 Found", "location: /orders.csv\r\n", b""),
        "/metadata" => answer("302 Found", "location: http://169.254.169.254/latest/meta-data/\r\n", b""),
        "/empty" => answer("200 OK", "", b""),
        "/missing" => answer("404 Not Found", "", b"no such thing"),
        "/echo" => answer("200 OK", "", &body),
        "/short" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").ok()?;
            None
        }
        "/long" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmore than four").ok()?;
            None
        }
        "/slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok()?;
            for _ in 0..5 {
                thread::sleep(Duration::from_millis(150));
                stream.write_all(b"5\r\nslow\n\r\n").ok()?;
            }
            stream.write_all(b"0\r\n\r\n").ok()
        }
        "/hangs" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").ok()?;
            thread::sleep(Duration::from_secs(30));
            None
        }
        "/busy" => answer("503 Service Unavailable", "retry-after: 1\r\n", b""),
        "/large" => {
            let size: usize = path.split("size=").nth(1)?.parse().ok()?;
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").as_bytes()).ok()?;
            let block = vec![b'x'; 1 << 20];
            let mut left = size;
            while left > 0 {
                let count = left.min(block.len());
                stream.write_all(&block[..count]).ok()?;
                left -= count;
            }
            Some(())
        }
        _ => answer("200 OK", "", b"ok"),
    }
}

fn flow(tasks: &str) -> String {
    format!("id: http\nnamespace: tests\ntasks:\n{tasks}")
}

#[test]
fn the_flow_of_the_documentation_downloads() {
    let (sandbox, web) = (Sandbox::new(), Web::start());
    // `download` of the documentation, with another address.
    let execution = sandbox
        .run_flow(&format!(
            "id: download\nnamespace: dev\ntasks:\n  - id: http\n    type: io.kestra.plugin.fs.http.Download\n    uri: {}\n",
            web.url("/orders.csv")
        ))
        .expect("SUCCESS");
    let outputs = execution.outputs("http");
    assert_eq!((&outputs["code"], &outputs["length"]), (&json!(200), &json!(13)));
    assert_eq!(outputs["headers"]["content-type"], json!(["text/csv"]));
    let uri = outputs["uri"].as_str().unwrap();
    assert!(uri.starts_with("kestra:///dev/download/executions/") && uri.ends_with("/orders.csv"), "{uri}");
    let id = execution.json["id"].as_str().unwrap();
    let listed = sandbox.weft(["executions", "files", id]).expect(0);
    assert!(listed.stdout.contains("orders.csv"), "{}", listed.stdout);
    assert_eq!(execution.metrics(), ["response.length counter 13.0 {request:GET,response:200}"]);
}

#[test]
fn a_downloaded_file_goes_on_to_a_script() {
    let (sandbox, web) = (Sandbox::new(), Web::start());
    let execution = sandbox
        .run_flow(&flow(&format!(
            "  - id: get
    type: io.kestra.plugin.core.http.Download
    uri: {}
  - id: count
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - echo \"::{{\\\"outputs\\\":{{\\\"lines\\\":$(wc -l < {{{{ outputs.get.uri }}}})}}}}::\"
",
            web.url("/moved")
        )))
        .expect("SUCCESS");
    assert_eq!(execution.outputs("count")["vars"]["lines"], 2);
}

#[test]
fn answers_and_forms_and_credentials() {
    let (sandbox, web) = (Sandbox::new(), Web::start());
    let execution = sandbox
        .run_flow(&flow(&format!(
            "  - id: echo
    type: io.kestra.plugin.core.http.Request
    uri: {echo}
    method: POST
    body: |
      {{{{ {{\"n\": 1}} }}}}
    options:
      auth: {{type: BASIC, username: ada, password: \"{{{{ secret('PASSWORD') }}}}\"}}
  - id: file
    type: io.kestra.plugin.core.storage.Write
    content: \"a,b\"
    extension: .csv
  - id: form
    type: io.kestra.plugin.core.http.Request
    uri: {echo}
    method: POST
    contentType: multipart/form-data
    formData:
      note: hello
      file: {{name: data.csv, content: \"{{{{ outputs.file.uri }}}}\"}}
",
            echo = web.url("/echo")
        )))
        .json;
    // Without the secret it fails; with it, the request is what it should be.
    assert_eq!(execution["state"]["current"], "FAILED");
    let mut command = sandbox.command();
    let run = crate::harness::finish(
        command.args(["run", "flow.yaml", "--json"]).env("SECRET_PASSWORD", "b3Blbi1zZXNhbWU="),
    )
    .expect(0);
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let body: serde_json::Value =
        serde_json::from_str(printed["taskRunList"][0]["outputs"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"n": 1}));
    let seen = web.seen.lock().unwrap();
    let (head, _) = &seen[0];
    assert!(head.contains("authorization: Basic YWRhOm9wZW4tc2VzYW1l\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let (head, body) = seen.last().unwrap();
    assert!(head.contains("content-type: multipart/form-data; boundary=weft-"), "{head}");
    let body = String::from_utf8_lossy(body);
    assert!(
        body.contains("name=\"file\"; filename=\"data.csv\"\r\n") && body.contains("\r\n\r\na,b\r\n"),
        "{body}"
    );
}

#[test]
fn each_way_to_fail_is_said() {
    let (sandbox, web) = (Sandbox::new(), Web::start());
    for (path, more, code, part) in [
        ("/missing", "", "http.status", "answered with status 404, Not Found\nno such thing"),
        ("/busy", "", "http.status", "answered with status 503"),
        ("/empty", "", "http.empty", "no body"),
        ("/short", "", "network.interrupted", "closed the connection before it had sent everything"),
        (
            "/hangs",
            "\n    options: {timeout: {readIdleTimeout: PT0.3S}}",
            "network.timeout",
            "took longer than 300ms",
        ),
        ("/metadata", "", "network.denied", "169.254.169.254"),
        (
            "/large?size=2000",
            "\n    options: {maxContentLength: 1000}",
            "http.too-large",
            "more than the 1000 bytes",
        ),
    ] {
        let execution = sandbox
            .run_flow(&flow(&format!(
                "  - id: get\n    type: io.kestra.plugin.core.http.Download\n    uri: \"{}\"{more}\n",
                web.url(path)
            )))
            .expect("FAILED");
        let failure = execution.failure("get");
        assert_eq!(failure["code"], code, "{path}: {failure}");
        assert!(failure["message"].as_str().unwrap().contains(part), "{path}: {failure}");
        let id = execution.json["id"].as_str().unwrap();
        let listed = sandbox.weft(["executions", "files", id, "--json"]).expect(0);
        assert!(!listed.stdout.contains("kestra://"), "{path} left something: {}", listed.stdout);
    }
}

#[test]
fn slow_bodies_and_odd_lengths_and_given_names() {
    let (sandbox, web) = (Sandbox::new(), Web::start());
    for (path, length, name) in [("/slow", 25, "slow"), ("/long", 4, "long"), ("/named", 2, "report 1.csv")] {
        let execution = sandbox
            .run_flow(&flow(&format!(
                "  - id: get\n    type: io.kestra.plugin.core.http.Download\n    uri: {}\n    options: {{timeout: {{readIdleTimeout: PT1S}}}}\n",
                web.url(path)
            )))
            .expect("SUCCESS");
        assert_eq!(execution.outputs("get")["length"], length, "{path}");
        let uri = execution.outputs("get")["uri"].as_str().unwrap();
        assert!(uri.replace("%20", " ").ends_with(&format!("/{name}")), "{uri}");
    }
}

#[test]
fn the_operator_decides_where_plugins_may_go() {
    let (sandbox, web) = (Sandbox::new(), Web::start());
    sandbox.file("data/config.yaml", "network:\n  deny: [127.0.0.0/8]\n");
    let tasks =
        format!("  - id: get\n    type: io.kestra.plugin.core.http.Request\n    uri: {}\n", web.url("/ok"));
    let execution = sandbox.run_flow(&flow(&tasks)).expect("FAILED");
    let message = execution.failure("get")["message"].as_str().unwrap();
    assert!(message.contains("the configuration denies `127.0.0.0/8`"), "{message}");
    let allowed = format!("network:\n  deny: [127.0.0.0/8]\n  allow: [\"{}\"]\n", "127.0.0.1");
    sandbox.file("data/config.yaml", allowed);
    sandbox.run_flow(&flow(&tasks)).expect("SUCCESS");
}

#[test]
fn a_proxy_is_asked_for_what_it_stands_before() {
    let (sandbox, proxy) = (Sandbox::new(), Web::start());
    let (host, port) = proxy.address.split_once(':').unwrap();
    sandbox
        .run_flow(&flow(&format!(
            "  - id: get\n    type: io.kestra.plugin.core.http.Request\n    uri: http://far.example/x\n    options: {{proxy: \
             {{type: HTTP, address: {host}, port: {port}, username: u, password: p}}}}\n"
        )))
        .expect("SUCCESS");
    let (head, _) = proxy.last();
    assert!(head.starts_with("GET http://far.example/x HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic dTpw\r\n"), "{head}");
}

#[test]
fn a_large_file_is_not_held_in_memory() {
    let (sandbox, web) = (Sandbox::new(), Web::start());
    // More than a plugin may have.
    let size = 400 << 20;
    let execution = sandbox
        .run_flow(&flow(&format!(
            "  - id: get\n    type: io.kestra.plugin.core.http.Download\n    uri: \"{}\"\n",
            web.url(&format!("/large?size={size}"))
        )))
        .expect("SUCCESS");
    assert_eq!(execution.outputs("get")["length"], size);
}
