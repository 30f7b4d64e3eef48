//! List files as operators have them: long, with lines of any length, and with the same rule in several of them.

use std::fmt::Write as _;

use edge_filter::{Filter, Kind, Status};
use tempfile::TempDir;

use super::*;

const NOW_S: u32 = 1000;

/// List files and the filter that they are loaded into.
struct Desk {
    dir: TempDir,
    settings: ModuleSettings,
}

impl Desk {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), settings: ModuleSettings::default() }
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    fn load(&self) -> (Filter, Lists) {
        let filter = Filter::new(self.settings.filter.clone());
        let lists = Lists::load(&self.settings, &mut filter.edit(NOW_S).unwrap()).unwrap();
        (filter, lists)
    }
}

/// All rules of the filter, each as its target, status and origin.
fn rules(filter: &Filter, kind: Kind) -> Vec<(Target, Action, Origin)> {
    let mut all: Vec<_> =
        filter.rules(kind).map(|(Rule { target, action, origin, .. }, _)| (target, action, origin)).collect();
    all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    all
}

#[test]
fn a_file_in_pieces_is_the_same_as_the_whole() {
    let mut text = String::from("\u{feff}192.0.2.0/24\n");
    for n in 0..300_000u32 {
        let _ = match n % 1000 {
            0 => writeln!(text, "bad {n}"),
            1 => writeln!(text, "\u{feff}10.1.2.3"),
            2 => writeln!(text, "10.{}.0.0/16 # again and again", n % 256),
            3 => writeln!(text, "\n2001:db8::{:x}\r", n >> 4),
            _ => writeln!(text, "{}", std::net::Ipv4Addr::from_bits(n.wrapping_mul(0x9E37_79B1))),
        };
    }
    text.push_str("192.0.2.99");
    let mut desk = Desk::new();
    let path = desk.file("block", &text);
    desk.settings.block_files = vec![path.clone()];
    let (filter, lists) = desk.load();

    let name: Arc<str> = path.to_str().unwrap().into();
    let (good, bad): (Vec<_>, Vec<_>) = addresses(text.as_bytes(), 1, List::Block).partition(Result::is_ok);
    let rule = |net| Rule {
        target: Target::Client(List::Block, net),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NEVER,
        origin: Origin::List(name.clone()),
        reason: "".into(),
    };
    let rules_of_all: Vec<_> = good.into_iter().flatten().map(rule).collect();
    let (ListFile { rules: read, bad_lines, .. }, warnings) = (&lists.files[0], &lists.warnings);
    assert_eq!((*read, *bad_lines), (rules_of_all.len(), bad.len()));
    let whole = Filter::new(desk.settings.filter.clone());
    let put_all = Operation::Batch(rules_of_all.into_iter().map(Operation::Put).collect());
    whole.submit(put_all, NOW_S).unwrap();
    assert!(rules(&filter, Kind::Client) == rules(&whole, Kind::Client));
    assert_eq!(filter.counters(), whole.counters());

    assert_eq!(warnings.len(), MAX_REPORTED_LINES + 1);
    let bad = bad.into_iter().filter_map(Result::err);
    for (warning, bad) in warnings.iter().zip(bad.take(MAX_REPORTED_LINES)) {
        assert_eq!(*warning, format!("{name}:{}: \"{}\": {}; skipped", bad.line, bad.text, bad.reason));
    }
    assert_eq!(warnings[MAX_REPORTED_LINES], format!("{name}: and {} more bad lines", bad_lines - 10));
}

#[test]
fn bad_lines_are_counted_from_the_beginning_of_the_file() {
    let good = "192.0.2.1\n".repeat(PIECE_BYTES as usize / 4);
    let lines = good.lines().count();
    let mut desk = Desk::new();
    let path = desk.file("block", format!("{good}bad\n\n{good}worse"));
    desk.settings.block_files = vec![path.clone()];
    let (_, lists) = desk.load();
    let (path, reason) = (path.display(), "not an IPv4 or IPv6 address or CIDR; skipped");
    let at = [lines + 1, 2 * lines + 3];
    assert_eq!(
        lists.warnings,
        [format!("{path}:{}: \"bad\": {reason}", at[0]), format!("{path}:{}: \"worse\": {reason}", at[1])]
    );
}

#[test]
fn a_line_longer_than_a_piece_is_one_line() {
    let long = "x".repeat(3 * PIECE_BYTES as usize);
    let mut desk = Desk::new();
    let path = desk.file("block", format!("192.0.2.1 {long}\n{long}\n192.0.2.2"));
    desk.settings.block_files = vec![path.clone()];
    let (filter, lists) = desk.load();
    assert_eq!(filter.snapshot().counts().block, 2);
    assert_eq!(lists.files[0].bad_lines, 1);
    assert!(lists.warnings[0].starts_with(&format!("{}:2: \"xxx", path.display())));
}

#[test]
fn of_a_rule_in_two_files_the_later_file_has_it() {
    let mut desk = Desk::new();
    let blocks = ["one", "two"].map(|name| desk.file(name, "192.0.2.1\n"));
    let paths = [("three", "/a 404\n/b 404\n"), ("four", "/a 410\n/a 411\n")]
        .map(|(name, lines)| desk.file(name, lines));
    desk.settings.block_files = blocks.to_vec();
    desk.settings.allow_files = vec![desk.file("allow", "192.0.2.1\n")];
    desk.settings.resource_files = paths.to_vec();
    let (filter, lists) = desk.load();
    let shown = |kind| -> Vec<_> {
        let rules = rules(&filter, kind).into_iter();
        rules
            .map(|(target, action, origin)| {
                let Action::Deny(status) = action else { panic!("{action:?}") };
                let Origin::List(name) = origin else { panic!("{origin:?}") };
                let file = name.rsplit('/').next().unwrap().to_owned();
                (matches!(target, Target::Client(List::Block, _)), status.code(), file)
            })
            .collect()
    };
    let rule = |is_blocked, status, file: &str| (is_blocked, status, file.to_owned());
    assert_eq!(shown(Kind::Client), [rule(false, 403, "allow"), rule(true, 403, "two")]);
    assert_eq!(shown(Kind::Resource), [rule(false, 411, "four"), rule(false, 404, "three")]);
    let files: Vec<_> = lists.files.iter().map(|file| file.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["one", "two", "allow", "three", "four"], "in the order of loading");
}

#[test]
fn beyond_the_cap_the_first_lines_stay() {
    let mut desk = Desk::new();
    desk.settings.filter.max_rules = 3;
    desk.settings.block_files =
        vec![desk.file("block", "192.0.2.1\n192.0.2.2\n192.0.2.1\n192.0.2.3\n192.0.2.4\n")];
    desk.settings.resource_files = vec![desk.file("resources", "/a\n")];
    let (filter, _) = desk.load();
    let held: Vec<_> = rules(&filter, Kind::Client).into_iter().map(|rule| rule.0).collect();
    let block = |last: u32| Target::Client(List::Block, edge_filter::ClientNet::V4(0xC000_0200 + last, 32));
    assert_eq!(held, [1, 2, 3].map(block));
    assert_eq!(filter.snapshot().counts().resource, 0);
    assert_eq!(filter.counters().changes.refused, 2);
}
