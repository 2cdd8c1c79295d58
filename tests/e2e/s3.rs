//! The S3 tasks and the trigger against a real server that verifies signatures (SeaweedFS); `boto3` puts objects there and
//! looks at what arrived.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Execution, Sandbox, finish, peer, peer_value, wait_until};
use crate::triggers::{Watch, executions_of};

/// The server, and the client that looks at it.
struct Server {
    endpoint: String,
    python: PathBuf,
    /// Each test has a bucket of its own, empty at first.
    bucket: String,
}

impl Server {
    fn find(test: &str) -> Option<Self> {
        let (endpoint, python) = (peer_value("WEFT_PEER_S3")?, peer("WEFT_PEER_BOTO3")?);
        let server = Self { endpoint, python, bucket: format!("weft-{test}") };
        server.python(
            "try:\n    s3.create_bucket(Bucket=bucket)\nexcept (s3.exceptions.BucketAlreadyExists, s3.exceptions.BucketAlreadyOwnedByYou): pass\n\
             for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket):\n    \
                 for found in page.get('Contents', []): s3.delete_object(Bucket=bucket, Key=found['Key'])\n\
             for upload in s3.list_multipart_uploads(Bucket=bucket).get('Uploads', []):\n    \
                 s3.abort_multipart_upload(Bucket=bucket, Key=upload['Key'], UploadId=upload['UploadId'])\n\
             print('null')",
        );
        Some(server)
    }

    /// Runs a script with `s3` and `bucket`; what it prints, as JSON.
    fn python(&self, script: &str) -> Value {
        let head = format!(
            "import boto3, json, hashlib\nfrom botocore.config import Config\n\
             s3 = boto3.client('s3', endpoint_url={:?}, region_name='us-east-1', aws_access_key_id='AKIATEST',\n  \
             aws_secret_access_key='sekret', config=Config(s3={{'addressing_style': 'path'}}))\nbucket = {:?}\n",
            self.endpoint, self.bucket
        );
        let run = finish(Command::new(&self.python).args(["-c", &(head + script)])).expect(0);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
    }

    fn put(&self, key: &str, text: &str) {
        self.python(&format!(
            "s3.put_object(Bucket=bucket, Key={key:?}, Body={text:?}.encode()); print('null')"
        ));
    }

    /// The text of each object by its key.
    fn objects(&self) -> Value {
        self.python(
            "print(json.dumps({o['Key']: s3.get_object(Bucket=bucket, Key=o['Key'])['Body'].read().decode(errors='replace')\n  \
             for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket) for o in page.get('Contents', [])}))",
        )
    }

    /// What every task says, with these properties besides.
    fn task(&self, id: &str, name: &str, more: &str) -> String {
        let mut text = format!(
            "  - id: {id}\n    type: io.kestra.plugin.aws.s3.{name}\n    region: us-east-1\n    endpointOverride: {}\n",
            self.endpoint
        );
        if !more.contains("accessKeyId") {
            text += "    accessKeyId: AKIATEST\n    secretKeyId: sekret\n";
        }
        if !more.contains("bucket:") {
            writeln!(text, "    bucket: {}", self.bucket).unwrap();
        }
        for line in more.lines() {
            writeln!(text, "    {line}").unwrap();
        }
        text
    }
}

fn flow(tasks: &str) -> String {
    format!(
        "id: s3\nnamespace: tests\ninputs:\n  - id: file\n    type: FILE\n    required: false\n  - id: other\n    \
         type: FILE\n    required: false\ntasks:\n{tasks}"
    )
}

fn run(sandbox: &Sandbox, tasks: &str) -> Execution {
    sandbox.run_flow(&flow(tasks))
}

/// Bytes of which no two blocks are the same, quickly.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[test]
fn what_is_uploaded_is_there_with_all_that_is_said_about_it() {
    let Some(server) = Server::find("upload") else { return };
    let sandbox = Sandbox::new();
    sandbox.file("in.txt", "größe\n");
    let tasks = [
        server.task(
            "one",
            "Upload",
            "from: \"{{ inputs.file }}\"\nkey: \"a folder/ü+&?.txt\"\nmetadata: {Owner: ada, n: 1}\ncacheControl: max-age=60\n\
             contentType: text/x-special\ncontentEncoding: identity\ncontentDisposition: attachment\ncontentLanguage: de\n\
             contentLength: 8\nexpires: '2030-01-02T03:04:05Z'\nstorageClass: STANDARD\ntagging: {team: 'a b', stage: dev}\n\
             checksumAlgorithm: SHA256",
        ),
        server.task("guessed", "Upload", "from: \"{{ inputs.file }}\"\nkey: plain.json"),
        server.task("plain", "Upload", "from: \"{{ inputs.file }}\"\nkey: without\ncompatibilityMode: true"),
        server.task("list", "Upload", "from: [\"{{ inputs.file }}\", \"{{ inputs.other }}\"]\nkey: listed/"),
        server.task("map", "Upload", "from:\n  x/one.txt: \"{{ inputs.file }}\"\n  two: \"{{ inputs.other }}\"\nkey: mapped"),
    ];
    sandbox.file("other.csv", "1,2\n");
    let execution = sandbox
        .run_flow_with(&flow(&tasks.concat()), &["-i", "file=@in.txt", "-i", "other=@other.csv"])
        .expect("SUCCESS");
    assert_eq!(
        server.objects(),
        json!({
            "a folder/ü+&?.txt": "größe\n", "plain.json": "größe\n", "without": "größe\n",
            "listed/in.txt": "größe\n", "listed/other.csv": "1,2\n", "mapped/x/one.txt": "größe\n", "mapped/two": "1,2\n",
        })
    );
    let head = server.python(
        "h = s3.head_object(Bucket=bucket, Key='a folder/ü+&?.txt')\n\
         t = s3.get_object_tagging(Bucket=bucket, Key='a folder/ü+&?.txt')['TagSet']\n\
         print(json.dumps([h['Metadata'], h['CacheControl'], h['ContentType'], h.get('ContentEncoding'),\n  \
         h['ContentDisposition'], h['ContentLanguage'], h.get('ExpiresString'), {x['Key']: x['Value'] for x in t}, h['ETag']]))",
    );
    assert_eq!(head[0], json!({"owner": "ada", "n": "1"}));
    assert_eq!(head[1], "max-age=60");
    assert_eq!(head[2], "text/x-special");
    assert_eq!((&head[4], &head[5]), (&json!("attachment"), &json!("de")));
    assert_eq!(head[7], json!({"team": "a b", "stage": "dev"}));
    let outputs = execution.outputs("one");
    assert_eq!(
        (&outputs["bucket"], &outputs["key"], &outputs["eTag"]),
        (&json!("weft-upload"), &json!("a folder/ü+&?.txt"), &head[8])
    );
    assert_eq!(
        outputs.get("versionId"),
        Some(&json!(null)),
        "the documentation lists it, so expressions may use it"
    );
    assert_eq!(execution.outputs("map")["files"]["two"]["key"], "mapped/two");
    let guessed =
        server.python("print(json.dumps(s3.head_object(Bucket=bucket, Key='plain.json')['ContentType']))");
    assert_eq!(guessed, "application/json");
}

/// In parts, and byte for byte; a checksum that does not fit, and a size, are found out before anything is sent.
#[test]
fn large_files_go_in_parts_and_come_back() {
    let Some(server) = Server::find("large") else { return };
    let sandbox = Sandbox::new();
    let content = noise(40_000_001);
    let file = sandbox.file("large.bin", &content);
    let tasks = [
        server.task("up", "Upload", "from: \"{{ inputs.file }}\"\nkey: large.bin\nconcurrentUploads: 3\nmetadata: {a: b}"),
        server.task("down", "Download", "key: large.bin"),
        server.task("copy", "Copy", &format!("from:\n  bucket: {0}\n  key: large.bin\nto:\n  bucket: {0}\n  key: copied.bin", server.bucket)),
        "  - id: same\n    type: io.kestra.plugin.scripts.shell.Commands\n    runner: PROCESS\n    commands:\n      - cmp \
         \"{{ workingDir }}/down.bin\" \"{{ workingDir }}/in.bin\"\n    inputFiles:\n      down.bin: \"{{ outputs.down.uri }}\"\n      \
         in.bin: \"{{ inputs.file }}\"\n"
            .to_owned(),
    ];
    let execution =
        sandbox.run_flow_with(&flow(&tasks.concat()), &["-i", "file=@large.bin"]).expect("SUCCESS");
    let seen = server.python(
        &"out = [hashlib.sha256(open(FILE, 'rb').read()).hexdigest()]\nfor key in ('large.bin', 'copied.bin'):\n    o = s3.get_object(Bucket=bucket, Key=key)\n    \
         out += [hashlib.sha256(o['Body'].read()).hexdigest(), o['ETag'], o['Metadata']]\n\
         out.append(s3.list_multipart_uploads(Bucket=bucket).get('Uploads', []))\nprint(json.dumps(out))"
            .replace("FILE", &format!("{:?}", file.display().to_string())),
    );
    assert_eq!((&seen[1], &seen[4]), (&seen[0], &seen[0]));
    assert!(seen[2].as_str().unwrap().contains("-5"), "in five parts: {seen}");
    assert_eq!((&seen[3], &seen[7]), (&json!({"a": "b"}), &json!([])));
    assert_eq!(execution.outputs("up")["eTag"], seen[2]);
    assert_eq!(execution.outputs("down")["contentLength"], 40_000_001);
    for (more, said) in [
        (
            "checksumAlgorithm: CRC32\nchecksum: AAAAAA==",
            "property `checksum`: the file's crc32 in base64 is",
        ),
        ("contentLength: 5", "property `contentLength`: the file has 40000001 bytes, not 5"),
    ] {
        let upload =
            server.task("up", "Upload", &format!("from: \"{{{{ inputs.file }}}}\"\nkey: never\n{more}"));
        let execution = sandbox.run_flow_with(&flow(&upload), &["-i", "file=@large.bin"]).expect("FAILED");
        let failure = execution.failure("up");
        assert!(failure["message"].as_str().unwrap().contains(said), "{failure:#}");
    }
    assert!(server.objects().get("never").is_none());
}

#[test]
fn objects_are_listed_fetched_copied_and_deleted() {
    let Some(server) = Server::find("crud") else { return };
    for key in ["in/a.csv", "in/b.csv", "in/c.txt", "in/deep/d.csv", "other"] {
        server.put(key, &format!("content of {key}"));
    }
    let bucket = &server.bucket;
    let sandbox = Sandbox::new();
    let tasks = [
        server.task("list", "List", "prefix: in/\nregexp: '.*\\.csv'\nmaxKeys: 1000"),
        server.task("flat", "List", "prefix: in/\ndelimiter: /"),
        server.task("after", "List", "marker: in/b.csv"),
        server.task("few", "List", "maxKeys: 2"),
        server.task("read", "Download", "key: other"),
        server.task("some", "Download", "prefix: in/\nregexp: 'in/[ab].*'"),
        "  - id: said\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{{ read(outputs.read.uri) }}\"\n".to_owned(),
        server.task("copy", "Copy", &format!("from: {{bucket: {bucket}, key: other}}\nto: {{key: 'copied ü/x y'}}\ndelete: true")),
        server.task("fetch", "Downloads", "prefix: in/deep/\naction: MOVE\nmoveTo:\n  key: archive/raw/"),
        server.task("gone", "Downloads", "prefix: in/c\naction: DELETE"),
        server.task("delete", "Delete", "key: in/a.csv"),
        server.task("missing", "Delete", "key: never/was"),
    ];
    let execution = run(&sandbox, &tasks.concat()).expect("SUCCESS");
    let keys = |task: &str| -> Vec<String> {
        let objects = execution.outputs(task)["objects"].as_array().unwrap();
        objects.iter().map(|object| object["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("list"), ["in/a.csv", "in/b.csv", "in/deep/d.csv"]);
    assert_eq!(keys("flat"), ["in/a.csv", "in/b.csv", "in/c.txt"]);
    assert_eq!(keys("after"), ["in/c.txt", "in/deep/d.csv", "other"]);
    assert_eq!(keys("few"), ["in/a.csv", "in/b.csv"]);
    assert_eq!(execution.outputs("list")["objects"][0]["size"], "content of in/a.csv".len());
    assert_eq!(execution.outputs("said")["value"], "content of other");
    assert_eq!(
        execution.outputs("some")["files"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["in/a.csv", "in/b.csv"]
    );
    assert_eq!(keys("fetch"), ["in/deep/d.csv"]);
    assert_eq!(
        server.objects(),
        json!({
            "archive/raw/d.csv": "content of in/deep/d.csv", "copied ü/x y": "content of other",
            "in/b.csv": "content of in/b.csv",
        })
    );
    let more = server.python(
        "import concurrent.futures as f\nwith f.ThreadPoolExecutor(8) as p:\n    \
         list(p.map(lambda n: s3.put_object(Bucket=bucket, Key=f'many/{n:04}&<>', Body=b'12'), range(1203)))\nprint('1203')",
    );
    let tasks = [
        server.task("all", "List", "prefix: many/\nmaxKeys: 5000"),
        server.task("delete", "DeleteList", "prefix: many/\nmaxKeys: 5000\nconcurrent: 2"),
        server.task("none", "DeleteList", "prefix: many/\nerrorOnEmpty: true"),
    ];
    let execution = run(&sandbox, &tasks.concat()).expect("FAILED");
    assert_eq!(json!(execution.outputs("all")["objects"].as_array().unwrap().len()), more);
    assert_eq!(*execution.outputs("delete"), json!({"count": 1203, "size": 2406}));
    assert_eq!(execution.failure("none")["code"], "s3.no-such-key");
    assert_eq!(server.objects().as_object().unwrap().len(), 3);
}

#[test]
fn objects_of_one_name_in_different_folders_stay_apart() {
    let Some(server) = Server::find("names") else { return };
    for key in ["in/a/x.csv", "in/b/x.csv"] {
        server.put(key, &format!("content of {key}"));
    }
    let sandbox = Sandbox::new();
    let said = |id: &str, value: &str| {
        format!(
            "  - id: {id}\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{{{{ {value} }}}}\"\n"
        )
    };
    let tasks = [
        server.task("some", "Download", "prefix: in/"),
        said(
            "one",
            "read(outputs.some.files['in/a/x.csv'].uri) ~ read(outputs.some.files['in/b/x.csv'].uri)",
        ),
        server.task("all", "Downloads", "prefix: in/\naction: DELETE"),
        said("two", "read(outputs.all.objects[0].uri) ~ read(outputs.all.objects[1].uri)"),
    ];
    let execution = run(&sandbox, &tasks.concat()).expect("SUCCESS");
    for task in ["one", "two"] {
        assert_eq!(execution.outputs(task)["value"], "content of in/a/x.csvcontent of in/b/x.csv");
    }
}

#[test]
fn a_bucket_is_made() {
    let Some(server) = Server::find("make") else { return };
    let name = format!("weft-made-{}", std::process::id());
    let create = server.task("create", "CreateBucket", &format!("bucket: {name}"));
    let execution = run(&Sandbox::new(), &create).expect("SUCCESS");
    assert_eq!(execution.outputs("create")["bucket"], json!(name));
    let there = server.python(&format!(
        "s3.head_bucket(Bucket={name:?}); s3.delete_bucket(Bucket={name:?}); print('true')"
    ));
    assert_eq!(there, true);
}

#[test]
fn what_cannot_be_done_is_explained() {
    let Some(server) = Server::find("wrong") else { return };
    let sandbox = Sandbox::new();
    server.put("there", "x");
    let delete = |more: &str| server.task("t", "Delete", &format!("key: k\n{more}"));
    for (task, code, said) in [
        (delete("accessKeyId: AKIATEST\nsecretKeyId: wrong"), "s3.credentials", "SignatureDoesNotMatch"),
        (delete("accessKeyId: NOBODY\nsecretKeyId: wrong"), "s3.credentials", "InvalidAccessKeyId"),
        (
            delete("accessKeyId: AKIARO\nsecretKeyId: rosekret"),
            "s3.access-denied",
            "cannot delete `s3://weft-wrong/k`",
        ),
        (
            server.task("t", "Download", "bucket: no-such-bucket\nkey: k"),
            "s3.no-such",
            "s3://no-such-bucket/k",
        ),
        (server.task("t", "List", "bucket: no-such-bucket"), "s3.no-such-bucket", "look at `bucket`"),
        (
            server.task("t", "Download", "key: none"),
            "s3.no-such-key",
            "cannot download `s3://weft-wrong/none`",
        ),
        (server.task("t", "Upload", "key: k\nfrom: kestra:///nowhere"), "storage.", "property `from`: "),
        (server.task("t", "Upload", "key: k\nfrom: /etc/passwd"), "storage.", "property `from`: "),
        (
            server.task("t", "Copy", "from: {bucket: weft-wrong, key: none}\nto: {key: k}"),
            "s3.no-such-key",
            "hint: look at bucket and key",
        ),
        (
            delete("").replace(&server.endpoint, "http://nowhere.invalid"),
            "network.lookup",
            "hint: look at scheme, host and port in `endpointOverride`",
        ),
        (delete("accessKeyId: ''"), "s3.credentials", "`accessKeyId` is not given"),
        (
            delete("").replace(&server.endpoint, "http://127.0.0.1:1"),
            "network.connect",
            "hint: look at scheme, host and port in `endpointOverride`",
        ),
    ] {
        let execution = run(&sandbox, &task).expect("FAILED");
        let failure = execution.failure("t");
        let (found, message) = (failure["code"].as_str().unwrap(), failure["message"].as_str().unwrap());
        assert!(found.starts_with(code) && message.contains(said), "{task}\n{failure:#}");
        assert!(!message.contains("(;"), "{message}");
        assert!(!message.contains("sekret"), "{message}");
    }
    let reader = server.task("t", "Download", "key: there\naccessKeyId: AKIARO\nsecretKeyId: rosekret");
    run(&sandbox, &reader).expect("SUCCESS");
    // The engine's own environment, unless its operator keeps it from the plugin.
    let own =
        server.task("t", "Download", "key: there\naccessKeyId: ''").replace("    accessKeyId: ''\n", "");
    sandbox.file("flow.yaml", flow(&own));
    let run_with = |arguments: &[&str]| {
        let mut command = sandbox.command();
        command.args(arguments).args(["run", "flow.yaml", "--json"]);
        finish(command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "sekret"))
    };
    run_with(&[]).expect(0);
    sandbox.file("weft.yaml", "plugins:\n  withhold:\n    aws: [environment]\n");
    let kept = run_with(&["--config", "weft.yaml"]);
    assert!(kept.stdout.contains("capability.denied"), "{}\n{}", kept.stdout, kept.stderr);
}

/// A flow with the trigger.
fn watched(server: &Server, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let trigger = server.task("watch", "Trigger", &format!("prefix: in/\ninterval: PT0.2S\n{more}"));
    let tasks = "  - id: said\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{% for o in trigger.objects %}{{ \
                 o.key }}={{ read(o.uri) }};{% endfor %}\"\n";
    sandbox.file("flow.yaml", format!("id: s3\nnamespace: tests\ntasks:\n{tasks}triggers:\n{trigger}"));
    sandbox
}

/// How often executions have taken each object.
fn taken(sandbox: &Sandbox) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    for execution in executions_of(sandbox, "tests.s3") {
        for object in execution["trigger"]["variables"]["objects"].as_array().unwrap() {
            *taken.entry(object["key"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    taken
}

#[test]
fn objects_start_executions_and_are_moved_away() {
    let Some(server) = Server::find("moved") else { return };
    server.put("in/a.csv", "A");
    server.put("in/b.csv", "B");
    server.put("in/c.txt", "C");
    let sandbox = watched(&server, "regexp: '.*\\.csv'\naction: MOVE\nmoveTo:\n  key: done/");
    let watch = Watch::with(&sandbox, &[]);
    wait_until("an execution", || watch.printed().len() == 1);
    server.put("in/d.csv", "D");
    wait_until("another execution", || watch.printed().len() == 2);
    let printed = watch.printed();
    wait_until("the objects to be moved", || server.objects().get("done/d.csv").is_some());
    watch.end(Signal::INT).expect(0);
    let said = |n: usize| &printed[n]["taskRunList"][0]["outputs"]["value"];
    assert_eq!((said(0), said(1)), (&json!("in/a.csv=A;in/b.csv=B;"), &json!("in/d.csv=D;")));
    assert_eq!(
        server.objects(),
        json!({"done/a.csv": "A", "done/b.csv": "B", "done/d.csv": "D", "in/c.txt": "C"})
    );
}

/// `maxKeys: 1` of the documentation's flow, which works on the first object alone: the others have their own executions.
#[test]
fn max_keys_leaves_the_other_objects_for_the_next_polls() {
    let Some(server) = Server::find("max-keys") else { return };
    // What the filter does not take is no reason to stop looking.
    for key in ["in/0", "in/a", "in/b", "in/c"] {
        server.put(key, "x");
    }
    let sandbox = watched(&server, "maxKeys: 1\nregexp: in/[abc]\naction: MOVE\nmoveTo:\n  key: done/");
    let watch = Watch::with(&sandbox, &[]);
    wait_until("three executions", || watch.printed().len() == 3);
    wait_until("the objects to be moved", || {
        server.objects().as_object().unwrap().len() == 4 && server.objects().get("done/c").is_some()
    });
    let printed = watch.printed();
    watch.end(Signal::INT).expect(0);
    let said: Vec<&str> =
        printed.iter().map(|found| found["taskRunList"][0]["outputs"]["value"].as_str().unwrap()).collect();
    assert_eq!(said, ["in/a=x;", "in/b=x;", "in/c=x;"]);
    assert_eq!(server.objects(), json!({"in/0": "x", "done/a": "x", "done/b": "x", "done/c": "x"}));
}

#[test]
fn a_trigger_that_moves_objects_nowhere_is_refused() {
    let Some(server) = Server::find("nowhere") else { return };
    server.put("in/a", "x");
    // Before it is watched.
    let sandbox = watched(&server, "action: MOVE");
    for arguments in [&["validate", "flow.yaml"][..], &["run", "--watch", "flow.yaml"]] {
        let run = sandbox.weft(arguments).expect(2);
        let said = run.stdout + &run.stderr;
        assert!(said.contains("has no property `moveTo`"), "{said}");
    }
    // With what only the values say, when it looks; and once.
    let sandbox = watched(&server, "action: MOVE\nmoveTo:\n  key: in");
    let watch = Watch::with(&sandbox, &[]);
    wait_until("the refusal", || {
        watch.stderr().contains("property `moveTo.key`: `in` is the folder that `prefix: in/`")
    });
    std::thread::sleep(Duration::from_millis(1500));
    let run = watch.end(Signal::INT).expect(0);
    assert_eq!(run.stderr.matches("property `moveTo.key`").count(), 1, "{}", run.stderr);
    assert_eq!(server.objects(), json!({"in/a": "x"}));
}

#[test]
fn objects_that_stay_start_an_execution_when_they_change() {
    let Some(server) = Server::find("stay") else { return };
    server.put("in/a", "1");
    let sandbox = watched(&server, "action: NONE\nmaxKeys: 1");
    let watch = Watch::with(&sandbox, &[]);
    wait_until("an execution", || watch.printed().len() == 1);
    server.put("in/b", "1");
    wait_until("an execution of a key after the first", || watch.printed().len() == 2);
    std::thread::sleep(Duration::from_millis(1100));
    server.put("in/a", "2");
    wait_until("an execution of the change", || watch.printed().len() == 3);
    std::thread::sleep(Duration::from_millis(600));
    let printed = watch.printed();
    watch.end(Signal::INT).expect(0);
    let said: Vec<&str> =
        printed.iter().map(|found| found["taskRunList"][0]["outputs"]["value"].as_str().unwrap()).collect();
    assert_eq!(said, ["in/a=1;", "in/b=1;", "in/a=2;"]);
    assert_eq!(printed[2]["trigger"]["variables"]["objects"][0]["changeType"], "UPDATE");
}

/// SIGKILL at whatever moment of a poll, of an execution's beginning, of moving and deleting: each object starts one
/// execution, and is moved or deleted.
#[test]
fn each_object_counts_once_however_often_the_engine_is_killed() {
    for (action, bucket) in
        [("DELETE", "killed-1"), ("MOVE\nmoveTo:\n  key: done/", "killed-2"), ("NONE", "killed-3")]
    {
        let Some(server) = Server::find(bucket) else { return };
        let sandbox = watched(&server, &format!("action: {action}"));
        let count = 14;
        for n in 0..count {
            server.put(&format!("in/v{n:02}"), "x");
            let watch = Watch::with(&sandbox, &[]);
            std::thread::sleep(Duration::from_millis(120 + 45 * n));
            watch.end(Signal::KILL);
        }
        let watch = Watch::with(&sandbox, &[]);
        wait_until("everything to be taken", || taken(&sandbox).len() == count as usize);
        let left = |prefix: &str| {
            server.objects().as_object().unwrap().keys().filter(|key| key.starts_with(prefix)).count()
        };
        if action != "NONE" {
            wait_until("everything to be moved away", || left("in/") == 0);
        }
        std::thread::sleep(Duration::from_millis(500));
        watch.end(Signal::INT).expect(0);
        let taken = taken(&sandbox);
        assert!(taken.values().all(|times| *times == 1), "{action}: {taken:?}");
        let expected = match action {
            "DELETE" => (0, 0),
            "NONE" => (count as usize, 0),
            _ => (0, count as usize),
        };
        assert_eq!((left("in/"), left("done/")), expected, "{action}");
    }
}

/// SIGKILL in the middle of an upload: no object is there, half or whole, and the next run of the flow ends well.
#[test]
fn an_upload_that_is_killed_leaves_no_half_object() {
    let Some(server) = Server::find("half") else { return };
    let sandbox = Sandbox::new();
    sandbox.file("large.bin", noise(64 << 20));
    let upload =
        server.task("up", "Upload", "from: \"{{ inputs.file }}\"\nkey: large.bin\nconcurrentUploads: 1");
    sandbox.file("flow.yaml", flow(&upload));
    let begun = || {
        server.python("print(len(s3.list_multipart_uploads(Bucket=bucket).get('Uploads', [])))") != json!(0)
    };
    let mut engine = sandbox
        .command()
        .args(["run", "flow.yaml", "-i", "file=@large.bin", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the upload to begin", begun);
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert_eq!(server.objects(), json!({}));
    sandbox.run_flow_with(&flow(&upload), &["-i", "file=@large.bin"]).expect("SUCCESS");
    let size = server.python("print(s3.head_object(Bucket=bucket, Key='large.bin')['ContentLength'])");
    assert_eq!(size, 64 << 20);
}
