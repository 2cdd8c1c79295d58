//! The cases of stores: MongoDB against `pymongo`, S3 against `boto3` (the AWS CLI's own engine). The servers are those of
//! `cargo xtask peers`.

use std::{fs, io::Write as _, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    measure::{Series, compare},
    report,
    subject::Subject,
};
use crate::{
    exec::{capture, say},
    peers,
};

/// Documents of [`load`], and how many of them go in one request.
const DOCUMENTS: usize = 100_000;
const CHUNK: usize = 1_000;
/// Megabytes of the object of [`objects`].
const OBJECT: usize = 1_024;

/// 100,000 documents of a file of JSON lines into a collection.
pub fn load(binary: &Path, rounds: u32) -> Result<()> {
    let (Some(uri), Some(python)) =
        (peers::variable("WEFT_PEER_MONGODB")?, peers::variable("WEFT_PEER_PYMONGO")?)
    else {
        say("skipped: the case `load`, as there is no MongoDB server (`cargo xtask peers up`)");
        return Ok(());
    };
    let uri = uri.to_string_lossy().into_owned();
    let flow = format!(
        "id: bench\nnamespace: weft.bench\ninputs:\n  - id: file\n    type: FILE\ntasks:\n  - id: load\n    \
         type: io.kestra.plugin.mongodb.Load\n    connection:\n      uri: {uri:?}\n    database: weft_bench\n    \
         collection: weft\n    from: \"{{{{ inputs.file }}}}\"\n    chunk: {CHUNK}\n"
    );
    let subject = Subject::new(binary, &flow)?;
    let mut file = fs::File::create(subject.folder().join("documents.json"))?;
    let mut lines = String::new();
    for n in 0..DOCUMENTS {
        lines += &format!(
            "{{\"n\": {n}, \"name\": \"Ada Lovelace {n}\", \"mail\": \"ada.{n}@example.com\", \"score\": {}.5, \"tags\": [\"a\", \"b\"], \
             \"address\": {{\"street\": \"St James's Square {n}\", \"city\": \"London\"}}, \"active\": true}}\n",
            n % 100
        );
    }
    file.write_all(lines.as_bytes())?;
    let script = format!(
        "import json, pymongo
c = pymongo.MongoClient({uri:?})['weft_bench']['pymongo']
chunk = []
for line in open('documents.json'):
    chunk.append(json.loads(line))
    if len(chunk) == {CHUNK}:
        c.insert_many(chunk)
        chunk = []
if chunk: c.insert_many(chunk)"
    );
    let clear = format!("import pymongo; pymongo.MongoClient({uri:?}).drop_database('weft_bench')");
    capture(Command::new(&python).args(["-c", &clear]))?;
    let (weft, other) = compare(
        rounds.min(5),
        || {
            let mut run = subject.run();
            run.args(["-i", "file=@documents.json"]);
            run
        },
        || {
            let mut run = Command::new(&python);
            run.current_dir(subject.folder()).args(["-c", &script]);
            run
        },
    )?;
    capture(Command::new(&python).args(["-c", &clear]))?;
    report::comparison(
        "load: 100,000 documents into MongoDB",
        ("weft run", &weft),
        ("pymongo insert_many", &other),
    );
    speed(&weft, &other, "1.0 or more");
    Ok(())
}

/// An object of 1 GiB to S3 and back.
pub fn objects(binary: &Path, rounds: u32) -> Result<()> {
    let (Some(endpoint), Some(python)) =
        (peers::variable("WEFT_PEER_S3")?, peers::variable("WEFT_PEER_BOTO3")?)
    else {
        say("skipped: the case `objects`, as there is no S3 server (`cargo xtask peers up`)");
        return Ok(());
    };
    let endpoint = endpoint.to_string_lossy().into_owned();
    let client = format!(
        "import boto3\ns3 = boto3.client('s3', endpoint_url={endpoint:?}, region_name='us-east-1', \
         aws_access_key_id='AKIATEST', aws_secret_access_key='sekret')\n"
    );
    let python_script = |script: &str| {
        let mut command = Command::new(&python);
        command.args(["-c", &[client.as_str(), script].concat()]);
        command
    };
    let _ = python_script("s3.create_bucket(Bucket='weft-bench')").output()?;
    let server = format!(
        "    endpointOverride: {endpoint}\n    region: us-east-1\n    accessKeyId: AKIATEST\n    secretKeyId: sekret\n    \
         bucket: weft-bench\n"
    );
    let task = |name: &str, more: &str| {
        format!(
            "id: bench\nnamespace: weft.bench\ninputs:\n  - id: file\n    type: FILE\n    required: false\ntasks:\n  - id: task\n    \
             type: io.kestra.plugin.aws.s3.{name}\n{server}{more}"
        )
    };
    // What is uploaded is in internal storage already, as the output of a task would be.
    let keep = "id: bench\nnamespace: weft.bench\ninputs:\n  - id: file\n    type: FILE\ntasks:\n  - id: task\n    \
                type: io.kestra.plugin.core.debug.Return\n    format: \"{{ inputs.file }}\"\n";
    let subject = Subject::new(binary, keep)?;
    let mut file = fs::File::create(subject.folder().join("object.bin"))?;
    let mut block = vec![0_u8; 1 << 20];
    let mut state = 1_u64;
    for _ in 0..OBJECT {
        for word in block.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    let mut first = subject.run();
    let kept = capture(first.args(["-i", "file=@object.bin", "--json"]))?;
    let kept: Value = serde_json::from_str(&kept)?;
    let uri = kept["taskRunList"][0]["outputs"]["value"].as_str().context("expected the URI of the file")?;
    fs::write(
        subject.folder().join("flow.yaml"),
        task("Upload", &format!("    key: weft.bin\n    from: {uri}\n")),
    )?;
    let path = subject.folder().join("object.bin").display().to_string();
    let (weft, other) = compare(
        rounds.min(5),
        || subject.run(),
        || python_script(&format!("s3.upload_file({path:?}, 'weft-bench', 'boto3.bin')")),
    )?;
    report::comparison("objects: 1 GiB to S3", ("weft run", &weft), ("boto3 upload_file", &other));
    speed(&weft, &other, "0.8 or more");
    report::result("peak RSS", &report::bytes(weft.peak_rss().max), "flat: the object is not held");

    fs::remove_file(subject.folder().join("object.bin"))?;
    let folder = tempfile::Builder::new().prefix("weft-bench-").tempdir()?;
    let target = folder.path().join("boto3.bin").display().to_string();
    let mut subject = Subject::new(binary, &task("Download", "    key: boto3.bin\n"))?;
    let (weft, other) = compare(
        rounds.min(5),
        || subject.emptied_run(),
        || python_script(&format!("s3.download_file('weft-bench', 'boto3.bin', {target:?})")),
    )?;
    report::comparison("objects: 1 GiB from S3", ("weft run", &weft), ("boto3 download_file", &other));
    speed(&weft, &other, "0.8 or more");
    report::result("peak RSS", &report::bytes(weft.peak_rss().max), "flat: the object is not held");
    python_script("for key in ('weft.bin', 'boto3.bin'): s3.delete_object(Bucket='weft-bench', Key=key)")
        .output()?;
    Ok(())
}

fn speed(weft: &Series, other: &Series, budget: &str) {
    let ratio = other.wall().median.as_secs_f64() / weft.wall().median.as_secs_f64();
    report::result("speed against the other", &format!("{ratio:.2}"), budget);
}
