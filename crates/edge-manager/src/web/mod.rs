//! The page: forms and tables over the services that the API has too.
//!
//! To add a page: a file with `pub(super) fn pages() -> Pages`, in which each route says the role that it needs, a line in
//! [`pages`], and one in [`frame::MENU`]. Everything that changes something is a form that posts and leads elsewhere; it works
//! without JavaScript.

mod assets;
mod audit;
mod certificate_forms;
mod certificates;
mod clients;
mod configuration;
mod diff;
mod domains;
mod ends;
mod error;
mod explain;
mod extract;
mod frame;
mod global;
mod guard;
mod headers;
mod link;
mod live;
mod login;
mod moment;
mod nearest;
mod numbers;
mod overview;
mod pages;
mod paste;
mod plot;
mod resources;
mod session;
mod site_form;
mod visit;
mod words;

use std::sync::Arc;

use axum::{Extension, Router, middleware};

pub use pages::PageRoute;
pub use session::{MAX_SESSIONS, Notice, Secret, Sessions};

use crate::api::{App, router};
use pages::Pages;

/// All pages.
fn pages() -> Pages {
    Pages::default()
        .merge(overview::pages())
        .merge(live::pages())
        .merge(clients::pages())
        .merge(paste::pages())
        .merge(resources::pages())
        .merge(domains::pages())
        .merge(certificates::pages())
        .merge(certificate_forms::pages())
        .merge(configuration::pages())
        .merge(global::pages())
        .merge(audit::pages())
        .merge(login::pages())
        .merge(assets::pages())
}

/// Every route of a page, and the role that it needs.
pub fn list() -> Vec<PageRoute> {
    pages().list
}

/// The pages, and the API beside them: [`router`].
pub fn site(app: Arc<App>) -> Router {
    router(app, routes()).layer(middleware::from_fn(error::as_page))
}

fn routes() -> Router<Arc<App>> {
    let sessions = Arc::new(Sessions::default());
    let router = pages().router;
    router.layer(Extension(sessions)).layer(middleware::from_fn(headers::protect))
}
