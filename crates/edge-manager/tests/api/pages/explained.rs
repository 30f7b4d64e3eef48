use super::Visitor;
use crate::harness::{Manager, answer_with};

#[test]
fn what_haproxy_says_has_precedence_over_the_record() {
    let manager = Manager::with_key(Some("secret"));
    answer_with(&manager.socket(), |command| {
        let said = match command.strip_prefix("get edge ")? {
            // As of lessons and lists in files, of which the record has nothing.
            "192.0.2.7" => {
                "192.0.2.7: deny 403\n  decides: block 192.0.2.7: deny 403, 9 s left, learned, 1 hits\n"
            }
            "www.example/learned" => "www.example/learned: deny 404\n  decides: www.example/learned: ...\n",
            "192.0.2.8" => "192.0.2.8: pass\n",
            "/asks" => "/asks: depends on the request\n  conditional: /asks method=POST: deny 403, ...\n",
            _ => "no answer: this thread is in a lookup\n",
        };
        Some(said.to_owned())
    });
    let mut visitor = Visitor::with_key(&manager, "secret");
    for target in ["192.0.2.8", "192.0.2.9"] {
        assert_eq!(visitor.send("/clients", "/clients/add", &[("target", target)]).status, 303);
    }
    for (path, headline, recorded) in [
        ("/clients?q=192.0.2.7", "192.0.2.7: <span class=\"bad\">deny 403</span>", "pass"),
        ("/clients?q=192.0.2.8", "192.0.2.8: <span class=\"good\">pass</span>", "deny 403"),
        ("/resources?url=www.example/learned", "<span class=\"bad\">deny 404</span>", "pass"),
        ("/resources?url=/asks", "/asks: <span class=\"good\">depends on the request</span>", "pass"),
    ] {
        let page = visitor.get(path).body;
        assert!(page.contains(headline), "{path} {page}");
        assert!(page.contains(&format!("By the record: {recorded}</h3>")), "{path} {page}");
        assert!(page.contains("HAProxy says so"), "{path} {page}");
    }
    // What is no verdict, and what HAProxy was not told enough for.
    for (path, headline) in [
        ("/clients?q=192.0.2.9", "192.0.2.9: <span class=\"bad\">deny 403</span>"),
        ("/resources?url=/asks&method=GET", "/asks: <span class=\"good\">pass</span>"),
    ] {
        let page = visitor.get(path).body;
        assert!(
            page.contains(headline) && page.contains("By the record alone; HAProxy says:"),
            "{path} {page}"
        );
    }
}

#[test]
fn why_haproxy_has_not_answered_is_told() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::with_key(&manager, "secret");
    let unreached = "HAProxy was not reached";
    assert!(visitor.get("/clients?q=192.0.2.7").body.contains(unreached));
    answer_with(&manager.socket(), |_| Some("/a: pass\n".to_owned()));
    for url in ["/a%3Bv=1", "/it%27s", "/%C3%A4", "/a%5Cb"] {
        let page = visitor.get(&format!("/resources?url={url}")).body;
        assert!(page.contains("HAProxy cannot be asked") && !page.contains(unreached), "{url} {page}");
    }
}
