//! The table of functions that `edge_filter.lua` gets. Arguments of the wrong type are taken for absent ones:
//! an error would be an alert of HAProxy for each request. For a text that a panic kept from being made, nil comes
//! back.

use std::ops::Deref;

use edge_filter::{Reader, Request, split_base};
use mlua::BorrowedBytes;
use mlua::prelude::*;

use crate::engine::{self, Engine};
use crate::learn::Heard;
use crate::rules::RuleCursor;
use crate::{clock, explain, guard, hooks, metrics, status, upkeep};

/// Runs once per Lua state. The first run in a process reads the settings and the lists.
///
/// # Errors
/// Lua is out of memory. What the operator did wrong is the field `failure`, a text.
pub(crate) fn open(lua: &Lua) -> LuaResult<LuaTable> {
    guard::keep_panic_messages();
    let module = lua.create_table()?;
    match engine::start() {
        Ok(engine) => add_functions(lua, &module, engine)?,
        Err(failure) => module.set("failure", failure)?,
    }
    Ok(module)
}

fn add_functions(lua: &Lua, module: &LuaTable, engine: &'static Engine) -> LuaResult<()> {
    // SAFETY: both follow the contract of a C function and raise no Lua error.
    unsafe {
        module.set("edge_ip", lua.create_c_function(hooks::edge_ip)?)?;
        module.set("edge_resource", lua.create_c_function(hooks::edge_resource)?)?;
    }
    module.set("check", lua.create_function(check)?)?;
    module.set("learn", lua.create_function(|_, heard: LuaValue| Ok(learn(engine, &heard)))?)?;
    module.set("metrics", lua.create_function(|_, ()| Ok(guard::catch(|| Some(metrics::page(engine)))))?)?;
    module.set("status", lua.create_function(|_, ()| Ok(guard::catch(|| Some(status::json(engine)))))?)?;
    module.set(
        "explain",
        lua.create_function(|_, what: Text| Ok(guard::catch(|| Some(explain::explain(&what)))))?,
    )?;
    let rules = |_: &Lua, kind: Text| Ok(RuleCursor::new(&kind, &engine.filter));
    module.set("rules", lua.create_function(rules)?)?;
    module.set("sync", lua.create_function(|_, ()| Ok(guard::catch(|| Some(upkeep::sync(engine)))))?)?;
    let tick = |_: &Lua, is_first: LuaValue| {
        let turn = upkeep::tick(engine, truthy(&is_first));
        Ok((turn.lines, turn.is_cut))
    };
    module.set("tick", lua.create_function(tick)?)?;
    module.set("warnings", lua.create_function(|_, ()| Ok(engine.take_warnings()))?)?;
    module.set("native", lua.create_function(|_, ()| Ok(engine.native.is_ok()))?)?;
    let cookies = |_: &Lua, ()| Ok(engine.settings.session_cookies.clone());
    module.set("session_cookies", lua.create_function(cookies)?)?;
    module.set("version", lua.create_function(|_, ()| Ok(env!("CARGO_PKG_VERSION")))?)
}

/// `check(base, query, method, anonymous, client, client_is_judged)`: the verdict, and of the rule that decided its
/// name and its reason.
fn check(
    _: &Lua,
    (base, query, method, anonymous, client, client_is_judged): (Text, Text, Text, LuaValue, Text, LuaValue),
) -> LuaResult<(i16, Option<String>, Option<String>)> {
    let (host, path) = split_base(&base);
    let client = engine::parse_address(&client);
    let anonymous = truthy(&anonymous);
    let request = Request { host, path, query: &query, method: &method, anonymous, client };
    let decide = |reader: &mut Reader<'_>| {
        let now_s = clock::now_s();
        if truthy(&client_is_judged) {
            reader.check_resource(&request, now_s)
        } else {
            reader.check(&request, now_s)
        }
    };
    let decision = guard::catch(|| engine::with_reader(decide));
    let Some(decision) = decision else { return Ok((0, None, None)) };
    let rule = decision.rule.as_ref();
    let name = rule.map(|rule| rule.target.to_string());
    Ok((decision.verdict.code(), name, rule.map(|rule| rule.reason.to_string())))
}

/// `learn{...}` with the fields of [`Heard`]: a line for the log, if one is due.
fn learn(engine: &Engine, heard: &LuaValue) -> Option<String> {
    let heard = heard.as_table()?;
    let text = |field: &str| heard.raw_get::<Text>(field).unwrap_or_default();
    let number = |field: &str| heard.raw_get::<Option<u16>>(field).ok().flatten().unwrap_or(0);
    let (base, method) = (text("base"), text("method"));
    let heard = Heard {
        header: &text("header"),
        header_count: number("header_count").into(),
        base: base.0.as_deref(),
        method: method.0.as_deref(),
        query: &text("query"),
        is_partial: heard.raw_get::<LuaValue>("is_partial").is_ok_and(|value| truthy(&value)),
        client: &text("client"),
        status: number("status"),
        backend: &text("backend"),
        server: &text("server"),
        unique_id: &text("unique_id"),
    };
    let now_us = clock::learning_now_us();
    guard::catch(|| engine.school.hear(&heard, &engine.filter, engine.state.as_ref(), now_us))
}

/// The bytes of a string argument; whatever else came counts as none.
#[derive(Default)]
struct Text(Option<BorrowedBytes>);

impl FromLua for Text {
    fn from_lua(value: LuaValue, _: &Lua) -> LuaResult<Self> {
        Ok(Self(value.as_string().map(LuaString::as_bytes)))
    }
}

impl Deref for Text {
    type Target = [u8];

    /// Empty for none.
    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

fn truthy(value: &LuaValue) -> bool {
    value.as_boolean().unwrap_or(false)
}
