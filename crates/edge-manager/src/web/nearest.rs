//! Which page a form stands on.

use std::collections::HashSet;
use std::sync::LazyLock;

use axum::http::Method;

/// Paths of pages to look at.
static SEEN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let pages = super::list().into_iter().filter(|page| page.method == Method::GET && page.role.is_some());
    pages.map(|page| page.path).collect()
});

/// The page at this path, or else at the nearest path above it: forms post to paths below those of their pages.
pub(super) fn nearest(path: &str) -> &str {
    let mut path = path;
    while !SEEN.contains(path) {
        match path.rfind('/') {
            Some(end) if end > 0 => path = &path[..end],
            _ => return "/",
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_leads_back_to_a_page() {
        for (path, page) in [
            ("/clients/add", "/clients"),
            ("/clients/paste/make", "/clients/paste"),
            ("/configuration/template/look", "/configuration/template"),
            ("/domains", "/domains"),
            ("/logout", "/"),
            ("/", "/"),
            ("", "/"),
            ("clients", "/"),
        ] {
            assert_eq!(nearest(path), page, "{path}");
        }
    }
}
