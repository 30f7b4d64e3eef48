use serde_json::json;
use tokio_stream::{Stream, StreamExt};

use super::*;

const NOW_US: u64 = 5_000_000;

fn events() -> Events {
    Events::new(NOW_US)
}

fn tell(events: &Events, n: usize) {
    events.tell(Topic::Rules, &json!({"n": n}), NOW_US);
}

async fn heard(stream: &mut (impl Stream<Item = Told> + Unpin)) -> String {
    match stream.next().await {
        Some(Told::Event(event)) => format!("{} {} {}", event.id, event.topic.as_str(), event.data),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn every_listener_hears_all_in_its_order_until_the_end() {
    let events = events();
    tell(&events, 0);
    let mut streams =
        [0, 1].map(|_| Box::pin(events.listen(&Caller::manager(), None).unwrap().into_stream()));
    tell(&events, 1);
    events.tell(Topic::Haproxy, &json!({"state": "up"}), NOW_US);
    assert_eq!(events.listeners(), 2);
    for stream in &mut streams {
        assert_eq!(heard(stream).await, r#"5000002 rules {"at_s":5,"n":1}"#);
        assert_eq!(heard(stream).await, r#"5000003 haproxy {"at_s":5,"state":"up"}"#);
    }
    events.close();
    for stream in &mut streams {
        assert_eq!(heard(stream).await, "None");
    }
    assert_eq!(events.listen(&Caller::manager(), None).unwrap_err(), NotHeard::Full);
    drop(streams);
    assert_eq!(events.listeners(), 0);
}

#[tokio::test]
async fn a_slow_listener_is_told_that_it_has_lost_some() {
    let events = events();
    let mut slow = Box::pin(events.listen(&Caller::manager(), None).unwrap().into_stream());
    (0..MAX_WAITING + 5).for_each(|n| tell(&events, n));
    assert_eq!(heard(&mut slow).await, "Some(Missed)");
    assert_eq!(heard(&mut slow).await, r#"5000006 rules {"at_s":5,"n":5}"#);
}

#[tokio::test]
async fn who_comes_back_is_told_whether_something_was_missed() {
    let events = events();
    tell(&events, 0);
    let mut late = Box::pin(events.listen(&Caller::manager(), Some(NOW_US)).unwrap().into_stream());
    let mut timely = Box::pin(events.listen(&Caller::manager(), Some(NOW_US + 1)).unwrap().into_stream());
    tell(&events, 1);
    assert_eq!(heard(&mut late).await, "Some(Missed)");
    for stream in [&mut late, &mut timely] {
        assert_eq!(heard(stream).await, r#"5000002 rules {"at_s":5,"n":1}"#);
    }
}

#[test]
fn there_is_a_place_for_so_many_listeners() {
    let events = events();
    let caller = |n: usize| Caller { name: format!("key{n}").into(), ..Caller::manager() };
    let listeners: Vec<_> = (0..MAX_LISTENERS).map(|n| events.listen(&caller(n), None).unwrap()).collect();
    assert_eq!(events.listen(&caller(100), None).unwrap_err(), NotHeard::Full);
    drop(listeners);
    assert!(events.listen(&caller(100), None).is_ok());
}
