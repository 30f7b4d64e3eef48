//! The HAProxys that the tests run on.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::LazyLock;

use edge_manager::haproxy::Program;

/// A program.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) path: PathBuf,
}

impl Series {
    pub(crate) fn program(&self) -> Program {
        Program::new(&self.path)
    }
}

/// `EDGE_HAPROXY`, or the installed one.
pub(crate) fn installed() -> &'static Series {
    &all()[0]
}

/// The installed one first; that of a suite which was not fetched is told of and left out. Only `EDGE_HAPROXY` if it is set.
pub(crate) fn all() -> &'static [Series] {
    static ALL: LazyLock<Vec<Series>> = LazyLock::new(|| {
        let series = |path: PathBuf| Program::new(&path).version().is_ok().then_some(Series { path });
        if let Some(path) = std::env::var_os("EDGE_HAPROXY") {
            return vec![series(path.into()).expect("EDGE_HAPROXY is a HAProxy")];
        }
        let mut all = vec![series("haproxy".into()).expect("HAProxy is installed")];
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/edge-filter/roots"));
        let roots = std::env::var_os("EDGE_ROOTS").map(PathBuf::from).or_else(home).unwrap_or_default();
        for suite in ["trixie", "sid"] {
            match series(roots.join(suite).join("haproxy")) {
                Some(found) => all.push(found),
                None => not_tested(suite),
            }
        }
        all
    });
    &ALL
}

/// Past the capture of the test runner, which keeps what a test that passes has printed.
fn not_tested(suite: &str) {
    let words = format!("NOT TESTED: HAProxy of {suite}, which scripts/haproxy-root.sh {suite} fetches\n");
    io::stderr().write_all(words.as_bytes()).unwrap();
}
