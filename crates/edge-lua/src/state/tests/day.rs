//! A day of learning at the caps, with the time passed in.

use std::fs;

use super::*;
use crate::heap::heap_bytes;

const DAY_S: u64 = 86_400;
/// Seconds between two turns, and the lessons in them.
const STEP_S: u64 = 5;
const LESSONS_A_STEP: u64 = 15;
const MAX_LEARNED: u32 = 2000;
const MAX_JOURNAL_BYTES: u64 = 1 << 20;
/// A hash table at its cap doubles once, when what was removed has filled it: that of what was taken back by 400 KiB. Three
/// bytes a lesson that were never freed would be more than this.
const MAX_GROWTH_BYTES: isize = 512 << 10;

/// All that a worker holds and that grows with what it learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    rules: usize,
    taken_back: usize,
    files: usize,
    journal_bytes: u64,
    /// Of this thread, which does all there is to do.
    heap_bytes: isize,
}

impl Held {
    fn by(worker: &Worker, dir: &Path) -> Self {
        // Before this look allocates anything itself.
        let heap_bytes = heap_bytes();
        let files = journals(dir);
        Self {
            heap_bytes,
            rules: worker.filter.snapshot().counts().learned,
            taken_back: worker.state.report().taken_back,
            files: files.len(),
            journal_bytes: files.iter().map(|file| fs::metadata(file).unwrap().len()).sum(),
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            rules: self.rules.max(other.rules),
            taken_back: self.taken_back.max(other.taken_back),
            files: self.files.max(other.files),
            journal_bytes: self.journal_bytes.max(other.journal_bytes),
            heap_bytes: self.heap_bytes.max(other.heap_bytes),
        }
    }
}

#[test]
fn a_day_of_learning_at_the_caps_needs_no_more_than_an_hour_of_it() {
    let (_home, dir) = home();
    let settings = Settings { max_learned: MAX_LEARNED, ..Settings::default() };
    let mut worker = Worker::with(&dir, settings, MAX_JOURNAL_BYTES, START_US);
    let mut most = Held::default();
    let mut of_hours = Vec::new();
    for step in 0..DAY_S / STEP_S {
        worker.now_us += (STEP_S - 1) * 1_000_000;
        worker.turn();
        for n in 0..LESSONS_A_STEP {
            let lesson = step * LESSONS_A_STEP + n;
            worker.learn(&format!("/yeet/{lesson}"), 60 + (lesson * 7919 % 3600) as u32);
            if lesson.is_multiple_of(2) {
                worker.take_back(&format!("/yeet/{}", lesson / 2));
            }
        }
        worker.filter.upkeep(worker.now_s(), 1000);
        if step % 12 == 11 {
            most = most.most(Held::by(&worker, &dir));
        }
        if step % 720 == 719 {
            of_hours.push(std::mem::take(&mut most));
        }
    }
    for (hour, held) in of_hours.iter().enumerate() {
        println!("hour {hour}: at most {held:?}");
    }
    // By its end the third hour has been at all the caps.
    let (early, last) = (of_hours[2], of_hours[of_hours.len() - 1]);
    assert_eq!((early.rules, early.taken_back), (MAX_LEARNED as usize, MAX_TAKEN_BACK));
    assert!(
        last.heap_bytes <= early.heap_bytes + MAX_GROWTH_BYTES,
        "the heap grew: {early:?}, then {last:?}"
    );
    let most = of_hours.into_iter().fold(Held::default(), Held::most);
    assert_eq!(most.rules, MAX_LEARNED as usize, "it was at the cap");
    assert_eq!(most.taken_back, MAX_TAKEN_BACK, "it was at this cap too");
    assert_eq!(most.files, 1);
    // What one copy takes, and a minute of lessons beyond the limit.
    assert!(most.journal_bytes < 3 * MAX_JOURNAL_BYTES, "{} bytes", most.journal_bytes);
    assert_eq!(worker.lines, [""; 0]);
}
