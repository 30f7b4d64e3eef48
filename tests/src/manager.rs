//! The manager, as an operator runs it on the command line.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::{Edge, ServeCommand, ServeProcess, StateHome};

/// `edge-manager`, with a record of its own for one state directory.
#[derive(Debug)]
pub struct Manager<'a> {
    program: PathBuf,
    home: &'a StateHome,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit status; `None` where it was killed.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it printed on standard error.
    pub error: String,
}

impl<'a> Manager<'a> {
    /// The built `edge-manager`, which is beside another program of this workspace. Workers with a user of their own read
    /// by their group what it writes, as in a directory that was made as the README says.
    ///
    /// # Panics
    /// It is not built.
    pub fn beside(other: &Path, home: &'a StateHome) -> Self {
        let program = other.with_file_name("edge-manager");
        assert!(program.exists(), "no {}: `cargo build -p edge-manager`", program.display());
        fs::set_permissions(home.path(), Permissions::from_mode(0o2770)).expect("our directory");
        Self { program, home }
    }

    /// Runs a command, which asks `edge` whether it is in force.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn run(&self, edge: &Edge, args: &[&str], input: &str) -> Said {
        self.try_run(edge, args, input).expect("edge-manager runs")
    }

    /// Starts `serve`, which asks `edge` too, and waits until it answers. Dropping it kills it, as `kill -9` does.
    ///
    /// # Panics
    /// It does not come to that.
    pub fn serve(&self, edge: &Edge) -> ServeProcess {
        let mut env = self.env(edge).to_vec();
        env.push(("EDGE_LOG".to_owned(), "warn".into()));
        let state = self.home.path();
        let dir = state.parent().expect("a directory of ours");
        let command = ServeCommand { log: None, ..ServeCommand::within(dir, &self.program, env) };
        command.start().expect("edge-manager serves").0
    }

    fn env(&self, edge: &Edge) -> [(String, OsString); 3] {
        let state = self.home.path();
        let record = state.with_file_name("record").join("rules.db");
        let env = [
            ("EDGE_DATABASE", record.into()),
            ("EDGE_SOCKET", edge.dir().join("edge.sock").into()),
            ("EDGE_STATE_DIR", state.into()),
        ];
        env.map(|(name, value)| (name.to_owned(), value))
    }

    fn try_run(&self, edge: &Edge, args: &[&str], input: &str) -> io::Result<Said> {
        let mut command = Command::new(&self.program);
        command
            .envs(self.env(edge))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let output = thread::scope(|scope| {
            // A command that reads nothing may be gone.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        })?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) })
    }
}
