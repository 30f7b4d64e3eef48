//! A harness for HAProxy with Edge Filter in front of a backend that is told what to answer.
//!
//! [`Edge`] is a running HAProxy with one of the shipped configurations, [`Backend`] an HTTP server in this
//! process, [`Request`] goes over the wire byte by byte as it is written. Everything listens on ports that
//! the kernel chose, and everything ends when it is dropped.
#![forbid(unsafe_code)]

mod api;
mod backend;
mod browser;
mod edge;
mod haproxy;
mod http;
mod http2;
mod hypercorn;
mod keep_alive;
mod manager;
mod manager_server;
mod memcheck;
mod metrics;
mod mode;
mod mount;
mod nginx;
mod pending;
mod port;
mod proc;
mod processes;
mod rules_writer;
mod state;
mod tell;
mod version;
mod wait;
mod watcher;

pub use api::Api;
pub use backend::{Answer, Backend, Received};
pub use browser::{Browser, Look};
pub use edge::{Edge, EdgeBuilder, module_dir, shipped};
pub use haproxy::{Checked, Haproxy, Launch, StartFailure};
pub use http::{Request, Response};
pub use http2::Http2;
pub use hypercorn::{Hypercorn, http2};
pub use keep_alive::KeepAlive;
pub use manager::{Manager, Said};
pub use manager_server::{ManagerServer, ManagerServerBuilder, ServeCommand, ServeFailure, ServeProcess};
pub use memcheck::{Findings, Memcheck};
pub use metrics::Metrics;
pub use mode::Mode;
pub use mount::{SmallDisk, with_private_mounts};
pub use nginx::Nginx;
pub use pending::Pending;
pub use port::Port;
pub use proc::Process;
pub use rules_writer::{ListedRule, RulesProcess};
pub use state::{StateHome, make_managed_state, obstruct_snapshot};
pub use tell::tell;
pub use version::Version;
pub use wait::eventually;
