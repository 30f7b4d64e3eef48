//! The sites that the tests render.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use edge_manager::render::{Rendered, Templates, Version};
use edge_manager::site::{Site, SiteInput};
use serde_json::Value;

pub(crate) const NAMES: [&str; 3] = ["minimal", "shop", "everything"];

/// Directory of the test's own files.
pub(crate) fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render").join(name)
}

/// The input of a site, as a client would send it.
pub(crate) fn json(name: &str) -> Value {
    let path = directory("sites").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn input(json: Value) -> SiteInput {
    serde_json::from_value(json).unwrap()
}

pub(crate) fn site(name: &str) -> Site {
    Site::parse(&input(json(name))).unwrap()
}

/// The built-in templates and the one that a domain of `everything` names.
pub(crate) fn templates() -> &'static Templates {
    static TEMPLATES: LazyLock<Templates> =
        LazyLock::new(|| Templates::with_overrides(&directory("templates")).unwrap());
    &TEMPLATES
}

pub(crate) fn version(series: &str) -> Version {
    Version::from_banner(&format!("HAProxy version {series}.0")).unwrap()
}

pub(crate) fn rendered(site: &Site) -> Rendered {
    templates().render(site, version("3.2")).unwrap()
}
