//! Style, script and icon: in the program itself.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::pages::Pages;
use super::session::hex;

/// As long as browsers keep anything: other contents have another name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// For what has a fixed name.
const A_DAY: &str = "public, max-age=86400";

/// A file that pages name.
#[derive(Debug)]
pub(super) struct Asset {
    path: String,
    kind: &'static str,
    contents: &'static str,
}

/// How everything looks.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page", "css", "text/css; charset=utf-8", include_str!("../../templates/web/page.css"))
});

/// What is only comfort.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("../../templates/web/page.js"))
});

static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", "image/svg+xml", include_str!("../../templates/web/icon.svg"))
});

impl Asset {
    fn new(name: &str, extension: &str, kind: &'static str, contents: &'static str) -> Self {
        let hash = hex(&Sha256::digest(contents)[..8]);
        Self { path: format!("/assets/{name}.{hash}.{extension}"), kind, contents }
    }

    /// Where it is, by its contents.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

pub(super) fn pages() -> Pages {
    Pages::default().public(&[Method::GET], "/assets/{name}", get(asset)).public(
        &[Method::GET],
        "/favicon.ico",
        get(icon),
    )
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let all = [&STYLE, &SCRIPT, &ICON];
    let found = all.into_iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&name));
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |asset| sent(asset, FOR_EVER, &headers))
}

async fn icon(headers: HeaderMap) -> Response {
    sent(&ICON, A_DAY, &headers)
}

fn sent(asset: &Asset, keep: &str, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", asset.path);
    let head = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, keep), (header::ETAG, &tag)];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, asset.contents).into_response()
}
