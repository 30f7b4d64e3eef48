//! A certificate authority of our own, for what is not issued by pebble.

use std::path::Path;
use std::time::Duration;

use edge_manager::clock::now_s;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// Makes certificates.
pub(crate) struct OwnAuthority(CertifiedIssuer<'static, KeyPair>);

impl OwnAuthority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for these names, valid from one year to another.
    pub(crate) fn issue(&self, names: &[&str], from_year: i32, to_year: i32) -> (String, String) {
        let mut params = params(names);
        params.not_before = date_time_ymd(from_year, 1, 1);
        params.not_after = date_time_ymd(to_year, 1, 1);
        self.sign(&params)
    }

    /// The same, valid from so many days ago, and for so many more.
    pub(crate) fn issue_for_days(&self, names: &[&str], ago: u64, left: u64) -> (String, String) {
        let (mut params, day_s) = (params(names), 86_400);
        let at = |at_s| date_time_ymd(1970, 1, 1) + Duration::from_secs(at_s);
        let now_s = u64::from(now_s());
        params.not_before = at(now_s - ago * day_s);
        params.not_after = at(now_s + left * day_s);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// Writes what a server at localhost needs.
    pub(crate) fn localhost(&self, certificate: &Path, key: &Path) {
        let (chain, private) = self.issue(&["localhost", "127.0.0.1"], 2020, 2090);
        std::fs::write(certificate, chain).unwrap();
        std::fs::write(key, private).unwrap();
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}
