//! The listeners.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use axum::serve::Listener;
use parking_lot::Mutex;
use rustix::fs::Mode;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::answer::answer;
use super::place::{Listen, Settings};
use crate::certificates::Answers;
use crate::site::{FieldError, Global, GlobalInput};
use crate::socket_file::SocketFile;

/// Connections at the same time, in all and of one user of this machine. An old worker of HAProxy and a new one have 128 each.
const MAX_CONNECTIONS: usize = 512;
const MAX_PER_USER: usize = 256;

/// Places where it listens at the same time: a configuration from before a change of the chroot leads to the place before.
const MAX_PLACES: usize = 4;

/// Answers ACME validation where HAProxy reaches it.
#[derive(Debug)]
pub struct Validation {
    settings: Settings,
    answers: Answers,
    runtime: Handle,
    /// Where the API is, which answered validation in earlier versions.
    api: SocketAddr,
    open: Mutex<Open>,
}

/// What it listens on, the newest last.
#[derive(Debug, Default)]
struct Open {
    wanted: Option<Listen>,
    listeners: Vec<OpenListener>,
}

#[derive(Debug)]
struct OpenListener {
    listen: Listen,
    file: Option<SocketFile>,
    task: AbortHandle,
}

impl Drop for OpenListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Validation {
    /// Listens nowhere yet: where depends on the chroot of HAProxy.
    pub fn new(settings: Settings, answers: Answers, runtime: Handle, api: SocketAddr) -> Self {
        Self { settings, answers, runtime, api, open: Mutex::default() }
    }

    /// Has HAProxy bring validation here, unless the record names another server.
    ///
    /// # Errors
    /// HAProxy could not reach it.
    pub(crate) fn complete(&self, global: &mut GlobalInput) -> Result<(), FieldError> {
        let named = global.acme_validation_server.as_ref().map(|text| text.as_str()).unwrap_or_default();
        if named.is_empty() || self.is_api(named) {
            let place = self.settings.place(global.chroot.as_ref().map(|text| text.as_str()))?;
            global.acme_validation_server = place.map(|place| place.server.into());
        }
        Ok(())
    }

    /// An earlier version had operators name the API, which does not answer validation any more.
    fn is_api(&self, named: &str) -> bool {
        let ip = self.api.ip();
        named.parse().is_ok_and(|named: SocketAddr| {
            named.port() == self.api.port() && (named.ip() == ip || ip.is_unspecified())
        })
    }

    /// Listens where HAProxy looks for it by this configuration, before HAProxy gets it. Where that is not possible, the log
    /// says why, and it is tried [again](Self::renew).
    pub(crate) fn listen(&self, global: &Global) {
        let Ok(place) = self.settings.place(global.chroot.as_ref().map(|path| path.as_str())) else { return };
        let server = global.acme_validation_server.as_ref().map(ToString::to_string);
        match (place, server) {
            (Some(place), Some(server)) if server == place.server => {
                let mut open = self.open.lock();
                open.wanted = Some(place.listen);
                self.ensure(&mut open);
            }
            (_, Some(_)) => {}
            (_, None) => tracing::error!(
                "the path of a socket for ACME validation would be too long or has characters that haproxy.cfg does not take: \
                 certificates by http-01 fail until --acme-validation-listen names another place"
            ),
        }
    }

    /// Listens again where somebody has removed the socket, or where it was not possible before.
    pub(crate) fn renew(&self) {
        self.ensure(&mut self.open.lock());
    }

    fn ensure(&self, open: &mut Open) {
        let Some(wanted) = open.wanted.clone() else { return };
        open.listeners.retain(|listener| listener.file.as_ref().is_none_or(SocketFile::is_there));
        if let Some(at) = open.listeners.iter().position(|listener| listener.listen == wanted) {
            let newest = open.listeners.remove(at);
            open.listeners.push(newest);
            return;
        }
        match self.bind(&wanted) {
            Ok(listener) => {
                tracing::info!(at = %wanted, "ACME validation is answered");
                open.listeners.push(listener);
                if open.listeners.len() > MAX_PLACES {
                    open.listeners.remove(0);
                }
            }
            Err(error) => tracing::error!(
                at = %wanted, %error,
                "cannot listen for ACME validation: certificates by http-01 fail until it can, or --acme-validation-listen \
                 names another place"
            ),
        }
    }

    fn bind(&self, listen: &Listen) -> io::Result<OpenListener> {
        let _inside = self.runtime.enter();
        let (answers, users) = (self.answers.clone(), Arc::default());
        let (file, task) = match listen {
            Listen::Socket(path) => {
                let path = Path::new(path.as_str());
                make_directory(path)?;
                // What is answered is public, and HAProxy may be any user.
                let file = SocketFile::bind(path, Mode::from_raw_mode(0o666))?;
                let listener = UnixListener::from_std(file.listener()?)?;
                (Some(file), self.runtime.spawn(accept(listener, answers, users, user)))
            }
            Listen::Address(address) => {
                let listener = StdTcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                (None, self.runtime.spawn(accept(listener, answers, users, |_| None)))
            }
        };
        Ok(OpenListener { listen: listen.clone(), file, task: task.abort_handle() })
    }
}

/// The directory of the socket, if its parent is there. A link is not followed: a user who may write to a chroot must not choose
/// where else the manager makes a socket.
fn make_directory(socket: &Path) -> io::Result<()> {
    let Some(directory) = socket.parent() else { return Ok(()) };
    match fs::symlink_metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is no directory", directory.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(directory)?;
            // The umask may have been such that HAProxy could not pass.
            fs::set_permissions(directory, Permissions::from_mode(0o755))
        }
        Err(error) => Err(error),
    }
}

fn user(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok().map(|credentials| credentials.uid())
}

/// How many connections each user has.
type Users = Arc<Mutex<HashMap<u32, usize>>>;

/// A connection of a user, who may have another in its place as soon as this is dropped.
struct OfUser(Users, u32);

impl OfUser {
    fn admit(users: &Users, user: u32) -> Option<Self> {
        let mut open = users.lock();
        let count = open.entry(user).or_default();
        if *count >= MAX_PER_USER {
            return None;
        }
        *count += 1;
        Some(Self(users.clone(), user))
    }
}

impl Drop for OfUser {
    fn drop(&mut self) {
        let mut open = self.0.lock();
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

async fn accept<L: Listener>(
    mut listener: L,
    answers: Answers,
    users: Users,
    user: impl Fn(&L::Io) -> Option<u32>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = places.clone().acquire_owned().await {
        let (stream, _) = listener.accept().await;
        let admitted = user(&stream).map(|user| OfUser::admit(&users, user));
        if matches!(admitted, Some(None)) {
            continue;
        }
        let answers = answers.clone();
        tokio::spawn(async move {
            answer(stream, &answers).await;
            drop((place, admitted));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn completed(listen: &str, global: Value) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let settings = Settings { listen: None, state_dir: "/state".into() };
        let api = listen.parse().unwrap();
        let validation = Validation::new(settings, Answers::default(), runtime.handle().clone(), api);
        let mut global: GlobalInput = serde_json::from_value(global).unwrap();
        validation.complete(&mut global).unwrap();
        global.acme_validation_server.unwrap().to_string()
    }

    #[test]
    fn the_manager_answers_unless_another_server_is_named() {
        let (own, jailed) = ("/state/acme-validation.sock", "/edge/acme-validation.sock");
        assert_eq!(completed("127.0.0.1:8000", json!({})), own);
        assert_eq!(completed("127.0.0.1:8000", json!({"chroot": "/jail"})), jailed);
        assert_eq!(completed("127.0.0.1:8000", json!({"acme_validation_server": "/a.sock"})), "/a.sock");
    }

    #[test]
    fn a_record_that_names_the_api_leads_to_the_socket_now() {
        let named = |listen: &str, server: &str| completed(listen, json!({"challenge_server": server}));
        for (listen, server) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::1]:8000"),
        ] {
            assert_eq!(named(listen, server), "/state/acme-validation.sock", "{server}");
        }
        assert_eq!(named("127.0.0.1:8000", "127.0.0.1:8001"), "127.0.0.1:8001");
        assert_eq!(named("127.0.0.1:8000", "192.0.2.1:8000"), "192.0.2.1:8000");
    }

    #[test]
    fn a_user_has_a_part_of_the_places_and_gives_them_back() {
        let users = Users::default();
        let held: Vec<_> = (0..MAX_PER_USER).map(|_| OfUser::admit(&users, 7).unwrap()).collect();
        assert!(OfUser::admit(&users, 7).is_none() && OfUser::admit(&users, 8).is_some());
        drop(held);
        assert!(users.lock().is_empty(), "no count is kept of a user without connections");
    }

    #[test]
    fn no_link_leads_to_another_directory() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("elsewhere")).unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), at("edge")).unwrap();
        let error = make_directory(&at("edge/v.sock")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        fs::remove_file(at("edge")).unwrap();
        make_directory(&at("edge/v.sock")).unwrap();
        assert!(at("edge").is_dir());
        assert!(make_directory(&at("no/edge/v.sock")).is_err(), "a chroot is not made");
    }
}
