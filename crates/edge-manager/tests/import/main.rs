//! `edge-manager import`, `export`, `domain` and `site`, as they are run, without a HAProxy to obey.

mod cfg;
mod flask;
mod home;
mod lists;
mod serve;
mod site;
