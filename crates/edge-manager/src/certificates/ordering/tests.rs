use std::sync::Arc;

use super::*;
use crate::certificates::{PrivateKey, Settings};
use crate::site::{BackendInput, DomainInput, SiteInput};
use crate::sites::SiteRecord;
use crate::store::{CertificateRow, Store};

const NAME: &str = "shop.example";

fn names(names: &[&str]) -> Names {
    Names::parse(names).unwrap()
}

/// With `shop.example`, which is served by TLS with a certificate that is due.
fn certificates(dir: &tempfile::TempDir) -> Certificates {
    let store = Arc::new(Store::open(&dir.path().join("rules.db")).unwrap());
    // Nobody listens there.
    let directory_url = "https://127.0.0.1:9/dir".to_owned();
    let settings = Settings { directory_url, ..Settings::of(dir.path().join("certificates")) };
    let certificates = Certificates::open(store, &settings).unwrap();
    let path = certificates.path(&names(&[NAME])).display().to_string();
    let domain = DomainInput {
        domain: NAME.into(),
        ssl_enabled: true,
        ssl_cert_path: Some(path.as_str().into()),
        backend_name: "web".into(),
        ..DomainInput::default()
    };
    let backend = BackendInput { name: "web".into(), ..BackendInput::default() };
    let input = SiteInput { domains: vec![domain], backends: vec![backend], ..SiteInput::default() };
    let row = CertificateRow {
        names: names(&[NAME]),
        keys: KeyKinds::Ecdsa,
        proof: Some(Proof::Http),
        expires_at_s: 500,
        renew_at_s: Some(100),
        failures: 0,
        retry_at_s: None,
        problem: None,
        warned_days: None,
    };
    let site = SiteRecord { input, ..SiteRecord::default() };
    let written = certificates.store.write::<_, StoreError>(|record| {
        record.set_site(&site)?;
        record.put_certificate(&row)
    });
    written.unwrap();
    certificates
}

fn put(certificates: &Certificates, row: &OrderRow) {
    certificates.store.write::<_, StoreError>(|record| record.put_order(row)).unwrap();
}

fn row(proof: Proof, step: Step) -> OrderRow {
    let url = (step >= Step::Ordered).then(|| "https://127.0.0.1:9/order".to_owned());
    OrderRow { step, url, ..begun(names(&[NAME]), KeyKind::Ecdsa, Some(proof), now_s().into()) }
}

fn bundle(not_after_s: u64) -> Bundle {
    let key = PrivateKey::generate(KeyKind::Ecdsa).unwrap();
    Bundle::parse(&[key.self_signed(&names(&[NAME]), 0, not_after_s).unwrap(), key.pem()].concat()).unwrap()
}

fn trouble(retry_at_s: Option<u64>, is_passing: bool) -> CertificateError {
    CertificateError::Authority { message: "it is down".to_owned(), retry_at_s, is_passing }
}

#[test]
fn what_may_pass_keeps_an_order_for_another_try_in_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    let issued = row(Proof::Http, Step::Issued);
    put(&certificates, &issued);
    certificates.files.put_issued(NAME, &bundle(4_000_000_000)).unwrap();
    let open = |is_patient, now_s| certificates.open_orders(is_patient, now_s).unwrap();
    assert_eq!(open(true, 0), [names(&[NAME])]);
    let at_s = u64::from(now_s()) + 7200;
    for failures in 1..3 {
        certificates.fail(NAME, &trouble(Some(at_s), true));
        let kept = OrderRow { failures, retry_at_s: Some(at_s), ..issued.clone() };
        assert_eq!(certificates.orders(NAME).unwrap(), [kept]);
    }
    assert!(certificates.files.issued(NAME, KeyKind::Ecdsa).is_ok());
    assert_eq!((open(true, at_s - 1), open(true, at_s)), (vec![], vec![names(&[NAME])]));
    // Who asks by hand does not wait, but for whoever is at it.
    assert_eq!(open(false, 0), [names(&[NAME])]);
    let turn = certificates.turn(NAME).unwrap();
    assert_eq!(open(false, at_s), []);
    drop(turn);
    let row = certificates.store.read::<_, StoreError>(|view| view.certificate(NAME)).unwrap().unwrap();
    assert_eq!((row.failures, row.retry_at_s, row.problem.as_deref()), (2, Some(at_s), Some("it is down")));
}

#[test]
fn a_refusal_ends_an_order() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    for error in [trouble(None, false), CertificateError::Invalid("no".to_owned())] {
        put(&certificates, &row(Proof::Http, Step::Issued));
        certificates.files.put_issued(NAME, &bundle(4_000_000_000)).unwrap();
        certificates.fail(NAME, &error);
        assert_eq!(certificates.orders(NAME).unwrap(), []);
        assert!(certificates.files.issued(NAME, KeyKind::Ecdsa).is_err());
    }
}

#[test]
fn a_server_that_cannot_be_reached_ends_no_order() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    put(&certificates, &row(Proof::Manual, Step::Ordered));
    let error = certificates.go_on_with(NAME).unwrap_err();
    assert!(error.to_string().starts_with("https://127.0.0.1:9/dir: ") && error.is_passing(), "{error}");
    let kept = &certificates.orders(NAME).unwrap()[0];
    assert_eq!((kept.step, kept.failures), (Step::Ordered, 1));
}

#[test]
fn what_is_ordered_is_not_due_and_what_waits_for_somebody_is_let_alone() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    assert_eq!(certificates.due(true, 200).unwrap().len(), 1);
    put(&certificates, &row(Proof::Manual, Step::Ordered));
    assert_eq!(certificates.due(false, 200).unwrap(), []);
    assert_eq!(certificates.open_orders(false, 200).unwrap(), []);
    // What was got for him is put in its place by the clock.
    put(&certificates, &row(Proof::Manual, Step::Issued));
    assert_eq!(certificates.open_orders(false, 200).unwrap(), [names(&[NAME])]);
}

#[test]
fn an_order_that_comes_to_nothing_does_not_keep_off_renewals_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    let order = row(Proof::Manual, Step::Ordered);
    put(&certificates, &order);
    let end_s = order.begun_at_s + MAX_ORDER_S;
    certificates.end_old_orders(end_s - 1).unwrap();
    assert_eq!(certificates.orders(NAME).unwrap().len(), 1);
    certificates.end_old_orders(end_s).unwrap();
    assert_eq!(certificates.orders(NAME).unwrap(), []);
    assert_eq!(certificates.due(true, end_s).unwrap().len(), 1);
    // What was issued is not thrown away.
    put(&certificates, &OrderRow { step: Step::Issued, ..order });
    certificates.end_old_orders(end_s).unwrap();
    assert_eq!(certificates.orders(NAME).unwrap().len(), 1);
}

#[test]
fn the_same_wish_goes_on_and_another_one_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    let ordered = row(Proof::Http, Step::Ordered);
    put(&certificates, &ordered);
    let wish = Wish { names: names(&[NAME]), keys: KeyKinds::Ecdsa, proof: Proof::Http };
    certificates.begin(&wish).unwrap();
    assert_eq!(certificates.orders(NAME).unwrap(), [ordered]);
    let two = names(&[NAME, "www.shop.example"]);
    for other in [
        Wish { names: two, ..wish.clone() },
        Wish { keys: KeyKinds::Both, ..wish.clone() },
        Wish { keys: KeyKinds::Rsa, ..wish.clone() },
        Wish { proof: Proof::Dns, ..wish },
    ] {
        certificates.begin(&other).unwrap();
        let orders = certificates.orders(NAME).unwrap();
        let found: Vec<_> = orders.iter().map(|row| (row.key, &row.names, row.proof, row.step)).collect();
        let kinds = other.keys.kinds().iter();
        let expected: Vec<_> =
            kinds.map(|key| (*key, &other.names, Some(other.proof), Step::Begun)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn what_is_issued_is_put_in_its_place_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    put(&certificates, &row(Proof::Http, Step::Issued));
    let issued = bundle(4_000_000_000);
    certificates.files.put_issued(NAME, &issued).unwrap();
    let installed = certificates.go_on_with(NAME).unwrap();
    assert_eq!((installed.files.len(), installed.files[0].1.pem()), (1, issued.pem()));
    assert_eq!(certificates.orders(NAME).unwrap()[0].step, Step::Installed);
    // HAProxy does not take it: it is kept for another time, and what a domain names stays.
    certificates.undo(&installed, &CertificateError::NotInForce("no".to_owned())).unwrap();
    let kept = &certificates.orders(NAME).unwrap()[0];
    assert_eq!((kept.step, kept.failures), (Step::Issued, 1));
    assert!(installed.path.is_file());
}

#[test]
fn what_was_issued_and_is_over_is_ordered_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    put(&certificates, &row(Proof::Http, Step::Issued));
    certificates.files.put_issued(NAME, &bundle(1000)).unwrap();
    let error = certificates.go_on_with(NAME).unwrap_err();
    assert!(error.to_string().starts_with("https://127.0.0.1:9/dir: "), "{error}");
    // One that was brought cannot be.
    put(&certificates, &OrderRow { proof: None, ..row(Proof::Http, Step::Issued) });
    assert_eq!(certificates.go_on_with(NAME).unwrap_err().to_string(), "the certificate has expired");
    assert_eq!(certificates.orders(NAME).unwrap(), []);
}

#[test]
fn nothing_is_ordered_for_domains_that_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(&dir);
    put(&certificates, &row(Proof::Http, Step::Begun));
    let site = SiteRecord::default();
    certificates.store.write::<_, StoreError>(|record| record.set_site(&site)).unwrap();
    let error = certificates.go_on_with(NAME).unwrap_err();
    assert!(matches!(error, CertificateError::UnknownDomain(_)), "{error}");
    assert_eq!(certificates.orders(NAME).unwrap(), []);
}
