//! Turns that come late: whatever little time there is, all of the work goes on.

use std::time::Duration;

use edge_journal::RulesWriter;

use super::*;

/// No list or journal here needs more slices, by far.
const MANY: usize = 10_000;

impl Worker {
    fn late_turn(&mut self) {
        self.now_us += 1000;
        let turn = self.state.turn(&self.filter, self.now_us, Budget::of(Duration::ZERO));
        self.lines.extend(turn.lines);
    }
}

#[test]
fn turns_without_time_get_everything_done_side_by_side() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let list = |net: u32| (0..5000).map(move |n| listed(&format!("10.{net}.{}.{}", n / 256, n % 256)));
    writer.replace_list("ours", list(0), START_US).unwrap();
    let mut others = [Worker::start(&dir, START_US), Worker::start(&dir, START_US)];
    for other in &mut others {
        other.turn();
    }
    let mut one = Worker::start(&dir, START_US);
    (0..100).for_each(|n| one.learn(&format!("/own/{n}"), 600));
    one.turn().turn();
    let compacted = one.state.report().last_compaction.clone();

    let mut revision = writer.replace_list("ours", list(1), START_US).unwrap();
    let mut lists = 1;
    one.state.own.miss();
    one.now_us += 1_000_000;
    let mut slices = 0;
    let (mut followed, mut copied) = (Vec::new(), None);
    while one.state.revision() != revision || copied.is_none() {
        // A copy looks at each rule and takes longer, so lists come as long as it is under way.
        if one.state.revision() == revision {
            lists += 1;
            revision = writer.replace_list("ours", list(lists % 2), START_US).unwrap();
        }
        // Neither of them falls silent.
        others.iter_mut().enumerate().for_each(|(at, other)| other.learn(&format!("/{at}/{slices}"), 600));
        one.late_turn();
        assert!(one.blocks("10.0.0.1") != one.blocks("10.1.0.1"), "part of it is seen");
        slices += 1;
        assert!(slices < MANY, "it does not end");
        if copied.is_none() && one.state.report().last_compaction != compacted {
            copied = Some(slices);
        }
        followed = (0..2).filter(|at| one.refuses(&format!("/{at}/0"))).collect();
    }
    assert!(one.blocks(&format!("10.{}.0.1", lists % 2)));
    assert_eq!(followed, [0, 1], "lessons of both are followed meanwhile");
    let last = slices - 1;
    while !(0..2).all(|at| one.refuses(&format!("/{at}/{last}"))) {
        one.late_turn();
        slices += 1;
        assert!(slices < MANY, "it does not end");
    }
}
