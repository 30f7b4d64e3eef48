//! Certificates of the page are what HAProxy shows to clients.

use std::fs;

use edge_e2e::Look;

use crate::pebble::Pebble;
use crate::{KEY, Site, tls};

fn upload(site: &Site, certificate: &str, key: &str) {
    site.open("/certificates");
    site.browser.fill("#domain", "www.example");
    site.browser.fill("#certificate", certificate);
    site.browser.fill("#key", key);
    site.browser.click("form[action='/certificates/upload'] button");
}

fn source(site: &Site) -> String {
    let source = site.browser.run("return document.documentElement.outerHTML");
    source.as_str().expect("a text").to_owned()
}

#[test]
fn a_certificate_that_is_uploaded_is_shown_to_clients_and_its_key_to_nobody() {
    let site = Site::with_admin(Look::DESK);
    let (certificate, key) = tls::bought("first");
    let (other, other_key) = tls::bought("second");
    upload(&site, &certificate, &other_key);
    assert!(site.browser.text_of("#wrong").contains("the private key is not that of the first certificate"));
    assert_eq!(site.browser.run("return document.getElementById('key').value"), "");
    assert!(!source(&site).contains(other_key.lines().nth(1).expect("a key")));

    upload(&site, &certificate, &key);
    let told = site.browser.text_of(".notice.done");
    assert_eq!(told, "The certificate for www.example is in its place. HAProxy obeys it.");
    let shown = tls::shown(site.manager.https_addr(), "www.example");
    assert!(shown.contains("CN = first") && shown.contains("DNS:shop.example"), "{shown}");
    assert!(site.browser.text_of("tbody tr").contains("www.example"));
    assert!(!source(&site).contains(key.lines().nth(1).expect("a key")));

    // Put there by somebody else: HAProxy has it when it is told to read its files again.
    let file = site.manager.dir().join("record/certificates/www.example.pem");
    assert!(file.exists(), "{}", file.display());
    fs::write(&file, [other, other_key].concat()).expect("a file of ours");
    assert!(tls::shown(site.manager.https_addr(), "www.example").contains("CN = first"));
    site.open("/configuration");
    let reload = "details:has(form[action='/configuration/reload'])";
    site.browser.click(&format!("{reload} summary"));
    site.browser.click(&format!("{reload} button"));
    assert!(site.browser.text_of(".notice.done").contains("was told to read set"));
    assert!(tls::shown(site.manager.https_addr(), "www.example").contains("CN = second"));
}

#[test]
fn a_certificate_is_requested_and_renewed_once_its_server_can_be_reached() {
    let pebble = Pebble::new();
    let site = Site::start_with(Look::DESK, |builder| {
        builder.env("EDGE_ACME_DIRECTORY", pebble.directory()).env("EDGE_ACME_CA_FILE", pebble.ca_file())
    });
    site.log_in(KEY);
    site.open("/certificates");
    assert!(site.browser.text().contains("There are none."));
    site.browser.click("a[href='/certificates?names=www.example#request']");
    site.browser.click("form[action='/certificates/request'] button");
    assert!(site.browser.text_of("#wrong").contains(&pebble.directory()), "{}", site.browser.text());
    assert_eq!(site.browser.run("return document.getElementById('names').value"), "www.example");
    assert!(site.serves("www.example", "/"), "what fails changes nothing");

    let _pebble = pebble.start(site.manager.web_addr());
    site.browser.click("form[action='/certificates/request'] button");
    assert!(
        site.browser.text_of(".notice.done").contains("The certificate for www.example is in its place.")
    );
    let first = tls::shown(site.manager.https_addr(), "www.example");
    assert!(first.contains("Pebble Intermediate CA") && first.contains("DNS:www.example"), "{first}");
    let row = site.browser.text_of("tbody tr");
    assert!(row.contains("Pebble Intermediate CA") && row.contains("by http-01"), "{row}");

    site.browser.fill("#names", "www.example");
    site.browser.click("form[action='/certificates/request'] button");
    assert!(site.browser.text_of(".notice.done").contains("none was ordered"));
    assert_eq!(tls::shown(site.manager.https_addr(), "www.example"), first);

    site.browser.click("details:has(form[action='/certificates/renew']) summary");
    site.browser.click("form[action='/certificates/renew'] button");
    assert!(site.browser.text_of(".notice.done").contains("is in its place"));
    assert_ne!(tls::shown(site.manager.https_addr(), "www.example"), first);
}

#[test]
fn a_reader_sees_certificates_and_gets_no_key() {
    let site = Site::start(Look::DESK);
    let (certificate, key) = tls::bought("first");
    site.have_certificate(&certificate, &key);
    site.log_in(&site.key("read"));
    site.open("/certificates");
    assert!(site.browser.text_of("tbody tr").contains("www.example"));
    assert_eq!(site.browser.count("main form[method=post]"), 0);
    assert_eq!(site.browser.count("a[href^='/certificates/key'], a[href^='/certificates/whole']"), 0);
    let chain = "const done = arguments[0]; fetch(document.querySelector(\"a[href^='/certificates/chain']\").href)\
                 .then((answer) => answer.text()).then(done)";
    let chain = site.browser.run_async(chain);
    assert_eq!(chain.as_str().expect("a text").trim(), certificate.trim());
    site.open("/certificates/key?name=www.example");
    assert!(site.browser.text().contains("admin is needed"));
    assert!(!source(&site).contains(key.lines().nth(1).expect("a key")));
}
