//! A running HAProxy with one contender in it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use edge_benches::processes::{Served, stolen};
use edge_e2e::{Haproxy, Launch, Port, Process};
use tempfile::TempDir;

use crate::agent::Agent;
use crate::contender::{Contender, Lines, PASS, Subject, spoe_engine};
use crate::field::{Ask, Field};
use crate::load::{Client, Outcome, Pace, Requests};
use crate::problem::{Fallible, problem};

/// Requests of each kind that must get the right answer before anything is measured.
const PROBES: u64 = 500;
/// HAProxy counts the time of a thread when it goes to sleep, or at the next tick of the kernel.
const SETTLE: Duration = Duration::from_millis(5);
const CLI_TIMEOUT: Duration = Duration::from_secs(120);

/// Where HAProxy and the client run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Threads of HAProxy.
    pub(crate) threads: usize,
    /// Processors of HAProxy.
    pub(crate) haproxy_cpus: Vec<usize>,
    /// Processors of the client, a thread on each.
    pub(crate) client_cpus: Vec<usize>,
}

impl Place {
    /// HAProxy on one, the client on the other.
    pub(crate) fn apart() -> Self {
        Self { threads: 1, haproxy_cpus: vec![0], client_cpus: vec![1] }
    }

    /// HAProxy with so many threads, and the client with two, on the same two.
    pub(crate) fn shared(threads: usize) -> Self {
        Self { threads, haproxy_cpus: vec![0, 1], client_cpus: vec![0, 1] }
    }
}

/// The socket on which HAProxy takes commands.
#[derive(Clone, Debug)]
pub(crate) struct Cli(PathBuf);

/// What HAProxy did when it had its turn.
pub(crate) struct Turn {
    /// What the client saw.
    pub(crate) outcome: Outcome,
    cpu: Duration,
    agent_cpu: Duration,
    lost: Duration,
}

impl Turn {
    /// Processor time of HAProxy for one request, microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.outcome.answered as f64
    }

    /// Processor time of the agent for one request, microseconds; zero where there is none.
    pub(crate) fn agent_cpu_us(&self) -> f64 {
        self.agent_cpu.as_secs_f64() * 1e6 / self.outcome.answered as f64
    }

    /// Time that HAProxy did not have its processor though it could have run, since another process or another virtual
    /// machine had it, in parts of the time that it had.
    pub(crate) fn lost_part(&self) -> f64 {
        self.lost.as_secs_f64() / self.cpu.as_secs_f64()
    }

    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.outcome.answered as f64 / self.outcome.wall.as_secs_f64()
    }
}

/// A running HAProxy. Everything ends when it is dropped.
pub(crate) struct Stand {
    haproxy: Haproxy,
    // HAProxy's connections to it end first.
    agent: Option<Agent>,
    dir: TempDir,
    port: Port,
    place: Place,
    clients: Vec<Client>,
}

impl Stand {
    /// Starts HAProxy with `contender` refusing what `field` lists, and sees to it that it does.
    ///
    /// # Errors
    /// HAProxy does not start, or answers a request as it should not.
    pub(crate) fn start(
        contender: Contender,
        subject: Subject,
        field: &Field,
        place: Place,
    ) -> Fallible<Self> {
        let agent = (contender == Contender::Spoe).then(|| Agent::start(field.agent_keys())).transpose()?;
        let addr = agent.as_ref().map(Agent::addr);
        let name = contender.name(subject);
        let mut stand = Self::launch(name, place, agent, &[], |dir| {
            fs::write(dir.join("spoe.cfg"), spoe_engine(subject))?;
            Ok(contender.lines(subject, field, dir, addr))
        })?;
        if contender.is_ours() {
            let status: serde_json::Value = serde_json::from_str(&stand.cli().ask("show edge status")?)?;
            if status["native"] != (contender == Contender::Edge) {
                return Err(problem(format!("{name} is not measured: {status}")));
            }
        }
        for ask in [Ask::Miss, Ask::Hit] {
            if ask == Ask::Miss || field.entries > 0 && contender.is_filter() {
                stand.prove(name, &field.requests(ask))?;
            }
        }
        Ok(stand)
    }

    /// Starts HAProxy with what `lines` gives it, run by the command `under`.
    ///
    /// # Errors
    /// HAProxy does not start.
    pub(crate) fn launch(
        name: &str,
        place: Place,
        agent: Option<Agent>,
        under: &[&str],
        lines: impl FnOnce(&Path) -> io::Result<Lines>,
    ) -> Fallible<Self> {
        let dir = tempfile::Builder::new().prefix("edge-compare.").tempdir()?;
        let port = Port::reserve()?;
        let lines = lines(dir.path())?;
        let config = dir.path().join("haproxy.cfg");
        fs::write(&config, config_text(&lines, dir.path(), port.addr(), place.threads))?;
        let cpus: Vec<String> = place.haproxy_cpus.iter().map(usize::to_string).collect();
        let cpus = cpus.join(",");
        let launch = Launch {
            config,
            env: Vec::new(),
            under: ["taskset", "-c", &cpus].iter().chain(under).map(Into::into).collect(),
            master_worker: false,
            listeners: vec![port.addr()],
            stats_socket: Some(dir.path().join("cli.sock")),
            output_dir: Some(dir.path().to_owned()),
        };
        let haproxy =
            launch.start().map_err(|failure| problem(format!("{name} does not start: {}", failure.log)))?;
        Ok(Self { haproxy, agent, dir, port, place, clients: Vec::new() })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.haproxy.first_pid()
    }

    /// Ends HAProxy as an operator would; what runs it has its last word.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn stop(mut self) -> Fallible<String> {
        self.clients.clear();
        self.haproxy.stop()?;
        Ok(self.haproxy.log())
    }

    /// Memory that it alone has and has written to, bytes.
    pub(crate) fn private_bytes(&self) -> u64 {
        Process(self.pid()).private_kib() * 1024
    }

    /// As much of it as lies in large pages, bytes.
    pub(crate) fn large_page_bytes(&self) -> u64 {
        Process(self.pid()).large_pages_kib() * 1024
    }

    /// Its socket for commands.
    pub(crate) fn cli(&self) -> Cli {
        Cli(self.dir.path().join("cli.sock"))
    }

    /// Opens so many connections of the client.
    ///
    /// # Errors
    /// HAProxy does not take them.
    pub(crate) fn connect(&mut self, connections: usize) -> io::Result<()> {
        let threads = self.place.client_cpus.len();
        let addr = self.addr();
        let clients = (0..threads).map(|_| Client::connect(addr, connections / threads));
        self.clients = clients.collect::<io::Result<_>>()?;
        Ok(())
    }

    /// A turn of so long.
    ///
    /// # Errors
    /// A connection could not be opened anew, or an answer was not what it had to be.
    pub(crate) fn turn(&mut self, requests: &Requests, pace: Pace, length: Duration) -> Fallible<Turn> {
        let start = Instant::now();
        let turn = self.turn_until(requests, pace, |now, _| now - start >= length)?;
        let Outcome { answered, wrong, failed, .. } = turn.outcome;
        if wrong + failed > 0 || answered == 0 {
            return Err(problem(format!("{answered} right answers, {wrong} wrong ones, {failed} failures")));
        }
        Ok(turn)
    }

    /// A turn that ends when `until` says so; whatever came back.
    ///
    /// # Errors
    /// A connection could not be opened anew.
    pub(crate) fn turn_until(
        &mut self,
        requests: &Requests,
        pace: Pace,
        until: impl Fn(Instant, &Outcome) -> bool + Sync,
    ) -> Fallible<Turn> {
        let used = |stand: &Self| {
            let agent_cpu = stand.agent.as_ref().map_or(Duration::ZERO, Agent::cpu);
            let served = Served::of(stand.pid()).ok_or_else(|| problem("HAProxy has ended"))?;
            Fallible::Ok((served, agent_cpu, stolen(&stand.place.haproxy_cpus)))
        };
        // It has settled since its last turn.
        let before = used(self)?;
        let cpus = self.place.client_cpus.clone();
        let outcome = thread::scope(|scope| {
            let until = &until;
            let drivers: Vec<_> = self
                .clients
                .iter_mut()
                .zip(cpus)
                .map(|(client, cpu)| {
                    scope.spawn(move || {
                        crate::load::stay_on(&[cpu])?;
                        client.drive(requests, pace, until)
                    })
                })
                .collect();
            drivers.into_iter().try_fold(Outcome::default(), |sum, driver| {
                driver.join().expect("a client does not panic").map(|one| sum.and(one))
            })
        })?;
        thread::sleep(SETTLE);
        let after = used(self)?;
        Ok(Turn {
            outcome,
            cpu: after.0.cpu - before.0.cpu,
            agent_cpu: after.1.saturating_sub(before.1),
            lost: (after.0.waited - before.0.waited) + (after.2 - before.2),
        })
    }

    fn prove(&mut self, name: &str, requests: &Requests) -> Fallible<()> {
        let mut client = Client::connect(self.addr(), 1)?;
        let outcome = client.drive(requests, Pace::Full, |_, outcome| {
            outcome.answered + outcome.wrong + outcome.failed >= PROBES
        })?;
        if outcome.wrong + outcome.failed > 0 {
            let Outcome { answered, wrong, failed, .. } = outcome;
            return Err(problem(format!(
                "{name} is not measured: {answered} right answers, {wrong} wrong ones, {failed} failures; {}",
                self.haproxy.log()
            )));
        }
        Ok(())
    }
}

impl Cli {
    /// The answer to a line of commands.
    ///
    /// # Errors
    /// HAProxy does not take it, or does not answer within two minutes.
    pub(crate) fn ask(&self, line: &str) -> io::Result<String> {
        let mut socket = UnixStream::connect(&self.0)?;
        socket.set_read_timeout(Some(CLI_TIMEOUT))?;
        socket.write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn config_text(lines: &Lines, dir: &Path, addr: SocketAddr, threads: usize) -> String {
    let Lines { global, frontend, rules, passed, sections } = lines;
    let passed = if passed.is_empty() { PASS } else { passed };
    let socket = dir.join("cli.sock");
    format!(
        "global\n  nbthread {threads}\n  maxconn 2000\n  stats socket {} level admin\n  stats timeout 10m\n\
         .if version_atleast(3.1)\n  tune.lua.bool-sample-conversion normal\n.endif\n{global}\
         defaults\n  mode http\n  timeout client 30m\n  timeout http-keep-alive 30m\n  timeout connect 10s\n  \
         timeout server 30m\n\
         frontend web\n  bind {addr}\n{frontend}  http-request set-src hdr_ip(X-Forwarded-For)\n{rules}{passed}{sections}",
        socket.display()
    )
}
