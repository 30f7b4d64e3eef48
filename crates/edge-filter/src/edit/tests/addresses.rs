//! Addresses that are put at once: the same as if each came in its turn.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::{NOW_S, edit, in_force, learned};
use crate::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn addresses_at_once_are_each_put_in_turn(
        batches in proptest::collection::vec(
            (proptest::collection::vec((0..40u32, 24..=32u8, 0..300u32, any::<bool>()), 0..80), any::<bool>(), 0..40u32),
            1..6,
        ),
        piece in 1..80usize,
        max_rules in prop_oneof![Just(60u32), Just(10_000)],
    ) {
        let settings = Settings { max_rules, ..Settings::default() };
        let [at_once, in_turn] = [(); 2].map(|_| Filter::new(settings.clone()));
        let mut now_s = NOW_S;
        // No two rules end together: which of them gives way first depends on the order in which they came.
        let mut end = 0;
        let mut in_steps = |now_s: u32, steps: u32| {
            end += 1;
            if steps == 0 { now_s } else { now_s + steps * 10_000 + end }
        };
        for (batch, has_reason, wait_steps) in batches {
            let reason: std::sync::Arc<str> = if has_reason { "why" } else { "" }.into();
            let rules: Vec<_> = batch.into_iter().map(|(at, len, ttl, allow)| AddressRule {
                list: if allow { List::Allow } else { List::Block },
                net: ClientNet::new(Ipv4Addr::from_bits(at << 6).into(), len).unwrap(),
                action: Action::Deny(Status::FORBIDDEN),
                expires_at_s: if ttl < 200 { in_steps(now_s, ttl) } else { NEVER },
            }).collect();
            let lesson = learned(7 << 6, in_steps(now_s, 50));
            for filter in [&at_once, &in_turn] {
                filter.submit(Operation::Put(lesson.clone()), now_s).unwrap();
            }
            let pieces = rules.chunks(piece);
            let replaced = edit(&at_once, now_s).draft_addresses(&"list".into(), &reason, pieces);
            edit(&at_once, now_s).publish_draft();
            let mut edit = in_turn.edit(now_s).unwrap();
            let mut lessons = Vec::new();
            for rule in rules {
                let AddressRule { action, expires_at_s, .. } = rule;
                lessons.extend(edit.has_lesson(&rule.target()).then(|| rule.target()));
                let origin = Origin::List("list".into());
                let reason = reason.clone();
                edit.apply(Operation::Put(Rule { target: rule.target(), action, expires_at_s, origin, reason }));
            }
            drop(edit);
            prop_assert_eq!(replaced, lessons);
            prop_assert_eq!(in_force(&at_once, 0), in_force(&in_turn, 0));
            prop_assert_eq!(at_once.counters().changes, in_turn.counters().changes);
            prop_assert_eq!(at_once.snapshot().counts(), in_turn.snapshot().counts());
            now_s += wait_steps * 10_000;
        }
        for filter in [&at_once, &in_turn] {
            while filter.upkeep(NEVER - 1, 100) == 100 {}
        }
        prop_assert_eq!(in_force(&at_once, 0), in_force(&in_turn, 0));
    }
}

#[test]
fn tens_of_thousands_of_addresses_at_once_are_each_put_in_turn() {
    let hosts = |family: fn(u32) -> IpAddr, end: fn(u32) -> u32, count: u32| {
        (0..count).map(move |n| {
            let net = ClientNet::host(family(n.wrapping_mul(0x9E37_79B1)));
            AddressRule { list: List::Block, net, action: Action::Drop, expires_at_s: end(n) }
        })
    };
    let v4 = |n| Ipv4Addr::from_bits(n).into();
    let v6 = |n| std::net::Ipv6Addr::from_bits(0x2001 << 112 | u128::from(n)).into();
    let rules: Vec<_> = hosts(v4, |_| NEVER, 20_000)
        .chain(hosts(v6, |n| NOW_S + 1 + n, 20_000))
        // Again, in the same batch: the later one holds, and one that has ended takes it back.
        .chain(hosts(v4, |n| if n % 2 == 0 { NOW_S + 7 } else { NOW_S }, 100))
        .collect();
    let [at_once, in_turn] = [(); 2].map(|_| Filter::new(Settings::default()));
    // Into nothing, and onto what is there.
    for _ in 0..2 {
        edit(&at_once, NOW_S).draft_addresses(&"list".into(), &"".into(), rules.chunks(3000));
        edit(&at_once, NOW_S).publish_draft();
        let mut edit = edit(&in_turn, NOW_S);
        for rule in &rules {
            let AddressRule { action, expires_at_s, .. } = *rule;
            let (origin, reason) = (Origin::List("list".into()), "".into());
            edit.apply(Operation::Put(Rule { target: rule.target(), action, expires_at_s, origin, reason }));
        }
        drop(edit);
        assert!(in_force(&at_once, NOW_S) == in_force(&in_turn, NOW_S));
        assert_eq!(at_once.counters().changes, in_turn.counters().changes);
        assert_eq!(at_once.snapshot().counts(), in_turn.snapshot().counts());
        assert_eq!(at_once.snapshot().counts().block, 39_950);
    }
    let found = |rule: &AddressRule| match rule.net {
        ClientNet::V4(bits, _) => at_once.reader().address(Ipv4Addr::from_bits(bits).into(), NOW_S),
        ClientNet::V6(bits, _) => at_once.reader().address(std::net::Ipv6Addr::from_bits(bits).into(), NOW_S),
    };
    assert!(rules.iter().skip(100).take(39_900).all(|rule| found(rule) == Verdict::Drop));
}
