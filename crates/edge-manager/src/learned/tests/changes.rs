//! What operators do with lessons.

use super::*;

#[test]
fn a_deleted_lesson_does_not_come_back_until_it_is_given_anew() {
    let mut home = Home::new();
    let one = home.worker("one");
    teach(&one, "/yeet", START_US + 1);
    home.rounds();
    let deleted = home.delete(1).unwrap();
    let over = Over { at_us: home.now_us, by: "me".into() };
    assert_eq!(deleted.over, Some(over));
    assert!(matches!(home.delete(1), Err(LearnedError::Absent(ResourceId::Learned(1)))));
    assert!(matches!(home.delete(7), Err(LearnedError::Absent(ResourceId::Learned(7)))));
    let [Operation::Put(published)] = &home.published()[..] else { panic!("{:?}", home.published()) };
    assert_eq!((published.expires_at_s, &published.target), (0, &lesson("/yeet", 0, 0).target));
    // The worker's journal has the lesson still.
    for _ in 0..2 {
        home.restart();
        assert_eq!((home.rounds(), home.rounds_much_later()), (0, 0));
        assert_eq!(home.targets(), [""; 0]);
    }
    assert_eq!(home.in_snapshot().len(), 1, "whoever starts has to know");
    teach(&one, "/yeet", home.now_us);
    home.rounds();
    assert_eq!(home.lessons()[0].id, 1);
    assert_eq!(home.in_snapshot(), []);
}

#[test]
fn a_pinned_lesson_is_a_rule_that_says_what_taught_it() {
    let mut home = Home::new();
    let one = home.worker("one");
    teach(&one, "/yeet", START_US + 1);
    home.rounds();
    let pin = |home: &Home, end| home.learned().pin(&me(), 1, end, home.now_us);
    assert!(matches!(pin(&home, End::At(1)), Err(LearnedError::Invalid(_))));
    let (entry, _) = pin(&home, End::Never).unwrap();
    let reason = "learned from shop/s1 by GET shop.example/yeet id=id-7, reason: gone";
    assert_eq!((&*entry.rule.reason, entry.expires_at_s(), &*entry.created_by), (reason, None, "me"));
    assert_eq!(entry.rule.origin, Origin::List(PINNED.into()));
    assert_eq!(home.targets(), [""; 0], "it is no lesson any more");
    let published = home.published();
    let [Operation::Put(ended), Operation::Put(rule)] = &published[..] else { panic!("{published:?}") };
    assert_eq!((ended.expires_at_s, rule), (0, &entry.rule));
    assert!(matches!(pin(&home, End::Never), Err(LearnedError::Absent(ResourceId::Learned(1)))));
    // What is listed is not pinned.
    teach(&one, "/yeet", home.now_us + 10);
    home.rounds();
    assert!(matches!(pin(&home, End::Ttl(60)), Err(LearnedError::Rules(_))));
    assert_eq!(home.targets().len(), 1, "nothing has changed");
    let count = |view: &View<'_>| view.with_entries(&Default::default(), |entries| entries.count());
    assert_eq!(home.learned().rules().record().read::<_, StoreError>(count).unwrap(), 1);
}

#[test]
fn pages_go_through_what_was_learned_and_then_what_is_listed() {
    let mut home = Home::new();
    let one = home.worker("one");
    for path in ["/a", "/b", "/c"] {
        teach(&one, path, START_US + 1);
    }
    let put = |text: &str| {
        let input = Input { target: text, ..Input::default() };
        Change::Put(input.parse(START_US).unwrap(), IfPresent::Refuse)
    };
    let rules = ["192.0.2.1", "/all", "shop.example/d", "shop.example.org/e"].map(put);
    home.learned().rules().apply(&me(), rules, START_US).unwrap();
    home.rounds();
    let ids = |selection: ResourceSelection| -> Vec<String> {
        let page = home.learned().list(&selection, home.now_us).unwrap();
        page.iter().map(|(item, _)| item.id().to_string()).collect()
    };
    let all = ["learned-1", "learned-2", "learned-3", "rule-2", "rule-3", "rule-4"];
    assert_eq!(ids(ResourceSelection { limit: 100, ..Default::default() }), all);
    for limit in 1..=7 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = ids(ResourceSelection { limit, after, ..Default::default() });
            let Some(last) = page.last() else { break };
            after = Some(last.parse().unwrap());
            found.extend(page);
        }
        assert_eq!(found, all, "{limit} at a time");
    }
    let host = Some("shop.example".to_owned());
    let of_host = ResourceSelection { limit: 100, host, ..Default::default() };
    assert_eq!(ids(of_host.clone()), ["learned-1", "learned-2", "learned-3", "rule-3"]);
    assert_eq!(ids(ResourceSelection { is_learned: Some(false), ..of_host.clone() }), ["rule-3"]);
    assert_eq!(ids(ResourceSelection { is_learned: Some(true), ..of_host.clone() }).len(), 3);
    assert_eq!(ids(ResourceSelection { backend: Some("shop".into()), ..of_host.clone() }).len(), 3);
    assert_eq!(ids(ResourceSelection { backend: Some("other".into()), ..of_host }), [""; 0]);
    let remove = |id: &str| home.learned().remove(&me(), id.parse().unwrap(), home.now_us);
    assert!(matches!(remove("rule-1"), Err(LearnedError::Absent(_))), "no resource");
    assert!(remove("rule-3").is_ok() && remove("rule-3").is_err() && remove("learned-2").is_ok());
    assert_eq!(ids(ResourceSelection { limit: 100, ..Default::default() }).len(), 4);
}

#[test]
fn an_id_has_one_text() {
    for text in ["learned-7", "rule-9223372036854775807"] {
        assert_eq!(text.parse::<ResourceId>().unwrap().to_string(), text);
    }
    for text in
        ["", "7", "learned", "learned-", "learned--7", "learned-+7", "rule-9223372036854775808", "x-1"]
    {
        assert!(text.parse::<ResourceId>().is_err(), "{text}");
    }
}
