//! `edge-manager events`.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use hyper::Method;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use super::control::{self, ask};
use super::failure::Failure;
use super::places::Places;
use super::read::write_json;
use crate::clock::rfc3339;

/// `serve` says something every 15 s: nothing for so long, and it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest line of an event, bytes: it has twenty rules at most.
const MAX_LINE_BYTES: usize = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Events {
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

impl Events {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let control = self.places.control();
        let stream = control::connect(&control)?.ok_or(Failure::NotServing(control))?;
        let runtime = control::runtime()?;
        let done = runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::NoAnswer)?;
            let mut terminate = signal(SignalKind::terminate()).map_err(Failure::NoAnswer)?;
            tokio::select! {
                ended = follow(stream, self.json) => ended,
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
                () = nobody_reads() => Ok(()),
            }
        });
        // Whoever reads our output may have stopped, with a line under way: it is not waited for.
        runtime.shutdown_background();
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// Prints events as they come. Ends by an error only: they have no end of their own.
async fn follow(stream: UnixStream, is_json: bool) -> Result<(), Failure> {
    let (_connection, answer) = ask(stream, Method::GET, "/api/events", "", Vec::new()).await?;
    let mut body = answer.into_body();
    let (mut rest, mut event) = (Vec::new(), Event::default());
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
        let frame = frame.map_err(|_| Failure::NoAnswer(io::ErrorKind::TimedOut.into()))?;
        let frame = frame.ok_or_else(|| Failure::NoAnswer(io::Error::other("it has ended")))?;
        let frame = frame.map_err(|error| Failure::NoAnswer(io::Error::other(error)))?;
        rest.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if let Some(whole) = event.take(&line).map_err(Failure::NoAnswer)? {
                // Not here: a reader that has stopped must not keep the signals out.
                let written = tokio::task::spawn_blocking(move || whole.write(is_json)).await;
                written.map_err(|error| Failure::NoAnswer(error.into()))??;
            }
        }
        if rest.len() > MAX_LINE_BYTES {
            return Err(Failure::NoAnswer(io::Error::other("an event is longer than 1 MiB")));
        }
    }
}

/// Ends when nobody reads our output any more, as head(1) that has seen enough; never where that cannot be known, as of a file.
async fn nobody_reads() {
    let hangup = tokio::task::spawn_blocking(|| {
        let output = io::stdout();
        // poll(2) tells of errors and hangups without being asked to.
        retry_on_intr(|| poll(&mut [PollFd::new(&output, PollFlags::empty())], None))
    });
    if !matches!(hangup.await, Ok(Ok(1))) {
        std::future::pending().await
    }
}

/// A server-sent event (HTML, section 9.2.6), each field of which has one line here.
#[derive(Debug, Default, Serialize)]
struct Event {
    /// `rules`, `learned`, `configuration`, `haproxy`, or `lagged` where some were lost.
    event: String,
    /// Greater than those before; none of `lagged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(flatten)]
    data: Map<String, Value>,
}

impl Event {
    /// Takes a line; the whole event, where it is its last one.
    fn take(&mut self, line: &[u8]) -> io::Result<Option<Self>> {
        let line = str::from_utf8(line).map_err(io::Error::other)?.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            let whole = std::mem::take(self);
            return Ok(Some(whole).filter(|event| !event.event.is_empty()));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "id" => self.id = value.parse().ok(),
            "data" => self.data = serde_json::from_str(value)?,
            // Comments, which have no field, and what is not known.
            _ => {}
        }
        Ok(None)
    }

    fn write(mut self, is_json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if is_json {
            write_json(&mut out, &self)?;
            return out.flush();
        }
        let at_s: Option<u32> = self.data.remove("at_s").and_then(|at_s| at_s.as_u64()?.try_into().ok());
        if let Some(at_s) = at_s {
            write!(out, "{}, ", rfc3339(at_s))?;
        }
        write!(out, "{}", self.event)?;
        for (at, (name, value)) in self.data.iter().enumerate() {
            let before = if at == 0 { ": " } else { ", " };
            write!(out, "{before}{name} {value}")?;
        }
        writeln!(out)?;
        out.flush()
    }
}
