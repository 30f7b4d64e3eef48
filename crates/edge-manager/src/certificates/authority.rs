//! The ACME server, and our account there.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{
    Account, AccountCredentials, BodyWrapper, BytesResponse, CertificateIdentifier, Error,
    ExternalAccountKey, HttpClient, NewAccount, Problem,
};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, Der};
use rustls::{ClientConfig, RootCertStore};

use super::{CertificateError, Files, Leaf, Settings};
use crate::clock::now_s;

/// How long one answer may take, and its longest body, bytes.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Longest text of a server that is repeated, characters.
const MAX_WORDS: usize = 500;

/// An account that the server knows us by already (RFC 8555, section 7.3.4).
#[derive(Clone)]
pub struct ExternalAccount {
    id: String,
    key: Vec<u8>,
}

impl ExternalAccount {
    /// `key` is base64url, as servers give it.
    ///
    /// # Errors
    /// It is not; the key is not told.
    pub fn new(id: String, key: &str) -> Result<Self, &'static str> {
        let key = BASE64_URL_SAFE_NO_PAD.decode(key.trim().trim_end_matches('='));
        Ok(Self { id, key: key.map_err(|_| "the key is no base64url")? })
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalAccount({:?})", self.id)
    }
}

/// How long to wait where the server speaks of a limit and not of when it ends, seconds.
const LIMIT_PAUSE_S: u64 = 60;

/// The ACME server.
#[derive(Debug)]
pub struct Authority {
    directory_url: String,
    ca_file: Option<PathBuf>,
    email: Option<String>,
    external_account: Option<ExternalAccount>,
    /// When the last answer says to come back, seconds since the Unix epoch; taken by the error that it came with.
    retry_at_s: Arc<Mutex<Option<u64>>>,
}

/// When the server suggests to renew (RFC 9773, section 4.2), seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from_s: u64,
    pub(super) to_s: u64,
    /// How long to wait before the next question, seconds.
    pub(super) again_s: u64,
}

impl Authority {
    /// That of these settings. Nobody is asked yet.
    pub fn new(settings: &Settings) -> Self {
        let Settings { directory_url, ca_file, email, external_account, .. } = settings.clone();
        Self { directory_url, ca_file, email, external_account, retry_at_s: Arc::default() }
    }

    /// The same server for somebody else: the pauses that it wants of one are not taken for those of the other.
    pub(super) fn apart(&self) -> Self {
        let Self { directory_url, ca_file, email, external_account, .. } = self;
        Self {
            directory_url: directory_url.clone(),
            ca_file: ca_file.clone(),
            email: email.clone(),
            external_account: external_account.clone(),
            retry_at_s: Arc::default(),
        }
    }

    /// Our account, which is kept in a file and made if there is none; `is_lost`: the server does not know that one.
    pub(super) async fn account(&self, files: &Files, is_lost: bool) -> Result<Account, CertificateError> {
        let path = files.account(&self.directory_url);
        if !is_lost && let Some(credentials) = kept(&path)? {
            let builder = Account::builder_with_http(self.client()?);
            return builder.from_credentials(credentials).await.map_err(|error| self.trouble(error));
        }
        let contact = self.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        // Who runs this has agreed by naming the server: there is nobody else to ask.
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external = self.external_account.as_ref();
        let external = external.map(|account| ExternalAccountKey::new(account.id.clone(), &account.key));
        let builder = Account::builder_with_http(self.client()?);
        let made = builder.create(&new, self.directory_url.clone(), external.as_ref()).await;
        let (account, credentials) = made.map_err(|error| self.trouble(error))?;
        let text = serde_json::to_string(&credentials)
            .map_err(|_| CertificateError::refused("the account cannot be kept"))?;
        Files::put_secret(&path, &text)?;
        Ok(account)
    }

    /// When the server wants this certificate to be renewed; `None` where it does not say.
    pub(super) async fn window(
        &self,
        account: &Account,
        leaf: &Leaf,
    ) -> Result<Option<Window>, CertificateError> {
        let Some(id) = identifier(leaf) else { return Ok(None) };
        match account.renewal_info(&id).await {
            Ok((info, again)) => {
                let seconds = |at_s: i64| u64::try_from(at_s).unwrap_or(0);
                Ok(Some(Window {
                    from_s: seconds(info.suggested_window.start.unix_timestamp()),
                    to_s: seconds(info.suggested_window.end.unix_timestamp()),
                    again_s: again.as_secs(),
                }))
            }
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(self.trouble(error)),
        }
    }

    /// What an error means, in our words.
    pub(super) fn trouble(&self, error: Error) -> CertificateError {
        let limit_end_s = || is_limit(&error).then(|| u64::from(now_s()) + LIMIT_PAUSE_S);
        let retry_at_s = self.retry_at_s.lock().take().or_else(limit_end_s);
        let (why, is_passing) = match &error {
            Error::Api(problem) => (text(problem), is_passing(problem)),
            Error::Other(error) => (sources(&**error), true),
            Error::Hyper(_) | Error::Timeout(_) => (error.to_string(), true),
            _ => (error.to_string(), false),
        };
        let message = format!("{}: {}", self.directory_url, shown(&why));
        CertificateError::Authority { message, retry_at_s, is_passing }
    }

    fn client(&self) -> Result<Box<dyn HttpClient>, CertificateError> {
        let builder = HttpsConnectorBuilder::new();
        let builder = match &self.ca_file {
            Some(path) => {
                let roots = roots(path)
                    .map_err(|why| CertificateError::Invalid(format!("{}: {why}", path.display())))?;
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let config =
                    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
                let config = config.map_err(|error| CertificateError::Invalid(error.to_string()))?;
                builder.with_tls_config(config.with_root_certificates(roots).with_no_client_auth())
            }
            None => builder.try_with_platform_verifier().map_err(|error| {
                CertificateError::Invalid(format!("the authorities of this system: {error}"))
            })?,
        };
        let connector = builder.https_only().enable_http1().build();
        let http = Hyper::builder(TokioExecutor::new()).build(connector);
        Ok(Box::new(Client { http, retry_at_s: self.retry_at_s.clone() }))
    }
}

/// What ARI calls a certificate.
pub(super) fn identifier(leaf: &Leaf) -> Option<CertificateIdentifier<'static>> {
    let (authority, serial) = leaf.ari.as_ref()?;
    Some(CertificateIdentifier::new(Der::from_slice(authority), Der::from_slice(serial)).into_owned())
}

/// The account that is kept in a file; `None` where there is no file.
fn kept(path: &Path) -> Result<Option<AccountCredentials>, CertificateError> {
    let text = match Files::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CertificateError::File(path.to_owned(), error)),
    };
    // What the library says might repeat a part of it.
    let damaged = || std::io::Error::other("no account can be read from it");
    let credentials = serde_json::from_str(&text);
    credentials.map(Some).map_err(|_| CertificateError::File(path.to_owned(), damaged()))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}

/// A client whose answers come in time and are not endless, and which notes when the server says to come back: the library
/// drops that.
struct Client {
    http: Hyper<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    retry_at_s: Arc<Mutex<Option<u64>>>,
}

type Answering = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl HttpClient for Client {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answering {
        // What came with an answer before that was no trouble is over.
        *self.retry_at_s.lock() = None;
        let (sent, noted) = (self.http.request(request), self.retry_at_s.clone());
        let answer = async move {
            let (parts, body) = sent.await.map_err(|error| sources(&error))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| sources(&*error))?.to_bytes();
            if !parts.status.is_success() {
                *noted.lock() = retry_at_s(&parts.headers);
                // What stands between us and the server answers in other forms than it does.
                if serde_json::from_slice::<Problem>(&body).is_err() {
                    return Err(format!("it answers {}", parts.status));
                }
            }
            Ok(BytesResponse { parts, body: Box::new(body) })
        };
        Box::pin(async move {
            let answer = tokio::time::timeout(ANSWER_PATIENCE, answer).await;
            let late = || format!("no answer in {} s", ANSWER_PATIENCE.as_secs());
            answer.map_err(|_| late()).flatten().map_err(|why| Error::Other(why.into()))
        })
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_at_s(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let since = |time: SystemTime| Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs());
    match value.parse() {
        Ok(seconds) => since(SystemTime::now())?.checked_add(seconds),
        Err(_) => since(httpdate::parse_http_date(value).ok()?),
    }
}

fn is_limit(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if kind(problem) == Some("rateLimited"))
}

/// Whether the same may be asked once more (RFC 8555, section 6.7).
pub(super) fn is_passing(problem: &Problem) -> bool {
    let passing = ["badNonce", "rateLimited", "serverInternal"];
    let is_ours = problem.status.is_some_and(|status| status < StatusCode::INTERNAL_SERVER_ERROR.as_u16());
    kind(problem).is_some_and(|kind| passing.contains(&kind)) || !is_ours && problem.status.is_some()
}

/// The last part of `urn:ietf:params:acme:error:...`.
pub(super) fn kind(problem: &Problem) -> Option<&str> {
    problem.r#type.as_deref()?.strip_prefix("urn:ietf:params:acme:error:")
}

/// What a server says is wrong.
pub(super) fn text(problem: &Problem) -> String {
    let detail = |detail: &Option<String>, kind: Option<&str>| {
        let detail = detail.as_deref().unwrap_or("no reason is given");
        kind.map_or_else(|| detail.to_owned(), |kind| format!("{detail} ({kind})"))
    };
    let mut said = detail(&problem.detail, kind(problem));
    for part in &problem.subproblems {
        said.push_str("; ");
        if let Some(identifier) = &part.identifier {
            said.push_str(&format!("{}: ", identifier.authorized(false)));
        }
        let kind = part.r#type.as_deref().and_then(|kind| kind.rsplit(':').next());
        said.push_str(&detail(&part.detail, kind));
    }
    said
}

/// Someone else's words, on one line.
pub(super) fn shown(words: &str) -> String {
    words.chars().take(MAX_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An error and what is behind it.
fn sources(error: &(dyn StdError + 'static)) -> String {
    let (mut words, mut source) = (error.to_string(), error.source());
    while let Some(error) = source {
        let more = error.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_end_of_a_pause_is_read_in_both_forms() {
        let headers =
            |value: &'static str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
        assert_eq!(retry_at_s(&headers("Sun, 06 Nov 1994 08:49:37 GMT")), Some(784_111_777));
        let now_s: u64 = crate::clock::now_s().into();
        let found = retry_at_s(&headers("120")).unwrap();
        assert!((now_s + 120..now_s + 125).contains(&found), "{found}");
        for odd in ["", "soon", "-5", "18446744073709551615"] {
            assert_eq!(retry_at_s(&headers(odd)), None, "{odd}");
        }
    }

    #[test]
    fn a_shared_key_is_not_shown() {
        let account = ExternalAccount::new("kid-1".to_owned(), "c2VjcmV0LXNlY3JldA==").unwrap();
        assert_eq!(account.key, b"secret-secret");
        assert_eq!(format!("{account:?}"), "ExternalAccount(\"kid-1\")");
        assert_eq!(
            ExternalAccount::new("kid-1".to_owned(), "?secret?").unwrap_err(),
            "the key is no base64url"
        );
    }

    #[test]
    fn a_limit_lasts_a_minute_at_least_where_its_end_is_not_told() {
        let ours = Authority::new(&Settings::of("certificates"));
        let limit = || {
            let json = r#"{"type": "urn:ietf:params:acme:error:rateLimited", "status": 429}"#;
            Error::Api(serde_json::from_str(json).unwrap())
        };
        let least_s = u64::from(now_s()) + LIMIT_PAUSE_S;
        assert!(ours.trouble(limit()).retry_at_s() >= Some(least_s));
        *ours.retry_at_s.lock() = Some(7);
        let other = ours.apart();
        assert!(other.trouble(limit()).retry_at_s() >= Some(least_s), "that was not told to this one");
        assert_eq!(ours.trouble(limit()).retry_at_s(), Some(7));
        assert_eq!(ours.trouble(Error::Other("no answer".into())).retry_at_s(), None, "it is told once");
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let problem = |json: &str| serde_json::from_str::<Problem>(json).unwrap();
        let limited = problem(
            r#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many", "status": 429,
                "subproblems": [{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "seen",
                                 "identifier": {"type": "dns", "value": "a.example"}}]}"#,
        );
        assert_eq!(text(&limited), "too many (rateLimited); a.example: seen (rateLimited)");
        assert!(is_passing(&limited));
        assert!(is_passing(&problem(r#"{"status": 503}"#)));
        for lasting in [r#"{"type": "urn:ietf:params:acme:error:malformed", "status": 400}"#, "{}"] {
            assert!(!is_passing(&problem(lasting)), "{lasting}");
        }
    }
}
