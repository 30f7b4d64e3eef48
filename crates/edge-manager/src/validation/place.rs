//! Where HAProxy reaches the listener.

use std::fmt;
use std::net::SocketAddr;
use std::path::{self, Path, PathBuf};
use std::str::FromStr;

use crate::site::words::FilePath;
use crate::site::{FieldError, Refusal};

/// The directory of the socket below the chroot of HAProxy.
const DIRECTORY: &str = "edge";
const FILE: &str = "acme-validation.sock";

/// Longest path of a socket: `sun_path` of Linux's unix(7) without its last zero, in HAProxy's `str2sa_range` too.
const MAX_SOCKET_BYTES: usize = 107;

/// Where to listen for ACME validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket.
    Socket(FilePath),
    /// A loopback address, for a HAProxy that cannot reach a socket.
    Address(SocketAddr),
}

impl FromStr for Listen {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.starts_with('/') {
            if text.len() > MAX_SOCKET_BYTES {
                return Err(format!("is longer than {MAX_SOCKET_BYTES} bytes").into());
            }
            return text.parse().map(Self::Socket);
        }
        let address: Option<SocketAddr> = text.parse().ok();
        let address = address.filter(|address| address.ip().is_loopback() && address.port() > 0);
        address
            .map(Self::Address)
            .ok_or_else(|| "is neither an absolute path nor a loopback address with a port".into())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Where to listen, as the manager was told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `None`: a socket in the chroot of HAProxy, or in the state directory where it has none.
    pub listen: Option<Listen>,
    /// The state directory, which HAProxy reads too.
    pub state_dir: PathBuf,
}

/// Where the listener is, and what the `server` line of haproxy.cfg names for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) listen: Listen,
    pub(super) server: String,
}

impl Settings {
    /// For a HAProxy with this chroot, from within which it connects; `None` where the place that nobody has chosen has no path
    /// that a socket can have.
    ///
    /// # Errors
    /// HAProxy cannot reach the place that somebody has chosen.
    pub(super) fn place(&self, chroot: Option<&str>) -> Result<Option<Place>, FieldError> {
        let chroot = chroot.filter(|text| !text.is_empty());
        let place = match (&self.listen, chroot) {
            (Some(listen @ Listen::Socket(path)), Some(chroot)) => {
                let Ok(within) = Path::new(path.as_str()).strip_prefix(chroot) else {
                    let reason = format!(
                        "does not contain {path}, where the manager listens for ACME validation, so that HAProxy could not reach \
                         it: give --acme-validation-listen a path below the chroot"
                    );
                    return Err(FieldError::new("global.chroot".into(), chroot, reason));
                };
                Some(Place { listen: listen.clone(), server: format!("/{}", within.display()) })
            }
            (Some(listen), _) => Some(Place { listen: listen.clone(), server: listen.to_string() }),
            (None, Some(chroot)) => socket(&Path::new(chroot).join(DIRECTORY).join(FILE))
                .map(|listen| Place { listen, server: format!("/{DIRECTORY}/{FILE}") }),
            (None, None) => {
                let directory = path::absolute(&self.state_dir).unwrap_or_else(|_| self.state_dir.clone());
                socket(&directory.join(FILE)).map(|listen| Place { server: listen.to_string(), listen })
            }
        };
        Ok(place)
    }
}

fn socket(path: &Path) -> Option<Listen> {
    let text = path.to_str().filter(|text| text.len() <= MAX_SOCKET_BYTES)?;
    text.parse().ok().map(Listen::Socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(listen: Option<&str>, chroot: Option<&str>) -> Result<(String, String), String> {
        let listen = listen.map(|text| text.parse().unwrap());
        let settings = Settings { listen, state_dir: "/var/lib/edge-filter".into() };
        let place = settings.place(chroot).map_err(|error| error.to_string())?.unwrap();
        Ok((place.listen.to_string(), place.server))
    }

    fn both(listen: &str, server: &str) -> Result<(String, String), String> {
        Ok((listen.to_owned(), server.to_owned()))
    }

    #[test]
    fn the_server_line_names_the_socket_as_haproxy_sees_it() {
        let (jail, own) = (Some("/var/lib/haproxy"), Some("/var/lib/haproxy/a/v.sock"));
        let within = both("/var/lib/haproxy/edge/acme-validation.sock", "/edge/acme-validation.sock");
        assert_eq!(place(None, jail), within);
        let beside = "/var/lib/edge-filter/acme-validation.sock";
        assert_eq!(place(None, None), both(beside, beside));
        assert_eq!(place(None, Some("")), both(beside, beside));
        assert_eq!(place(own, jail), both("/var/lib/haproxy/a/v.sock", "/a/v.sock"));
        assert_eq!(place(own, Some("/var/lib/haproxy/")), both("/var/lib/haproxy/a/v.sock", "/a/v.sock"));
        assert_eq!(place(own, None), both("/var/lib/haproxy/a/v.sock", "/var/lib/haproxy/a/v.sock"));
        assert_eq!(place(Some("127.0.0.1:8001"), jail), both("127.0.0.1:8001", "127.0.0.1:8001"));
        assert_eq!(
            place(Some("/run/v.sock"), jail).unwrap_err(),
            "global.chroot: \"/var/lib/haproxy\" does not contain /run/v.sock, where the manager listens for ACME validation, \
             so that HAProxy could not reach it: give --acme-validation-listen a path below the chroot"
        );
        assert!(place(Some("/var/lib/haproxy2/v.sock"), jail).is_err());
    }

    #[test]
    fn a_directory_that_no_socket_can_be_in_is_no_reason_to_refuse_a_site() {
        let at =
            |state_dir: &str| Settings { listen: None, state_dir: state_dir.into() }.place(None).unwrap();
        assert!(at(&format!("/{}", "a".repeat(85))).is_some());
        for state_dir in [format!("/{}", "a".repeat(86)), "/var/lib/edge filter".to_owned()] {
            assert_eq!(at(&state_dir), None, "{state_dir}");
        }
    }

    #[test]
    fn a_place_that_others_reach_is_none() {
        for text in
            ["0.0.0.0:8001", "192.0.2.1:8001", "127.0.0.1:0", "127.0.0.1", "v.sock", "", "/a b", "/a/../b"]
        {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
        assert_eq!("[::1]:8001".parse::<Listen>().unwrap().to_string(), "[::1]:8001");
    }
}
