//! What the benches share: lists to fill tables with, addresses to ask for, the tables that ours stands beside,
//! and a count of the bytes that each takes.

pub mod allocated;
pub mod lists;
pub mod tables;
