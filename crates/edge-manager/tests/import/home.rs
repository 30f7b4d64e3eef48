//! A place for everything that a command uses.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use edge_e2e::{ServeCommand, ServeProcess};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_edge-manager");

pub(crate) struct Home(tempfile::TempDir);

/// Exit status, standard output, standard error.
pub(crate) type Said = (i32, String, String);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and says where it is.
    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), contents).unwrap();
        self.text(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A database made by these statements.
    pub(crate) fn database(&self, name: &str, sql: &str) -> String {
        let connection = rusqlite::Connection::open(self.path(name)).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(sql).unwrap();
        self.text(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let output = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).env_remove("HAPROXY_API_KEY").envs(self.env()).stdin(Stdio::null());
        command
    }

    /// `edge-manager serve`, until it is dropped, and where it answers.
    pub(crate) fn serve(&self) -> (ServeProcess, SocketAddr) {
        self.serve_with(None)
    }

    /// The same, told one thing more by its environment.
    pub(crate) fn serve_with(&self, more: Option<(&str, &str)>) -> (ServeProcess, SocketAddr) {
        let more = more.map(|(name, value)| (name.to_owned(), value.into()));
        let env = self.env().into_iter().chain(more).collect();
        ServeCommand::within(self.0.path(), PROGRAM, env).start().unwrap()
    }

    fn env(&self) -> [(String, OsString); 4] {
        let env = [
            ("EDGE_DATABASE", "rules.db"),
            ("EDGE_STATE_DIR", "state"),
            ("EDGE_SOCKET", "edge.sock"),
            ("EDGE_CONFIG_DIR", "haproxy"),
        ];
        env.map(|(name, file)| (name.to_owned(), self.path(file).into()))
    }

    /// The lines of JSON that a command prints.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        let (_, out, error) = self.run(args);
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\n{error}"));
        out.lines().map(line).collect()
    }

    /// The one line of JSON that a command prints.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let (_, out, error) = self.run(args);
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"))
    }

    /// Targets and actions of all rules.
    pub(crate) fn rules(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let line =
            |rule: Value| [text(&rule["kind"]), text(&rule["target"]), text(&rule["action"])].join(" ");
        self.lines(&["list", "--json"]).into_iter().map(line).collect()
    }
}
