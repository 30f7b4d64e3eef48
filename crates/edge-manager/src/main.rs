//! The command line of Edge Filter's companion.
fn main() {}
