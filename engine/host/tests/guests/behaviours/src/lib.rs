//! Tasks that behave badly, and some that behave well, for comparison.

mod tries;

use std::fs;
use std::io::Write;
use std::time::Duration;

use weft_sdk::Command;
use weft_sdk::prelude::*;

use crate::tries::{Modest, Tries};

/// A task whose whole body is an expression of `cx` and `self`.
macro_rules! task {
    ($type:literal, $name:ident { $($field:ident: $field_type:ty),* }, |$this:ident, $cx:ident| $body:expr) => {
        #[doc = $type]
        #[derive(Deserialize, JsonSchema)]
        struct $name {
            $($field: $field_type),*
        }

        impl Task for $name {
            const TYPE: &'static str = concat!("test.", $type);

            #[allow(unreachable_code, unused_variables)]
            fn run(self, $cx: &Context) -> Result<impl Output> {
                let $this = self;
                $body
            }
        }
    };
}

task!("Noop", Noop {}, |this, cx| Ok(json!({})));

task!("Echo", Echo { text: String }, |this, cx| {
    cx.log().write(weft_sdk::Level::Debug, &this.text, Some(&json!({"n": 1})));
    cx.output("early", &json!([1, 2]))?;
    cx.counter("echoes", 2.0, &[("kind", "test")]);
    println!("on stdout");
    eprint!("on stderr, without a line break");
    Ok(json!({
        "text": this.text,
        "typeName": cx.type_name(),
        "attempt": cx.attempt(),
        "taskRunId": cx.task_run_id(),
        "workingDir": cx.working_dir(),
    }))
});

task!("Loop", Loop {}, |this, cx| {
    cx.output("before", &json!(true))?;
    spin();
    Ok(json!({}))
});

#[inline(never)]
fn spin() {
    let mut n = 0u64;
    while std::hint::black_box(n) < u64::MAX {
        n = n.wrapping_mul(3);
    }
}

task!("Memory", Memory { mib: usize }, |this, cx| {
    let all: Vec<_> = (0..this.mib).map(|_| vec![1u8; 1 << 20]).collect();
    Ok(json!({"bytes": all.iter().map(Vec::len).sum::<usize>()}))
});

task!("Panic", Panic {}, |this, cx| {
    eprintln!("about to fail");
    let nothing: Option<u8> = std::hint::black_box(None);
    let n = nothing.expect("there is a value");
    Ok(json!({"n": n}))
});

task!("Trap", Trap {}, |this, cx| {
    fall();
    Ok(json!({}))
});

#[inline(never)]
fn fall() {
    eprintln!("last words");
    std::process::abort()
}

task!("Stack", Stack {}, |this, cx| Ok(json!({"depth": deeper(1)})));

#[inline(never)]
fn deeper(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if frame[0] == 0 { 0 } else { deeper(n + 1) + frame[3] }
}

task!("Exit", Exit {}, |this, cx| {
    std::process::exit(3);
    Ok(json!({}))
});

task!("Huge", Huge { bytes: usize }, |this, cx| Ok(json!({"text": "x".repeat(this.bytes)})));

task!("Fail", Fail {}, |this, cx| {
    Err::<Value, _>(Error::new("test.busy", "not now").retryable().detail(&json!({"seconds": 3})))
});

task!("Chatty", Chatty { lines: usize }, |this, cx| {
    let mut out = std::io::stdout().lock();
    for n in 0..this.lines {
        writeln!(out, "line {n} {}", "-".repeat(100))?;
    }
    Ok(json!({}))
});

task!("Sleep", Sleep { ms: u64 }, |this, cx| {
    std::thread::sleep(Duration::from_millis(this.ms));
    Ok(json!({}))
});

task!("Spawn", Spawn { argv: Vec<String> }, |this, cx| {
    let child = cx.process().spawn(&Command::new(this.argv))?;
    let exit = child.wait()?;
    Ok(json!({"code": exit.code, "outputs": child.outputs()?}))
});

task!("Container", Container { image: String }, |this, cx| {
    let exit = cx.container().run(&this.image, &Command::new(["true"]))?.wait()?;
    Ok(json!({"code": exit.code}))
});

task!("Secret", Secret { name: String }, |this, cx| Ok(json!({"value": cx.secrets().get(&this.name)?})));

task!("Kv", Kv {}, |this, cx| {
    let kv = cx.kv();
    kv.set("key", &json!({"a": 1}), Some(Duration::from_secs(5)), true)?;
    Ok(json!({"value": kv.get("key")?, "deleted": kv.delete("other")?}))
});

task!("Storage", Storage {}, |this, cx| {
    let uri = cx.storage().put("file.txt", "name.txt")?;
    Ok(json!({"uri": uri}))
});

task!("Labels", Labels {}, |this, cx| {
    cx.execution().set_variables(serde_json::Map::from_iter([("a".to_owned(), json!(1))]))?;
    Ok(json!({}))
});

task!("Give", Give { what: String, times: usize, bytes: usize, stubborn: bool }, |this, cx| {
    for n in 0..this.times {
        let given = give(cx, &this.what, n, this.bytes);
        if !this.stubborn {
            given?;
        }
    }
    Ok(json!({"given": this.times}))
});

/// Hands `bytes` bytes over, for the `n`th time.
fn give(cx: &Context, what: &str, n: usize, bytes: usize) -> Result<()> {
    let text = || "x".repeat(bytes);
    let variables = |value: Value| serde_json::Map::from_iter([(format!("v{n}"), value)]);
    match what {
        "output" => cx.output(&format!("k{n}"), text())?,
        "output again" => cx.output("k", format!("{n}{}", text()))?,
        "ones" => cx.output(&format!("k{n}"), vec![1; bytes / 2])?,
        "key" => cx.output(&text(), 1)?,
        "variable" => cx.execution().set_variables(variables(text().into()))?,
        "unset" => cx.execution().unset_variables(&vec!["x".to_owned(); bytes])?,
        "label" => cx.execution().labels(&[(&format!("l{}", n % 10), text())])?,
        "labels" => cx.execution().labels(&(0..bytes).map(|n| (format!("l{n}"), "x")).collect::<Vec<_>>())?,
        "system label" => cx.execution().labels(&[("system.username", "x")])?,
        "tag" => cx.counter("m", 1.0, &[("n", &n.to_string()), ("text", &text())]),
        "metric" => cx.counter(&text(), 1.0, &[]),
        "log" => cx.log().info(text()),
        "fields" => cx.log().write(weft_sdk::Level::Info, "line", Some(&text().into())),
        "warning" => cx.warn(text()),
        "secret" => drop(cx.secrets().get(&text())?),
        "kv" => cx.kv().set(&format!("k{n}"), &text().into(), Some(Duration::from_secs(5)), true)?,
        "argument" => drop(cx.process().spawn(&Command::new(["true".to_owned(), text()]))?),
        "message" => return Err(Error::new("test.long", text())),
        "detail" => return Err(Error::new("test.long", "text").detail(&json!(vec![1; bytes / 2]))),
        _ => return Err(Error::new("test.unknown", what)),
    }
    Ok(())
}

task!("Handles", Handles {}, |this, cx| {
    fs::write("/work/file.txt", "")?;
    let mut all = Vec::new();
    loop {
        all.push(fs::File::open("/work/file.txt")?);
    }
    Ok(json!({}))
});

task!("Files", Files {}, |this, cx| {
    fs::create_dir("/work/sub")?;
    fs::write("/work/sub/out.txt", fs::read_to_string("/work/in.txt")?.to_uppercase())?;
    let outside = ["/etc/passwd", "/work/../outside.txt", "/", "outside.txt", "/work/link/passwd"];
    let readable: Vec<_> = outside.into_iter().filter(|path| fs::metadata(path).is_ok()).collect();
    Ok(json!({
        "readable": readable,
        "env": std::env::vars().count(),
        "args": std::env::args().count(),
        "net": std::net::TcpStream::connect("127.0.0.1:80").is_ok(),
    }))
});

task!("Http", Http { url: String, send: Option<String>, redirects: u32 }, |this, cx| {
    let mut request = weft_sdk::http::Request::get(&this.url);
    if let Some(text) = this.send {
        fs::write("/work/send.bin", text)?;
        request = weft_sdk::http::Request::new("POST", &this.url).body(weft_sdk::http::Body::file("send.bin"));
    }
    let response = cx.http().follow(request, this.redirects)?;
    let (status, url) = (response.status(), response.url().to_owned());
    let length = response.save("answer.bin", Some(100_000_000))?;
    Ok(json!({"status": status, "url": url, "length": length}))
});

task!("Many", Many { url: String, count: usize, at_a_time: usize, bytes: usize }, |this, cx| {
    fs::write("/work/part.bin", vec![b'x'; this.bytes])?;
    let requests = (0..this.count).map(|n| {
        let body = weft_sdk::http::Body::part("part.bin", 1, this.bytes as u64 - 1);
        Ok(weft_sdk::http::Request::new("PUT", format!("{}/{n}", this.url)).body(body))
    });
    let mut texts = vec![String::new(); this.count];
    cx.http().send_all(requests, this.at_a_time, |n, response| {
        texts[n] = response?.text(1000)?;
        Ok(())
    })?;
    Ok(json!({"texts": texts}))
});

task!("Tcp", Tcp { address: String, text: String }, |this, cx| {
    use std::io::Read;
    let mut stream = match std::net::TcpStream::connect(&this.address) {
        Ok(stream) => stream,
        Err(error) => return Err(cx.network_error(error)),
    };
    stream.write_all(this.text.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(json!({"text": text}))
});

/// Happens at every poll.
#[derive(Deserialize, JsonSchema)]
struct Tick {
    by: u64,
    /// Further events, each with a text of so many bytes.
    #[serde(default)]
    more: (usize, usize),
}

impl weft_sdk::Trigger for Tick {
    type State = u64;
    type Event = Value;
    const TYPE: &'static str = "test.Tick";
    const ALIASES: &'static [&'static str] = &["tick"];

    fn poll(self, cx: &PollContext, state: u64) -> Result<Poll<u64>> {
        let state = state + self.by;
        fs::write(cx.path("scratch"), "")?;
        let event = json!({"n": state, "trigger": cx.trigger_id(), "execution": cx.execution_id()});
        let (more, bytes) = self.more;
        let mut events = vec![event];
        events.extend(std::iter::repeat_n(json!({"text": "x".repeat(bytes)}), more));
        Ok(Poll { events, state, next: Some(Duration::from_millis(1500)) })
    }

    fn acknowledge(self, _: &PollContext, state: u64) -> Result<u64> {
        Ok(state + 100)
    }
}

plugin!(
    Noop, Echo, Loop, Memory, Panic, Trap, Stack, Exit, Huge, Fail, Chatty, Sleep, Spawn, Container, Secret, Kv,
    Storage, Labels, Give, Handles, Files, Http, Many, Tcp, Tries, Modest;
    triggers: Tick
);
