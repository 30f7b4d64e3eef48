//! Holds each law against its corpus, and then for a while against what a simple mutator makes of it, so that
//! the laws are tried on stable and in every test run; cargo-fuzz digs deeper.

mod mutator;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edge_laws::{LAWS, Law};
use mutator::Mutator;

#[test]
fn header_law_holds() {
    hunt("header");
}

#[test]
fn journal_law_holds() {
    hunt("journal");
}

#[test]
fn lists_law_holds() {
    hunt("lists");
}

#[test]
fn operations_law_holds() {
    hunt("operations");
}

#[test]
fn path_law_holds() {
    hunt("path");
}

#[test]
fn every_corpus_has_its_law() {
    let mut corpora: Vec<_> = std::fs::read_dir(corpus_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    corpora.sort();
    assert_eq!(corpora, LAWS.iter().map(|law| law.name).collect::<Vec<_>>());
}

fn corpus_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

fn corpus(law: &Law) -> Vec<Vec<u8>> {
    let dir = corpus_dir().join(law.name);
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus for {}", law.name);
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// `EDGE_FUZZ_SECONDS` (2 by default) and `EDGE_FUZZ_SEED` (a new one each time by default).
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: no number")))
}

fn hunt(name: &str) {
    let law = LAWS.iter().find(|law| law.name == name).unwrap();
    let corpus = corpus(law);
    for input in &corpus {
        check(law, input, "from the corpus");
    }
    let seed = setting("EDGE_FUZZ_SEED", std::process::id().into());
    let end = Instant::now() + Duration::from_secs(setting("EDGE_FUZZ_SECONDS", 2));
    let mut mutator = Mutator::new(seed, &corpus, law.words);
    let mut inputs = 0_u64;
    while Instant::now() < end {
        check(law, &mutator.next_input(), &format!("EDGE_FUZZ_SEED={seed}"));
        inputs += 1;
    }
    eprintln!("{name}: {} files, {inputs} mutations, EDGE_FUZZ_SEED={seed}", corpus.len());
}

/// Says in hex what broke the law, so that it can be added to the corpus (`xxd -r -p`).
fn check(law: &Law, input: &[u8], origin: &str) {
    if std::panic::catch_unwind(|| (law.check)(input)).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("law {} is broken, {origin}, input in hex: {hex}", law.name);
    }
}
