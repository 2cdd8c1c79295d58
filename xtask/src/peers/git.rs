//! Git over HTTP, HTTPS with an authority of its own, and SSH: nginx with Git's own `git-http-backend`, and OpenSSH.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    Peer, Variable,
    daemon::{await_port, runs, start, stop},
    debian, empty,
};
use crate::exec::capture;

const HTTP: u16 = 28418;
const HTTPS: u16 = 28419;
const SSH: u16 = 28422;

/// Who may read what is below `/priv`.
const USER: &str = "alice";
const PASSWORD: &str = "s3cret-of-alice";
/// The passphrase of the key `ssh/locked`.
const PASSPHRASE: &str = "open-sesame";

/// Raised when what `bring_up` makes changes.
const EDITION: &str = "1";

/// `WEFT_PEER_GIT` is a file in JSON that says where everything is.
pub struct Git;

impl Peer for Git {
    fn name(&self) -> &'static str {
        "git"
    }

    fn is_ready(&self, folder: &Path) -> bool {
        fs::read_to_string(folder.join("edition")).is_ok_and(|edition| edition == EDITION)
            && ["nginx", "fcgiwrap", "sshd"].iter().all(|name| runs(folder, name))
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        debian::provide(
            &["nginx", "fcgiwrap", "sshd", "git", "openssl", "ssh-keygen"],
            &["nginx-light", "fcgiwrap", "openssh-server", "openssh-client", "git", "openssl"],
        )?;
        self.bring_down(folder)?;
        empty(folder)?;
        repositories(folder)?;
        keys(folder)?;
        start_http(folder)?;
        start_ssh(folder)?;
        let user = capture(Command::new("id").arg("-un"))?;
        let ssh = format!("ssh://{}@127.0.0.1:{SSH}{}", user.trim(), folder.join("repos").display());
        let places = json!({
            "http": format!("http://127.0.0.1:{HTTP}"),
            "https": format!("https://localhost:{HTTPS}"),
            "ssh": ssh,
            "user": USER,
            "password": PASSWORD,
            "passphrase": PASSPHRASE,
            "ca": folder.join("tls/ca.crt"),
            "keys": folder.join("ssh"),
            "repositories": folder.join("repos"),
        });
        fs::write(folder.join("places.json"), format!("{places:#}\n"))?;
        fs::write(folder.join("edition"), EDITION)?;
        Ok(())
    }

    fn bring_down(&self, folder: &Path) -> Result<()> {
        ["nginx", "fcgiwrap", "sshd"].iter().try_for_each(|name| stop(folder, name))
    }

    fn env(&self, folder: &Path) -> Vec<Variable> {
        vec![("WEFT_PEER_GIT", folder.join("places.json").into())]
    }
}

/// Git as on a machine where nobody has configured it.
fn git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(directory).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for (name, value) in
        [("NAME", "Tester"), ("EMAIL", "tester@example.com"), ("DATE", "2026-01-01T00:00:00Z")]
    {
        git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    git.args(["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", "-c", "safe.directory=*"]);
    git
}

/// `demo.git`, with a history, a branch, a tag and the submodule `lib.git`.
fn repositories(folder: &Path) -> Result<()> {
    let repos = folder.join("repos");
    fs::create_dir_all(&repos)?;
    let run = |directory: &Path, args: &[&str]| capture(git(directory).args(args)).map(drop);
    for name in ["lib", "demo"] {
        let work = folder.join("work").join(name);
        fs::create_dir_all(&work)?;
        run(&work, &["init", "-q"])?;
        let bare = repos.join(name).with_extension("git");
        if name == "lib" {
            fs::write(work.join("lib.txt"), "of the submodule\n")?;
            run(&work, &["add", "."])?;
            run(&work, &["commit", "-qm", "library"])?;
        } else {
            fs::create_dir_all(work.join("scripts"))?;
            fs::write(work.join("scripts/hello.py"), "print('hello from the repository')\n")?;
            fs::write(work.join("requirements.txt"), "requests==2.32.0\n")?;
            fs::write(work.join("version.txt"), "1\n")?;
            run(&work, &["add", "."])?;
            run(&work, &["commit", "-qm", "first"])?;
            run(&work, &["tag", "-a", "v1.0", "-m", "the first one"])?;
            run(&work, &["submodule", "-q", "add", "../../repos/lib.git", "lib"])?;
            run(&work, &["config", "-f", ".gitmodules", "submodule.lib.url", "../lib.git"])?;
            fs::write(work.join("version.txt"), "2\n")?;
            run(&work, &["add", "."])?;
            run(&work, &["commit", "-qm", "second"])?;
            run(&work, &["checkout", "-q", "-b", "feature"])?;
            fs::write(work.join("feature.txt"), "new\n")?;
            run(&work, &["add", "."])?;
            run(&work, &["commit", "-qm", "third"])?;
            run(&work, &["checkout", "-q", "main"])?;
        }
        run(folder, &["clone", "-q", "--bare", &work.to_string_lossy(), &bare.to_string_lossy()])?;
    }
    Ok(())
}

/// An authority with a certificate for this machine, and keys for SSH: of the server, of a user, the same with a
/// passphrase, in the older form, and of a stranger.
fn keys(folder: &Path) -> Result<()> {
    let (tls, ssh) = (folder.join("tls"), folder.join("ssh"));
    fs::create_dir_all(&tls)?;
    fs::create_dir_all(&ssh)?;
    let openssl = |args: &[&str]| capture(Command::new("openssl").current_dir(&tls).args(args)).map(drop);
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"];
    openssl(
        &[&["req", "-x509"], &new[..], &["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=weft tests"]]
            .concat(),
    )?;
    openssl(
        &[
            &["req", "-x509"],
            &new[..],
            &[
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-keyout",
                "server.key",
                "-out",
                "server.crt",
                "-subj",
                "/CN=localhost",
            ],
            &["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
        ]
        .concat(),
    )?;
    let mut authorized = String::new();
    for (name, passphrase, extra) in [
        ("host", "", &["-t", "ed25519"][..]),
        ("id", "", &["-t", "ed25519"]),
        ("locked", PASSPHRASE, &["-t", "ed25519"]),
        ("rsa", "", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("stranger", "", &["-t", "ed25519"]),
    ] {
        let key = ssh.join(name);
        capture(
            Command::new("ssh-keygen")
                .args(["-q", "-N", passphrase, "-C", name])
                .args(extra)
                .arg("-f")
                .arg(&key),
        )?;
        if ["id", "locked", "rsa"].contains(&name) {
            authorized += &fs::read_to_string(key.with_extension("pub"))?;
        }
    }
    fs::write(ssh.join("authorized_keys"), authorized)?;
    Ok(())
}

fn start_http(folder: &Path) -> Result<()> {
    let hash = capture(Command::new("openssl").args(["passwd", "-apr1", PASSWORD]))?;
    fs::write(folder.join("htpasswd"), format!("{USER}:{}\n", hash.trim()))?;
    let exec_path = capture(Command::new("git").arg("--exec-path"))?;
    let backend = PathBuf::from(exec_path.trim()).join("git-http-backend");
    let (socket, here) = (folder.join("fcgi.sock"), folder.display());
    let fastcgi = format!(
        "fastcgi_pass unix:{}; fastcgi_param SCRIPT_FILENAME {}; fastcgi_param GIT_HTTP_EXPORT_ALL 1;\n\
         fastcgi_param GIT_PROJECT_ROOT {here}/repos; fastcgi_param PATH_INFO $1; fastcgi_param REMOTE_USER $remote_user;\n\
         fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string;\n\
         fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;\n\
         fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding; fastcgi_param GIT_PROTOCOL $http_git_protocol;\n\
         fastcgi_param REMOTE_ADDR $remote_addr; fastcgi_param SERVER_PROTOCOL $server_protocol;\n\
         fastcgi_buffering off; fastcgi_read_timeout 600;\n",
        socket.display(),
        backend.display(),
    );
    fs::write(folder.join("fastcgi"), fastcgi)?;
    let temp: String = ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/nginx-{kind};\n"))
        .concat();
    let user = if crate::exec::is_root() { "user root;" } else { "" };
    let config = format!(
        "daemon off; pid {here}/nginx-own.pid; error_log {here}/nginx-error.log; worker_processes 1; {user}\n\
         events {{ worker_connections 128; }}\n\
         http {{\n access_log {here}/access.log; client_max_body_size 0;\n {temp} server {{\n\
           listen 127.0.0.1:{HTTP}; listen 127.0.0.1:{HTTPS} ssl;\n\
           ssl_certificate {here}/tls/server.crt; ssl_certificate_key {here}/tls/server.key;\n\
           location ~ ^/pub(/.*)$ {{ include {here}/fastcgi; }}\n\
           location ~ ^/priv(/.*)$ {{ auth_basic git; auth_basic_user_file {here}/htpasswd; include {here}/fastcgi; }}\n\
           location ~ ^/moved(/.*)$ {{ return 301 http://127.0.0.1:{HTTP}/pub$1$is_args$args; }}\n\
           location /page {{ default_type text/html; return 200 '<html>not git</html>'; }}\n\
         }} }}\n"
    );
    fs::write(folder.join("nginx.conf"), config)?;
    let fcgiwrap = debian::program("fcgiwrap").context("`fcgiwrap` is gone")?;
    let mut command = Command::new(fcgiwrap);
    command.args(["-c", "4", "-s", &format!("unix:{}", socket.display())]);
    // A repository of another user is none of Git's business, unless it is told that it is.
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_COUNT", "2");
    command.env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    command.env("GIT_CONFIG_KEY_1", "uploadpack.allowFilter").env("GIT_CONFIG_VALUE_1", "true");
    start(folder, "fcgiwrap", &mut command)?;
    let nginx = debian::program("nginx").context("`nginx` is gone")?;
    start(
        folder,
        "nginx",
        Command::new(nginx).arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(folder),
    )?;
    await_port(folder, "nginx", HTTP)
}

fn start_ssh(folder: &Path) -> Result<()> {
    if crate::exec::is_root() {
        // sshd wants this folder to be there, and makes it nowhere itself.
        fs::create_dir_all("/run/sshd")?;
    }
    let sshd = debian::program("sshd").context("`sshd` is gone")?;
    let mut command = Command::new(sshd);
    command
        .args(["-D", "-e", "-f", "/dev/null", "-p", &SSH.to_string()])
        .arg("-h")
        .arg(folder.join("ssh/host"));
    let authorized = folder.join("ssh/authorized_keys");
    for option in [
        "ListenAddress=127.0.0.1".to_owned(),
        format!("AuthorizedKeysFile={}", authorized.display()),
        "PasswordAuthentication=no".to_owned(),
        "KbdInteractiveAuthentication=no".to_owned(),
        "StrictModes=no".to_owned(),
        "PermitRootLogin=yes".to_owned(),
        "UsePAM=no".to_owned(),
        "PidFile=none".to_owned(),
        format!("SetEnv=PATH={}", env::var("PATH").unwrap_or_default()),
    ] {
        command.args(["-o", &option]);
    }
    start(folder, "sshd", &mut command)?;
    await_port(folder, "sshd", SSH)
}
