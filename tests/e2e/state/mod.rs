//! The state directory in normal life: what outlives HAProxy, who follows whom, and what happens when something is wrong.

mod disk;
mod lessons;
mod rules;
mod trouble;

use edge_e2e::{Answer, Backend, Edge, Mode, Request, StateHome, eventually};

/// HAProxy with a state directory, and a backend behind it.
fn start(mode: Mode) -> (Backend, StateHome, Edge) {
    let backend = Backend::start();
    let home = StateHome::new(mode);
    let edge = Edge::before(&backend, mode).state(&home).start();
    until_it_writes(&edge);
    (backend, home, edge)
}

/// From here on no lesson is lost by a kill.
fn until_it_writes(edge: &Edge) {
    eventually("the worker has a journal", || {
        (edge.metrics().sum("edge_filter_state_writes", &[]) == 1.0).then_some(())
    });
}

/// Has the backend teach about `path`, for an hour.
fn teach(backend: &Backend, edge: &Edge, path: &str) {
    backend.answer(path, Answer::teaching("false; ttl=3600"));
    assert!(edge.get(path).is_from_backend());
}

fn refuses(edge: &Edge, path: &str) -> bool {
    edge.refuses(&Request::get(path))
}

fn eventually_refuses(edge: &Edge, path: &str) {
    // Without a request, which would teach anew.
    let rule = format!("www.example{path}: ");
    eventually(path, || edge.cli("show edge rules resource").contains(&rule).then_some(()));
    assert!(refuses(edge, path));
}

/// Lines of the filter with these words. HAProxy writes a line to stderr with a severity, or to its log, which is stderr
/// here too, or both: it depends on its version and on whether it has started.
fn lines(edge: &Edge, words: &str) -> usize {
    let log = edge.haproxy().log();
    let ours = log.lines().filter(|line| line.contains("Edge Filter:") && line.contains(words));
    let (with_severity, logged): (Vec<&str>, Vec<&str>) = ours.partition(|line| line.starts_with('['));
    with_severity.len().max(logged.len())
}
