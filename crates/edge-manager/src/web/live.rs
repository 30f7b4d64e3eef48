//! What happens, for pages that are open.

use super::pages::Pages;
use crate::api::listen;

/// The events of `/api/events`, for whoever is logged in at the page.
pub(super) fn pages() -> Pages {
    Pages::default().see("/events", listen)
}
