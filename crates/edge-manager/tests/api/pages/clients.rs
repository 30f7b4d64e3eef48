use super::Visitor;
use crate::harness::Manager;

fn added(visitor: &mut Visitor<'_>, target: &str, fields: &[(&str, &str)]) {
    let fields = [&[("target", target)][..], fields].concat();
    let answer = visitor.send("/clients", "/clients/add", &fields);
    assert_eq!(answer.status, 303, "{answer:?}");
}

/// The clients of a page, in their order.
fn shown(page: &str) -> Vec<String> {
    let cells = page.split("data-name=\"Client\" class=\"target\">").skip(1);
    cells.map(|cell| cell.split('<').next().unwrap().to_owned()).collect()
}

#[test]
fn a_client_is_added_explained_and_removed() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    assert!(visitor.get("/clients").body.contains("There are none."));
    let fields = [("ends", "2h"), ("reason", "scans"), ("action", "tarpit")];
    added(&mut visitor, "192.0.2.0/24", &fields);
    let page = visitor.get("/clients?kind=block");
    assert!(page.body.contains("192.0.2.0/24 is blocked. HAProxy obeys it."), "{page:?}");
    assert!(!visitor.get("/clients").body.contains("HAProxy obeys it."), "it is told once");
    let asked = visitor.get("/clients?q=192.0.2.7").body;
    assert!(asked.contains("192.0.2.7: <span class=\"bad\">tarpit</span>"), "{asked}");
    assert_eq!(shown(&asked), ["192.0.2.0/24"]);
    let answer = visitor.send("/clients", "/clients/add", &[("target", "192.0.2.0/24"), ("reason", "again")]);
    assert!(answer.status == 409 && answer.body.contains("is there already, as rule 1"), "{answer:?}");
    assert!(answer.body.contains("value=\"again\""), "what was typed is there still");
    added(&mut visitor, "192.0.2.0/24", &[("replace", "yes"), ("reason", "again")]);
    assert_eq!(
        visitor.send("/clients", "/clients/remove", &[("id", "1"), ("back", "q=192.0.2.7")]).location(),
        Some("/clients?q=192.0.2.7")
    );
    assert!(visitor.get("/clients?q=192.0.2.7").body.contains("192.0.2.7: <span class=\"good\">pass</span>"));
    let gone = visitor.send("/clients", "/clients/remove", &[("id", "1")]);
    assert_eq!(gone.status, 404, "{gone:?}");
    let who: Vec<_> = manager.audit(5).into_iter().map(|entry| (entry.caller, entry.operation)).collect();
    let by = |operation: &str| ("HAPROXY_API_KEY".to_owned(), operation.to_owned());
    assert_eq!(who, [by("rules.remove"), by("rules.put"), by("rules.put")]);
}

#[test]
fn what_cannot_be_taken_is_told_beside_what_was_typed() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    for (fields, told) in [
        (&[("target", "192.0.2.300")][..], "192.0.2.300"),
        (&[("target", "/admin")], "not an IPv4 or IPv6 address or CIDR"),
        (&[("target", "::1"), ("ends", "soon")], "write it as 30min, 12h or 7d"),
        (&[("target", "::1"), ("action", "explode")], "an action is deny"),
        (&[("target", "")], "not an IPv4 or IPv6 address or CIDR"),
    ] {
        let answer = visitor.send("/clients", "/clients/add", fields);
        assert!(answer.status == 400 && answer.body.contains(told), "{fields:?} {answer:?}");
        assert!(answer.body.contains("role=\"alert\""));
    }
    assert_eq!(manager.audit(1).len(), 0);
}

#[test]
fn without_haproxy_it_is_told_that_a_change_is_only_stored() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::with_key(&manager, "secret");
    added(&mut visitor, "192.0.2.1", &[]);
    let page = visitor.get("/clients").body;
    assert!(page.contains("HAProxy does not obey it yet") && page.contains("role=\"alert\""), "{page}");
}

#[test]
fn pages_go_on_where_the_one_before_ended_in_every_order() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    // In another order by address than by number, and ending in another one again.
    let lines: Vec<String> = (0..120).map(|n| format!("10.0.{}.1", (n * 7) % 120)).collect();
    let all = lines.join("\r\n");
    let fields = [("lines", all.as_str()), ("ends", "1d")];
    assert_eq!(visitor.send("/clients/paste", "/clients/paste/make", &fields).status, 303);
    added(&mut visitor, "10.1.0.1", &[("ends", "1h")]);
    added(&mut visitor, "10.1.0.2", &[]);
    added(&mut visitor, "2001:db8::1", &[("kind", "allow")]);
    let mut by_address: Vec<String> = lines.clone();
    by_address.extend(["10.1.0.1".to_owned(), "10.1.0.2".to_owned()]);
    let by_number = by_address.clone();
    let newest: Vec<_> = by_number.iter().rev().cloned().collect();
    by_address.sort();
    let mut ending = vec!["10.1.0.1".to_owned()];
    ending.extend(lines);
    for (order, expected) in [
        ("order=newest", newest),
        ("order=oldest", by_number),
        ("order=address", by_address.clone()),
        ("order=ending", ending),
        ("q=10.", by_address),
    ] {
        let (mut path, mut found) = (format!("/clients?{order}"), Vec::new());
        loop {
            let page = visitor.get(&path).body;
            found.extend(shown(&page));
            let Some((before, _)) = page.split_once("\" rel=\"next\"") else { break };
            path = before.rsplit('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        }
        assert_eq!(found, expected, "{order}");
    }
    assert_eq!(shown(&visitor.get("/clients?kind=allow").body), ["2001:db8::1"]);
}

#[test]
fn the_order_of_ends_says_whom_it_leaves_out() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    added(&mut visitor, "192.0.2.1", &[]);
    let page = visitor.get("/clients?order=ending").body;
    assert!(page.contains("None of them ends.") && !page.contains("There are none."), "{page}");
    assert!(page.contains("Those that never end are not in this order."));
    assert_eq!(shown(&visitor.get("/clients?order=ending&q=192.0.2.1").body), ["192.0.2.1"], "it is blocked");
    added(&mut visitor, "192.0.2.2", &[("ends", "1h")]);
    let page = visitor.get("/clients?order=ending").body;
    assert_eq!(shown(&page), ["192.0.2.2"]);
    assert!(page.contains("Those that never end are not in this order."));
    assert!(!visitor.get("/clients?order=oldest").body.contains("are not in this order"));
}

#[test]
fn what_is_pasted_is_looked_at_first_and_made_as_one_change() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let bad = [("lines", "192.0.2.1\n192.0.2.999\n"), ("kind", "block")];
    let looked = visitor.send("/clients/paste", "/clients/paste/look", &bad);
    assert!(looked.status == 200 && looked.body.contains("Line 2: "), "{looked:?}");
    assert!(!looked.body.contains("/clients/paste/make"), "there is nothing to confirm");
    let made = visitor.send("/clients/paste", "/clients/paste/make", &bad);
    assert_eq!(made.status, 400, "all or nothing");
    assert_eq!(manager.audit(1).len(), 0);
    let good = [("lines", "192.0.2.1\n192.0.2.2 # mail\n"), ("kind", "allow"), ("list", "partners")];
    let looked = visitor.send("/clients/paste", "/clients/paste/look", &good);
    assert!(
        looked.body.contains("2 rules, every line is good.") && looked.body.contains("/clients/paste/make")
    );
    assert_eq!(manager.audit(1).len(), 0, "looking changes nothing");
    assert_eq!(
        visitor.send("/clients/paste", "/clients/paste/make", &good).location(),
        Some("/clients?kind=allow")
    );
    let page = visitor.get("/clients?kind=allow&list=partners").body;
    assert_eq!(shown(&page), ["192.0.2.2", "192.0.2.1"]);
    assert_eq!(manager.audit(9).len(), 1);
}
