//! A client of the manager's API.

use std::io;
use std::net::SocketAddr;

use crate::{KeepAlive, Request, Response};

/// A client with one key, or without, that keeps its connection.
#[derive(Debug)]
pub struct Api {
    to: SocketAddr,
    client: KeepAlive,
    key: Option<String>,
}

impl Api {
    /// A client of this address without a key.
    pub fn new(to: SocketAddr) -> Self {
        Self { to, client: KeepAlive::new(to), key: None }
    }

    /// With this key.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// The answer to a request, or what went wrong.
    ///
    /// # Errors
    /// As [`KeepAlive::send`].
    pub fn try_call(&mut self, method: &str, target: &str, body: &str) -> io::Result<Response> {
        let mut request = Request::new(method, target).host(&self.to.to_string());
        if let Some(key) = &self.key {
            request = request.header("Authorization", &format!("Bearer {key}"));
        }
        if !body.is_empty() {
            request = request.header("Content-Type", "application/json").body(body);
        }
        self.client.send(&request)
    }

    /// The answer to a request; an empty body is none.
    ///
    /// # Panics
    /// There is no answer.
    pub fn call(&mut self, method: &str, target: &str, body: &str) -> Response {
        let answer = self.try_call(method, target, body);
        answer.unwrap_or_else(|e| panic!("no answer to {method} {target} {body}: {e}"))
    }

    /// The answer to a `GET`.
    ///
    /// # Panics
    /// There is no answer.
    pub fn get(&mut self, target: &str) -> Response {
        self.call("GET", target, "")
    }

    /// The answer to a `POST`.
    ///
    /// # Panics
    /// There is no answer.
    pub fn post(&mut self, target: &str, body: &str) -> Response {
        self.call("POST", target, body)
    }

    /// The answer to a `DELETE`.
    ///
    /// # Panics
    /// There is no answer.
    pub fn delete(&mut self, target: &str, body: &str) -> Response {
        self.call("DELETE", target, body)
    }
}
