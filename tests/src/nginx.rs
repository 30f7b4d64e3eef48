//! nginx as a proxy in front of the edge, or beside it.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::version::PATH;
use crate::{Port, eventually};

/// A running nginx that passes every request on. Dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    port: Port,
    _dir: TempDir,
}

impl Nginx {
    /// In front of `upstream`, with these lines in its `location /`. `None` where nginx is not installed, which is told of.
    ///
    /// # Panics
    /// It does not start, or it is missing and `EDGE_MATRIX=require` says that it may not be.
    pub fn before(upstream: SocketAddr, lines: &str) -> Option<Self> {
        if !PATH.split(':').any(|dir| Path::new(dir).join("nginx").exists()) {
            let words = "NOT TESTED: no nginx, which scripts/install.sh nginx installs\n";
            assert_ne!(std::env::var_os("EDGE_MATRIX").as_deref(), Some("require".as_ref()), "{words}");
            // Past the capture of the test runner, which keeps what a test that passes has printed.
            let _ = io::stderr().write_all(words.as_bytes());
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory for nginx");
        let port = Port::reserve().expect("a free port on 127.0.0.1");
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log stderr;
            events {{}}
            http {{
                access_log off; underscores_in_headers on;
                client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
                server {{
                    listen {addr} reuseport;
                    set_real_ip_from 127.0.0.0/8; real_ip_header X-Test-Client;
                    location / {{ proxy_pass http://{upstream}; proxy_set_header Host $host; {lines} }}
                }}
            }}",
            dir = dir.path().display(),
            addr = port.addr(),
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config).expect("a file for nginx");
        let process = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let nginx = Self { process, port, _dir: dir };
        eventually("nginx listens", || TcpStream::connect(nginx.addr()).ok());
        Some(nginx)
    }

    /// Where it listens. It takes the value of `X-Test-Client` for the address of its client.
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
