use std::io;
use std::time::{Duration, Instant};

use edge_journal::{Digest, Mark};

use super::Watch;
use super::look::Answers;
use crate::haproxy::{Lack, Rules};

fn written(revision: u64) -> Option<Mark> {
    (revision <= 9).then(|| Mark { revision, taken: revision, digest: Digest::from_bits(revision) })
}

fn has(revision: u64) -> Rules {
    let digest = Some(Digest::from_bits(revision));
    Rules { revision, taken: Some(revision), digest, ..Rules::default() }
}

fn late<T>() -> Result<T, Lack> {
    Err(Lack::Io(io::ErrorKind::TimedOut.into()))
}

/// A watch of one worker, and when it began.
struct Looks(Watch, Instant);

impl Looks {
    fn new() -> Self {
        Self(Watch::new(vec!["/run/edge.sock".into()]), Instant::now() + Duration::from_secs(3600))
    }

    /// What is wrong after this answer so many milliseconds later.
    fn take(&self, at_ms: u64, said: Result<Rules, Lack>) -> Vec<String> {
        self.take_both(at_ms, said, None, false)
    }

    fn take_both(
        &self,
        at_ms: u64,
        said: Result<Rules, Lack>,
        master: Option<io::Result<()>>,
        is_publishing: bool,
    ) -> Vec<String> {
        let (answers, at) = (Answers { workers: vec![said], master }, self.1 + Duration::from_millis(at_ms));
        self.0.take(answers, 7, &written, is_publishing, at);
        self.0.problems().iter().map(ToString::to_string).collect()
    }
}

#[test]
fn one_late_answer_is_no_hang_and_two_are_told_within_three_seconds() {
    let looks = Looks::new();
    assert!(looks.take(0, Ok(has(7))).is_empty());
    assert!(looks.take(1500, late()).is_empty());
    assert!(looks.take(1800, Ok(has(7))).is_empty() && looks.0.is_running());
    assert!(looks.take(3000, late()).is_empty());
    assert_eq!(looks.take(4300, late()), ["HAProxy does not answer at /run/edge.sock"]);
    assert!(!looks.0.is_running());
    assert!(looks.take(5000, Ok(has(7))).is_empty());
}

#[test]
fn a_haproxy_that_is_not_there_is_told_at_once() {
    let gone = Err(Lack::Io(io::ErrorKind::ConnectionRefused.into()));
    assert_eq!(Looks::new().take(0, gone), ["HAProxy does not run: /run/edge.sock: connection refused"]);
}

#[test]
fn a_master_may_be_loading_what_is_published_for_a_while() {
    let looks = Looks::new();
    let timed_out = || Some(Err(io::ErrorKind::TimedOut.into()));
    for at_ms in [0, 5000, 9000] {
        assert!(looks.take_both(at_ms, Ok(has(7)), timed_out(), true).is_empty(), "{at_ms}");
    }
    assert_eq!(looks.take_both(11_000, Ok(has(7)), timed_out(), true).len(), 1);
    assert!(looks.take_both(12_000, Ok(has(7)), Some(Ok(())), false).is_empty());
    assert!(looks.take_both(70_000, Ok(has(7)), timed_out(), false).is_empty());
    let told = looks.take_both(71_000, Ok(has(7)), timed_out(), false);
    assert_eq!(told, ["the master of HAProxy does not answer"]);
}

#[test]
fn rules_that_are_missing_are_told_at_once_and_others_after_the_time_that_they_may_take() {
    let missing = || Rules { incomplete: Some("damaged".into()), ..has(8) };
    let stopped = || Rules { stopped: Some("gone".into()), ..has(6) };
    let differs = || Rules { digest: None, ..has(7) };
    let reads = || Rules { more: true, ..has(6) };
    type Said = fn() -> Rules;
    let cases: [(&str, Said, u64, bool); 5] = [
        ("missing", missing, 0, true),
        ("stopped", stopped, 2000, true),
        ("differs", differs, 2000, true),
        ("behind", || has(6), 10_000, false),
        ("reads", reads, 120_000, false),
    ];
    for (name, said, patience_ms, is_mendable) in cases {
        let looks = Looks::new();
        if patience_ms > 0 {
            assert!(looks.take(0, Ok(said())).is_empty(), "{name}");
            assert!(looks.take(patience_ms - 1, Ok(said())).is_empty(), "{name}");
        }
        assert_eq!(looks.take(patience_ms, Ok(said())).len(), 1, "{name}");
        assert!(looks.0.is_running(), "{name}");
        looks.take(patience_ms + 2000, Ok(said()));
        assert_eq!(looks.0.wants_rules().is_some(), is_mendable, "{name}");
        assert!(
            looks.take(patience_ms + 2001, Ok(has(7))).is_empty() && looks.0.wants_rules().is_none(),
            "{name}"
        );
    }
}

#[test]
fn what_a_worker_of_an_earlier_version_has_is_not_known_and_no_alarm() {
    let looks = Looks::new();
    for at_ms in [0, 1_000_000] {
        assert!(looks.take(at_ms, Ok(Rules { taken: None, ..has(7) })).is_empty());
        assert!(looks.take(at_ms, Err(Lack::NotUnderstood("Unknown command".into()))).is_empty());
    }
}

#[test]
fn damaged_files_are_told_until_they_are_mended() {
    let looks = Looks::new();
    looks.0.set_files(Some("rules.snapshot: was removed".into()));
    assert_eq!(looks.take(0, Ok(has(7))), ["rules.snapshot: was removed"]);
    looks.0.set_files(None);
    assert!(looks.take(1, Ok(has(7))).is_empty());
}
