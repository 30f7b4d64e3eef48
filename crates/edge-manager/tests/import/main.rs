//! `edge-manager import` and `export`, as they are run, without a HAProxy to obey.

mod cfg;
mod flask;
mod home;
mod lists;
