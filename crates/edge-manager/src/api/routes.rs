//! Routes, and what each of them needs.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::error::ErrorBody;
use super::{App, authentication};
use crate::access::Role;

/// How the description of the API calls the way in.
const SCHEME: &str = "key";

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// As `GET`.
    pub method: Method,
    /// As `/api/blocked-ips`; a part that varies in braces.
    pub path: String,
    /// The least role that may use it; none where everybody may.
    pub role: Option<Role>,
}

/// Routes, each with the role that it needs.
pub(super) struct Routes {
    router: OpenApiRouter<Arc<App>>,
    pub(super) list: Vec<Route>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self { router: OpenApiRouter::default(), list: Vec::new() }
    }

    /// Routes for everybody, with a key or without.
    pub(super) fn public(self, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        self.add(None, routes)
    }

    /// Routes that change nothing.
    pub(super) fn reader(self, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        self.add(Some(Role::Reader), routes)
    }

    /// Routes that change rules.
    pub(super) fn operator(self, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        self.add(Some(Role::Operator), routes)
    }

    /// Routes that change domains and backends: those of admins, and without any key of programs of this machine.
    pub(super) fn local(self, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        self.add(Some(Role::Local), routes)
    }

    /// Routes that change anything else.
    pub(super) fn admin(self, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        self.add(Some(Role::Admin), routes)
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), list: self.list }
    }

    pub(super) fn into_parts(self) -> (axum::Router<Arc<App>>, OpenApi) {
        let (router, mut openapi) = self.router.split_for_parts();
        openapi.info.title = "edge-manager".to_owned();
        env!("CARGO_PKG_VERSION").clone_into(&mut openapi.info.version);
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_with(Components::new).add_security_scheme(SCHEME, scheme);
        (router, openapi)
    }

    fn add(mut self, role: Option<Role>, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        let (mut schemas, mut paths, mut methods) = routes;
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                operation.operation_id = Some(name(&method, path));
                describe(operation, role);
                self.list.push(Route { method, path: path.clone(), role });
            }
        }
        schemas.push((ErrorBody::name().into_owned(), ErrorBody::schema()));
        if let Some(role) = role {
            let guard = move |request: Request, next: Next| authentication::guard(role, request, next);
            methods = methods.route_layer(from_fn(guard));
        }
        self.router = self.router.routes((schemas, paths, methods));
        self
    }
}

/// As `get_api_rules_id`: no other endpoint has it.
fn name(method: &Method, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.as_str().to_ascii_lowercase(), |name, word| format!("{name}_{word}"))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Says of an endpoint what is the same for all of its kind.
fn describe(operation: &mut Operation, role: Option<Role>) {
    let mut answers = vec![
        ("500", "Something is wrong with the manager or its record"),
        ("503", "There is no answer in time, or no room for one more"),
    ];
    if let Some(role) = role {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], _>(SCHEME, [])]);
        let keyless = match role {
            Role::Admin => "Without any key, only the control socket takes it. ",
            _ => "",
        };
        let role = format!("{keyless}Needs a key of the role {}.", role.of_keys());
        let description =
            operation.description.take().map_or(role.clone(), |text| format!("{text}\n\n{role}"));
        operation.description = Some(description);
        answers.extend([
            ("401", "No key, or none that is known"),
            ("403", "The key's role is too low"),
            ("429", "Too many keys that are not known; Retry-After says when to try again"),
        ]);
    }
    if operation.parameters.is_some() {
        answers.push(("400", "A parameter cannot be taken"));
    }
    if operation.request_body.is_some() {
        answers.extend([
            ("400", "The body cannot be taken"),
            ("408", "The body did not arrive in time"),
            ("413", "The body is too long"),
            ("415", "The body is of another type"),
        ]);
    }
    for (status, description) in answers {
        let content = utoipa::openapi::ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(ErrorBody::name())))
            .build();
        let response = ResponseBuilder::new().description(description).content("application/json", content);
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(response.build()));
    }
}
