//! The load: requests made beforehand, sent over connections that stay open, one request at a time on each.
//!
//! wrk and oha make each header anew, or the same for all; here a request costs the client two system calls, so that
//! HAProxy on the other core is what takes the time.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::Pid;

/// A connection that has no answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer, bytes: HAProxy's own pages have some hundred.
const ANSWER_BYTES: usize = 1024;
/// What takes longer counts as long as this.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
const EVENTS: usize = 64;
/// What the timer is called among the connections.
const TIMER: u64 = u64::MAX;

/// Requests in the form in which they are sent, and whether each must be refused.
#[derive(Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    ends: Vec<usize>,
    refused: Vec<bool>,
}

impl Requests {
    /// One more: a `GET` for host and path on behalf of `client`.
    pub(crate) fn push(&mut self, base: &str, client: IpAddr, is_refused: bool) {
        let (host, path) = base.find('/').map_or((base, "/"), |slash| base.split_at(slash));
        write!(self.bytes, "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n")
            .expect("memory takes all");
        self.ends.push(self.bytes.len());
        self.refused.push(is_refused);
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The same to somebody who refuses nothing.
    pub(crate) fn all_passed(&self) -> Self {
        Self { refused: vec![false; self.len()], bytes: self.bytes.clone(), ends: self.ends.clone() }
    }

    fn get(&self, n: usize) -> (&[u8], bool) {
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.bytes[start..self.ends[n]], self.refused[n])
    }
}

/// How the requests follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// The next one as soon as an answer is there: as many as HAProxy can do.
    Full,
    /// So many a second, whether or not HAProxy keeps up. What has to wait for a connection has begun when it was due.
    PerSecond(u32),
}

/// What came back.
pub(crate) struct Outcome {
    /// Right answers.
    pub(crate) answered: u64,
    /// Answers with another status than the request had to get.
    pub(crate) wrong: u64,
    /// Connections that broke or gave no answer.
    pub(crate) failed: u64,
    /// From when each request was due to its answer, nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// From the first request to the last answer.
    pub(crate) wall: Duration,
}

impl Default for Outcome {
    fn default() -> Self {
        let latency = Histogram::new_with_max(MAX_LATENCY_NS, 3).expect("three digits are allowed");
        Self { answered: 0, wrong: 0, failed: 0, latency, wall: Duration::ZERO }
    }
}

impl Outcome {
    /// Both together, at the same time.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.answered += other.answered;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.latency.add(&other.latency).expect("both have the same bounds");
        self.wall = self.wall.max(other.wall);
        self
    }

    /// Microseconds within which this part of the requests was answered.
    pub(crate) fn within_us(&self, part: f64) -> f64 {
        self.latency.value_at_quantile(part) as f64 / 1e3
    }
}

/// Keeps the calling thread on these processors.
///
/// # Errors
/// There is none of them.
pub(crate) fn stay_on(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

struct Connection {
    stream: TcpStream,
    /// When the request that is on its way was due; `None`: none is.
    due: Option<Instant>,
    expects_refusal: bool,
    answer: [u8; ANSWER_BYTES],
    got: usize,
}

/// A client with open connections.
pub(crate) struct Client {
    to: SocketAddr,
    epoll: Epoll,
    connections: Vec<Connection>,
    /// Counts the requests: the next one has this number, or what is left of it after as many as there are.
    next: usize,
}

impl Client {
    /// With so many connections.
    ///
    /// # Errors
    /// Nobody takes them.
    pub(crate) fn connect(to: SocketAddr, connections: usize) -> io::Result<Self> {
        let mut client =
            Self { to, epoll: Epoll::new(EpollCreateFlags::empty())?, connections: Vec::new(), next: 0 };
        for at in 0..connections {
            let connection = client.open(at)?;
            client.connections.push(connection);
        }
        Ok(client)
    }

    fn open(&self, at: usize) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, at as u64))?;
        Ok(Connection { stream, due: None, expects_refusal: false, answer: [0; ANSWER_BYTES], got: 0 })
    }

    /// Sends requests, going on where it stopped the last time, until `until` says so, and waits for the last answers.
    ///
    /// # Errors
    /// A connection could not be opened anew.
    pub(crate) fn drive(
        &mut self,
        requests: &Requests,
        pace: Pace,
        mut until: impl FnMut(Instant, &Outcome) -> bool,
    ) -> io::Result<Outcome> {
        let mut outcome = Outcome::default();
        let start = Instant::now();
        let mut idle: Vec<usize> = (0..self.connections.len()).collect();
        let mut schedule = Schedule::begin(pace, start, &self.epoll)?;
        let mut events = [EpollEvent::empty(); EVENTS];
        let mut last_answer = start;
        let mut is_over = false;
        loop {
            while !is_over && let Some(&at) = idle.last() {
                let Some(due) = schedule.next_due(last_answer) else { break };
                idle.pop();
                self.send(at, requests, due, &mut outcome)?;
            }
            if is_over && idle.len() == self.connections.len() {
                break;
            }
            let count = self.epoll.wait(&mut events, EpollTimeout::from(100u8))?;
            let now = Instant::now();
            is_over = is_over || until(now, &outcome);
            if count == 0 && now - last_answer > PATIENCE && self.connections.iter().any(|c| c.due.is_some())
            {
                outcome.failed += self.connections.iter().filter(|c| c.due.is_some()).count() as u64;
                for at in 0..self.connections.len() {
                    self.reopen(at)?;
                }
                break;
            }
            for event in &events[..count] {
                if event.data() == TIMER {
                    schedule.catch_up();
                    continue;
                }
                let at = event.data() as usize;
                let now = Instant::now();
                if self.receive(at, now, &mut outcome)? {
                    last_answer = now;
                    idle.push(at);
                }
            }
        }
        schedule.end(&self.epoll)?;
        outcome.wall = last_answer - start;
        Ok(outcome)
    }

    fn send(
        &mut self,
        at: usize,
        requests: &Requests,
        due: Instant,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        let (bytes, is_refused) = requests.get(self.next % requests.len());
        self.next = self.next.wrapping_add(1);
        let connection = &mut self.connections[at];
        connection.expects_refusal = is_refused;
        connection.due = Some(due);
        connection.got = 0;
        // A request is far smaller than the buffer of an empty socket.
        if !connection.stream.write(bytes).is_ok_and(|sent| sent == bytes.len()) {
            outcome.failed += 1;
            self.reopen(at)?;
            self.connections[at].due = Some(due);
            self.connections[at].stream.write_all(bytes)?;
            self.connections[at].expects_refusal = is_refused;
        }
        Ok(())
    }

    /// Whether the connection is free again.
    fn receive(&mut self, at: usize, now: Instant, outcome: &mut Outcome) -> io::Result<bool> {
        let connection = &mut self.connections[at];
        let got = connection.got;
        match connection.stream.read(&mut connection.answer[got..]) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Ok(count) if count > 0 => connection.got += count,
            _ => {
                // A connection that HAProxy closes while nothing is asked is no failure.
                let was_busy = connection.due.take().is_some();
                outcome.failed += u64::from(was_busy);
                self.reopen(at)?;
                return Ok(was_busy);
            }
        }
        let Some(status) = whole_answer(&connection.answer[..connection.got]) else { return Ok(false) };
        let Some(due) = connection.due.take() else { return Ok(false) };
        if status == if connection.expects_refusal { b"403" } else { b"200" } {
            outcome.answered += 1;
            outcome.latency.saturating_record((now - due).as_nanos() as u64);
        } else {
            outcome.wrong += 1;
        }
        Ok(true)
    }

    fn reopen(&mut self, at: usize) -> io::Result<()> {
        self.epoll.delete(&self.connections[at].stream)?;
        self.connections[at] = self.open(at)?;
        Ok(())
    }
}

/// The status of an answer of which all has come.
fn whole_answer(bytes: &[u8]) -> Option<&[u8]> {
    const LENGTH: &[u8] = b"content-length: ";
    let head_bytes = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let at = bytes[..head_bytes].windows(LENGTH.len()).position(|window| window == LENGTH)? + LENGTH.len();
    let digits = bytes[at..head_bytes].iter().take_while(|byte| byte.is_ascii_digit());
    let body_bytes = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    (bytes.len() >= head_bytes + body_bytes).then(|| &bytes[9..12])
}

/// When the next request is due.
enum Schedule {
    AtOnce,
    Timed { timer: TimerFd, start: Instant, gap: Duration, sent: u32, due: u32 },
}

impl Schedule {
    fn begin(pace: Pace, start: Instant, epoll: &Epoll) -> io::Result<Self> {
        let Pace::PerSecond(rate) = pace else { return Ok(Self::AtOnce) };
        let gap = Duration::from_secs(1) / rate;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        timer.set(Expiration::Interval(TimeSpec::from_duration(gap)), TimerSetTimeFlags::empty())?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        Ok(Self::Timed { timer, start, gap, sent: 0, due: 0 })
    }

    /// `None`: nothing is due yet.
    fn next_due(&mut self, now: Instant) -> Option<Instant> {
        match self {
            Self::AtOnce => Some(now),
            Self::Timed { start, gap, sent, due, .. } => (*sent < *due).then(|| {
                *sent += 1;
                *start + *gap * *sent
            }),
        }
    }

    fn catch_up(&mut self) {
        if let Self::Timed { timer, start, gap, due, .. } = self {
            // Read, or it stays ready.
            let _ = timer.wait();
            *due = (start.elapsed().as_nanos() / gap.as_nanos()) as u32;
        }
    }

    fn end(&self, epoll: &Epoll) -> io::Result<()> {
        match self {
            Self::AtOnce => Ok(()),
            Self::Timed { timer, .. } => Ok(epoll.delete(timer)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        assert_eq!(whole_answer(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n"), None);
        assert_eq!(whole_answer(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n42"), Some(&b"403"[..]));
    }
}
