//! A real nginx that serves files.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{Port, Request, eventually, tell};

const NGINX: &str = "/usr/sbin/nginx";

/// An nginx with these files, on a port of its own. Ends when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    port: Port,
    dir: TempDir,
}

impl Nginx {
    /// Serves these files, each a path and a text. `None` where nginx is not installed: then a line says that the test was
    /// skipped.
    ///
    /// # Panics
    /// It does not start; or it is not installed, and `EDGE_MATRIX` is `require`.
    pub fn start(files: &[(&str, &str)]) -> Option<Self> {
        if !Path::new(NGINX).exists() {
            let required = std::env::var_os("EDGE_MATRIX").is_some_and(|value| value == "require");
            assert!(!required, "{NGINX} is not there: scripts/install.sh nginx");
            tell("skipped: nginx is not installed (scripts/install.sh nginx)");
            return None;
        }
        Some(Self::serve(files).unwrap_or_else(|e| panic!("nginx does not start: {e}")))
    }

    fn serve(files: &[(&str, &str)]) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("edge-nginx.").tempdir()?;
        let root = dir.path().join("www");
        for (path, text) in files {
            let file = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(file.parent().unwrap_or(&root))?;
            fs::write(file, text)?;
        }
        let port = Port::reserve()?;
        let of = |name: &str| dir.path().join(name).display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", of(kind)))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {};\nevents {{}}\nhttp {{ access_log off; {temporary}\
             server {{ listen {} reuseport; root {}; }} }}\n",
            of("pid"),
            port.addr(),
            root.display()
        );
        fs::write(dir.path().join("nginx.conf"), config)?;
        let log = fs::File::create(dir.path().join("log"))?;
        let process = Command::new(NGINX)
            .args(["-e", "stderr", "-p"])
            .arg(dir.path())
            .args(["-c", "nginx.conf"])
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
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
