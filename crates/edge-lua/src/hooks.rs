//! The hot hooks as raw Lua functions: no mlua in between, no allocation, and never a Lua error.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use crate::{engine, guard};

/// `edge_ip(text) -> integer`: the verdict on a client address; 0 for what is no address.
pub(crate) unsafe extern "C-unwind" fn edge_ip(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with its own state; `answer` keeps the text no longer than the call.
    unsafe { answer(state, |text| engine::address_code(engine::parse_address(text)?)) }
}

/// `edge_resource(base) -> integer`: the verdict on HAProxy's `base`, Host header and path.
pub(crate) unsafe extern "C-unwind" fn edge_resource(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { answer(state, engine::resource_code) }
}

/// Pushes what `verdict` says of the first argument, 0 when that is no string.
///
/// # Safety
/// `state` is a Lua state in a call of a C function.
unsafe fn answer(state: *mut lua_State, verdict: impl FnOnce(&[u8]) -> Option<i16>) -> c_int {
    // SAFETY: `lua_tolstring` converts nothing, since the argument is a string already; the bytes stay in
    // place while the argument is on the stack. One slot is free: a C function has LUA_MINSTACK of them.
    unsafe {
        let mut code = 0;
        if ffi::lua_type(state, 1) == ffi::LUA_TSTRING {
            let mut bytes = 0;
            let text = ffi::lua_tolstring(state, 1, &raw mut bytes);
            let text = std::slice::from_raw_parts(text.cast::<u8>(), bytes);
            code = guard::catch(|| verdict(text)).unwrap_or(0);
        }
        ffi::lua_pushinteger(state, code.into());
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the hook gives for an argument that `push` puts on the stack, or for none.
    fn call(hook: ffi::lua_CFunction, push: Option<&dyn Fn(*mut lua_State)>) -> Option<i64> {
        // SAFETY: a state of its own, on which at most three values are pushed, closed before returning.
        unsafe {
            let state = ffi::luaL_newstate();
            ffi::lua_pushcfunction(state, hook);
            if let Some(push) = push {
                push(state);
            }
            let arguments = c_int::from(push.is_some());
            let integer = (ffi::lua_pcall(state, arguments, 1, 0) == ffi::LUA_OK
                && ffi::lua_isinteger(state, -1) != 0)
                .then(|| ffi::lua_tointeger(state, -1));
            ffi::lua_close(state);
            integer
        }
    }

    #[test]
    fn any_argument_gives_an_integer_and_no_error() {
        for hook in [edge_ip as ffi::lua_CFunction, edge_resource] {
            assert_eq!(call(hook, None), Some(0));
            // SAFETY: `call` leaves room for one value.
            let pushes: [&dyn Fn(*mut lua_State); 5] = unsafe {
                [
                    &|state| ffi::lua_pushnil(state),
                    &|state| ffi::lua_pushnumber(state, 1.5),
                    &|state| ffi::lua_pushboolean(state, 1),
                    &|state| ffi::lua_newtable(state),
                    &|state| _ = ffi::lua_pushlstring(state, b"\xff\0/..".as_ptr().cast(), 5),
                ]
            };
            for push in pushes {
                assert_eq!(call(hook, Some(push)), Some(0));
            }
        }
    }
}
