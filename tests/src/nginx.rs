//! A real nginx: a server of files, or a proxy in front of the edge.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::version::PATH;
use crate::{Port, Request, eventually};

/// A running nginx on a port of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    port: Port,
    dir: TempDir,
}

impl Nginx {
    /// Serves these files, each a path and a text. `None` where nginx is not installed, which a line tells.
    ///
    /// # Panics
    /// It does not start; or it is not installed, and `EDGE_MATRIX` is `require`.
    pub fn serving(files: &[(&str, &str)]) -> Option<Self> {
        Self::start("", |dir| {
            let root = dir.join("www");
            fs::create_dir_all(&root)?;
            for (path, text) in files {
                let file = root.join(path.trim_start_matches('/'));
                fs::create_dir_all(file.parent().unwrap_or(&root))?;
                fs::write(file, text)?;
            }
            Ok(format!("root {};", root.display()))
        })
    }

    /// Passes every request on to `upstream`, with these lines in its `location /`. It takes the value of `X-Test-Client` for
    /// the address of its client. `None` where nginx is not installed, which a line tells.
    ///
    /// # Panics
    /// As [`Nginx::serving`].
    pub fn before(upstream: SocketAddr, lines: &str) -> Option<Self> {
        Self::start("underscores_in_headers on;", |_| {
            Ok(format!(
                "set_real_ip_from 127.0.0.0/8; real_ip_header X-Test-Client;
                location / {{ proxy_pass http://{upstream}; proxy_set_header Host $host; {lines} }}"
            ))
        })
    }

    fn start(http: &str, server: impl FnOnce(&Path) -> io::Result<String>) -> Option<Self> {
        if !PATH.split(':').any(|dir| Path::new(dir).join("nginx").exists()) {
            let words = "NOT TESTED: no nginx, which scripts/install.sh nginx installs\n";
            assert_ne!(std::env::var_os("EDGE_MATRIX").as_deref(), Some("require".as_ref()), "{words}");
            // Past the capture of the test runner, which keeps what a test that passes has printed.
            let _ = io::Write::write_all(&mut io::stderr(), words.as_bytes());
            return None;
        }
        Some(Self::run(http, server).unwrap_or_else(|e| panic!("nginx does not start: {e}")))
    }

    fn run(http: &str, server: impl FnOnce(&Path) -> io::Result<String>) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("edge-nginx.").tempdir()?;
        let port = Port::reserve()?;
        let of = |name: &str| dir.path().join(name).display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", of(kind)))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {};\nevents {{}}\nhttp {{ access_log off; {http} {temporary}\
             server {{ listen {} reuseport; {} }} }}\n",
            of("pid"),
            port.addr(),
            server(dir.path())?
        );
        fs::write(dir.path().join("nginx.conf"), config)?;
        let log = fs::File::create(dir.path().join("log"))?;
        let process = Command::new("nginx")
            .args(["-e", "stderr", "-p"])
            .arg(dir.path())
            .args(["-c", "nginx.conf"])
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut nginx = Self { process, port, dir };
        eventually("an answer of nginx", || {
            let ended = nginx.process.try_wait().expect("a child of ours");
            assert!(
                ended.is_none(),
                "{}",
                fs::read_to_string(nginx.dir.path().join("log")).unwrap_or_default()
            );
            Request::get("/").send(nginx.addr()).ok()
        });
        Ok(nginx)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
