//! `edge_filter.so`: the filter inside HAProxy, as a Lua module and as native converters.
//!
//! HAProxy loads it once per Lua state; everything behind it exists once per process ([`engine`]). Nothing in
//! here may panic through to HAProxy, block, start a thread, or write to stdout.

mod abi;
mod clock;
mod cpu;
mod engine;
mod explain;
mod exposition;
mod guard;
#[cfg(test)]
mod heap;
mod hooks;
mod large_pages;
mod learn;
mod lists;
mod metrics;
mod module;
mod native;
mod own_address;
mod rules;
mod settings;
mod state;
mod status;
mod upkeep;

use mlua::prelude::*;

#[cfg(not(any(feature = "lua53", feature = "lua54")))]
compile_error!("choose HAProxy's Lua: --features lua53 or --features lua54");
#[cfg(all(feature = "lua53", feature = "lua54"))]
compile_error!("lua53 and lua54 exclude each other: build once for each");

/// `luaopen_edge_filter`, the only symbol that the library exports.
#[mlua::lua_module(name = "edge_filter")]
fn open(lua: &Lua) -> LuaResult<LuaTable> {
    module::open(lua)
}

// HAProxy brings Lua along; the program that runs the unit tests has to.
#[cfg(all(test, feature = "lua53"))]
#[link(name = "liblua5.3.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {}
#[cfg(all(test, feature = "lua54"))]
#[link(name = "liblua5.4.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {}
