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
    let done = ask(&format!("set ssl cert {file} <<\n{pem}"))
        .and_then(|answer| expect(&answer, "Transaction "))
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

/// Answers have nothing of what was sent.
fn expect(answer: &str, wanted: &str) -> Result<(), String> {
    if answer.contains(wanted) {
        return Ok(());
    }
    let shown: String = answer.trim().chars().take(200).flat_map(char::escape_debug).collect();
    Err(format!("answered \"{shown}\""))
}
