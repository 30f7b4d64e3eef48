//! A place for everything that a command uses, and what commands say.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use edge_e2e::{ServeCommand, ServeProcess};
use serde_json::Value;

pub(crate) struct Home(pub(crate) tempfile::TempDir, pub(crate) Option<ServeProcess>);

/// Exit status, standard output, standard error.
pub(crate) type Said = (i32, String, String);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), None)
    }

    /// Where `edge-manager serve` has the record, and does what commands ask it for.
    pub(crate) fn serving() -> Self {
        Self::serving_with(Vec::new())
    }

    /// The same with these variables.
    pub(crate) fn serving_with(mut env: Vec<(String, OsString)>) -> Self {
        let mut home = Self::new();
        let program = env!("CARGO_BIN_EXE_edge-manager");
        env.extend(home.env());
        home.1 = Some(ServeCommand::within(home.0.path(), program, env).start().unwrap().0);
        home
    }

    /// A home without a manager that serves, and one with it: commands say the same, and end the same way.
    pub(crate) fn both() -> [Self; 2] {
        [Self::new(), Self::serving()]
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.path().join("edge.sock")
    }

    fn env(&self) -> [(String, OsString); 4] {
        let env = [
            ("EDGE_DATABASE", self.0.path().join("rules.db")),
            ("EDGE_STATE_DIR", self.state()),
            ("EDGE_CONFIG_DIR", self.0.path().join("haproxy")),
            ("EDGE_SOCKET", self.socket()),
        ];
        env.map(|(name, path)| (name.to_owned(), path.into()))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut manager = Command::new(env!("CARGO_BIN_EXE_edge-manager"));
        manager
            .args(args)
            .envs(self.env())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        manager
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, "")
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Said {
        let mut child = self.command(args).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Whoever does not read it is no matter.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        said(child.wait_with_output().unwrap())
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let (_, out, error) = self.run(args);
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"))
    }

    /// A HAProxy that has all that the database says was written.
    pub(crate) fn answer(&self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let database = self.socket().with_file_name("rules.db");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = std::io::Read::read(&mut stream, &mut [0; 64]);
                let _ = stream.write_all(crate::worker::in_force(&database).as_bytes());
            }
        });
    }

    pub(crate) fn not_enforced(&self) -> String {
        let socket = self.socket();
        format!("stored, not yet enforced: {}: No such file or directory (os error 2)\n", socket.display())
    }
}

pub(crate) fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub(crate) fn done(code: i32, out: impl Into<String>) -> Said {
    (code, out.into(), String::new())
}

pub(crate) fn failed(code: i32, error: &str) -> Said {
    (code, String::new(), format!("edge-manager: {error}\n"))
}
