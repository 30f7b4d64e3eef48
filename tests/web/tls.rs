//! Certificates and a TLS client, both by the `openssl` command.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

fn openssl(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.expect("openssl is installed: `make test-web`");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Makes `NAME.key` and `NAME.pem`, which is for this alternative name such as `DNS:shop.example`: signed by `ca.key` and
/// `ca.pem` of the directory if they are there, else by itself.
pub(crate) fn make(dir: &Path, name: &str, alternative: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let (subject, alternative) = (format!("/CN={name}"), format!("subjectAltName={alternative}"));
    let mut arguments =
        vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    arguments.extend([
        "-days",
        "60",
        "-subj",
        &subject,
        "-addext",
        &alternative,
        "-keyout",
        &key,
        "-out",
        &pem,
    ]);
    if dir.join("ca.pem").exists() {
        arguments.extend([
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
    }
    openssl(dir, &arguments);
}

/// A certificate for `www.example` and `shop.example` that signs itself, and its key, as somebody has bought them.
pub(crate) fn bought(name: &str) -> (String, String) {
    let dir = tempfile::tempdir().expect("a directory");
    make(dir.path(), name, "DNS:www.example,DNS:shop.example");
    let read = |ending: &str| {
        let text = fs::read_to_string(dir.path().join(format!("{name}.{ending}")));
        text.expect("what openssl has written")
    };
    (read("pem"), read("key"))
}

/// What a server shows to a client that asks for this name: number, subject, issuer and names, as `openssl x509`
/// prints them.
pub(crate) fn shown(address: SocketAddr, name: &str) -> String {
    let to = address.to_string();
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-connect", &to, "-servername", name])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut client = client.stdout(Stdio::piped()).spawn().expect("openssl is installed: `make test-web`");
    let said = client.stdout.take().expect("a pipe");
    let mut reader = Command::new("openssl");
    reader.args(["x509", "-noout", "-serial", "-subject", "-issuer", "-ext", "subjectAltName"]).stdin(said);
    let read = reader.output().expect("openssl runs");
    client.wait().expect("our child");
    assert!(read.status.success(), "{to} shows no certificate: {}", String::from_utf8_lossy(&read.stderr));
    String::from_utf8(read.stdout).expect("text")
}
