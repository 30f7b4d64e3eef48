//! Certificates of a running worker (management guide, section 9.3, `set ssl cert`).

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::socket::ask;

/// How long a worker may take: it may have a thousand places for one certificate, each of which it makes anew.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file that workers have read, and what they are to have in its place.
#[derive(Clone, Copy)]
pub struct Replacement<'a> {
    /// The path that the worker knows it by.
    pub file: &'a Path,
    /// Chain and key, PEM without an empty line.
    pub pem: &'a str,
    /// The number of the certificate, upper-case hexadecimal digits without leading zeros.
    pub serial: &'a str,
}

/// Has each of these workers use other certificates from the next handshake on, without a reload. Connections stay as they are.
///
/// Whatever another one has begun and not ended is aborted: a worker has one transaction at a time (HAProxy, `src/ssl_ckch.c`,
/// `cli_parse_set_cert`), so nobody else may be at it now.
///
/// # Errors
/// There is no worker, or one of them does not have the file or does not take it: in one line, without the key. Some may
/// have done it.
pub fn replace_certificates(sockets: &[PathBuf], replacements: &[Replacement<'_>]) -> Result<(), String> {
    if sockets.is_empty() {
        return Err("no stats socket of HAProxy to ask".to_owned());
    }
    let deadline = Instant::now() + PATIENCE;
    for socket in sockets {
        for replacement in replacements {
            replace(socket, replacement, deadline).map_err(|why| format!("{}: {why}", socket.display()))?;
        }
    }
    Ok(())
}

fn replace(socket: &Path, replacement: &Replacement<'_>, deadline: Instant) -> Result<(), String> {
    let Replacement { file, pem, serial } = replacement;
    let file = file.display();
    let ask = |command: &str| ask(socket, command, deadline).map_err(|error: io::Error| error.to_string());
    // Else the transaction would make a file that no frontend uses.
    expect(&ask(&format!("show ssl cert {file}"))?, "Filename:")?;
    let set = || ask(&format!("set ssl cert {file} <<\n{pem}"));
    let known = file.to_string();
    let begun = set().and_then(|answer| match transaction(&answer) {
        // By one who was killed. Without this, what was just sent would be in the place of that one.
        Some(other) if other != known => ask(&format!("abort ssl cert {other}")).and_then(|_| set()),
        _ => Ok(answer),
    });
    let begun = begun.and_then(|answer| match transaction(&answer) {
        Some(begun) if begun == known => Ok(()),
        _ => Err(answered(&answer)),
    });
    let done = begun
        .and_then(|()| ask(&format!("commit ssl cert {file}")))
        .and_then(|answer| expect(&answer, "Success!"));
    if done.is_err() {
        // What stays open would be in the way of the next one.
        let _ = ask(&format!("abort ssl cert {file}"));
    }
    done?;
    let now = ask(&format!("show ssl cert {file}"))?;
    let shown = now.lines().find_map(|line| line.strip_prefix("Serial: ")).unwrap_or_default();
    if shown.trim().trim_start_matches('0') == *serial {
        Ok(())
    } else {
        Err(format!("it has another certificate in the place of {file} still"))
    }
}

/// The certificate that the transaction of a worker is about: HAProxy 2.6 takes what is set for another one into it.
fn transaction(answer: &str) -> Option<&str> {
    let begun = answer.split_once("Transaction created for certificate ");
    let begun = begun.or_else(|| answer.split_once("Transaction updated for certificate "));
    match begun {
        Some((_, rest)) => rest.split_once('!').map(|(file, _)| file),
        None => Some(answer.split_once("The ongoing transaction is about '")?.1.split_once('\'')?.0),
    }
}

/// Answers have nothing of what was sent.
fn expect(answer: &str, wanted: &str) -> Result<(), String> {
    if answer.contains(wanted) { Ok(()) } else { Err(answered(answer)) }
}

fn answered(answer: &str) -> String {
    let shown: String = answer.trim().chars().take(200).flat_map(char::escape_debug).collect();
    format!("answered \"{shown}\"")
}
