//! Routes of pages, and what each of them needs.

use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::routing::{MethodRouter, get, post};
use axum::{Router, extract::DefaultBodyLimit};

use super::guard::{self, Needs};
use crate::access::Role;
use crate::api::App;

/// A route of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRoute {
    /// `GET` to see, `POST` to change.
    pub method: Method,
    /// As `/clients`.
    pub path: &'static str,
    /// The least role that may use it; none where everybody may.
    pub role: Option<Role>,
}

/// Routes, each with the role that it needs.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) router: Router<Arc<App>>,
    pub(super) list: Vec<PageRoute>,
}

impl Pages {
    /// A page that whoever is logged in may see.
    pub(super) fn see<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        self.guarded(Method::GET, Role::Reader, path, get(handler))
    }

    /// A page for this role.
    pub(super) fn see_as<H, T>(self, role: Role, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        self.guarded(Method::GET, role, path, get(handler))
    }

    /// A form that changes something, with a body of so many bytes at most.
    pub(super) fn change<H, T>(self, role: Role, path: &'static str, max_bytes: usize, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let needs = Needs { role, is_bulk: false };
        self.guarded_up_to(Method::POST, needs, path, post(handler), max_bytes)
    }

    /// [`Pages::change`] with thousands of changes; the handler keeps its [`guard::Turn`].
    pub(super) fn change_many<H, T>(
        self,
        role: Role,
        path: &'static str,
        max_bytes: usize,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let needs = Needs { role, is_bulk: true };
        self.guarded_up_to(Method::POST, needs, path, post(handler), max_bytes)
    }

    /// A route for everybody. Whatever it takes, it looks after by itself.
    pub(super) fn public(
        mut self,
        methods: &[Method],
        path: &'static str,
        route: MethodRouter<Arc<App>>,
    ) -> Self {
        let routes = methods.iter().map(|method| PageRoute { method: method.clone(), path, role: None });
        self.list.extend(routes);
        self.router = self.router.route(path, route);
        self
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), list: self.list }
    }

    fn guarded(self, method: Method, role: Role, path: &'static str, route: MethodRouter<Arc<App>>) -> Self {
        let needs = Needs { role, is_bulk: false };
        self.guarded_up_to(method, needs, path, route, guard::MAX_FORM_BYTES)
    }

    fn guarded_up_to(
        mut self,
        method: Method,
        needs: Needs,
        path: &'static str,
        route: MethodRouter<Arc<App>>,
        max_bytes: usize,
    ) -> Self {
        self.list.push(PageRoute { method, path, role: Some(needs.role) });
        let watch = move |request: Request, next: Next| guard::admit(needs, request, next);
        // The limit is outside: the guard reads the body.
        let route = route.route_layer(from_fn(watch)).layer(DefaultBodyLimit::max(max_bytes));
        self.router = self.router.route(path, route);
        self
    }
}
