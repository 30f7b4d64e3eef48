//! The native converters `lua.edge_ip` and `lua.edge_resource`: HAProxy calls them without Lua.

use std::ffi::{c_int, c_void};
use std::net::IpAddr;

use crate::abi::{Haproxy, Sample, Types, Unsupported, Value};
use crate::{engine, guard};

/// What HAProxy takes for "no sample", and for a sample.
const NO_SAMPLE: c_int = 0;
const SAMPLE: c_int = 1;

/// Makes the converters HAProxy's own, for the sections of its configuration that are parsed from now on.
///
/// # Safety
/// Once per process, and as for [`Haproxy::register`]: while HAProxy reads its configuration.
///
/// # Errors
/// Why they have to be Lua's; nothing was registered then.
pub(crate) unsafe fn register(wanted: bool) -> Result<Types, Unsupported> {
    if !wanted {
        return Err(Unsupported::SwitchedOff);
    }
    let haproxy = Haproxy::of_this_process()?;
    // SAFETY: both entries read no more of a sample than its type says, and the library is linked with
    // `-z nodelete`; the moment is the caller's to choose.
    unsafe {
        haproxy.register(c"lua.edge_ip", haproxy.types.address, edge_ip);
        haproxy.register(c"lua.edge_resource", haproxy.types.text, edge_resource);
    }
    Ok(haproxy.types)
}

fn types() -> Option<&'static Types> {
    engine::get()?.native.as_ref().ok()
}

/// The sample becomes this verdict.
fn answer(sample: &mut Sample, types: &Types, verdict: Option<i16>) -> c_int {
    let Some(code) = verdict else { return NO_SAMPLE };
    sample.kind = types.integer;
    sample.value = Value { integer: i64::from(code) };
    SAMPLE
}

/// `process` of `lua.edge_ip`: an address becomes a verdict.
unsafe extern "C" fn edge_ip(_arguments: *const c_void, sample: *mut Sample, _private: *mut c_void) -> c_int {
    // SAFETY: HAProxy passes its own sample, which nothing else uses during the call.
    let Some(sample) = (unsafe { sample.as_mut() }) else { return NO_SAMPLE };
    guard::catch(|| {
        let types = types()?;
        let addr = address(sample, types)?;
        Some(answer(sample, types, engine::address_code(addr)))
    })
    .unwrap_or(NO_SAMPLE)
}

fn address(sample: &Sample, types: &Types) -> Option<IpAddr> {
    match sample.kind {
        // SAFETY: `kind` names the member of the union in use.
        kind if kind == types.ipv4 => Some(IpAddr::from(unsafe { sample.value.ipv4 })),
        // SAFETY: as above.
        kind if kind == types.ipv6 => Some(IpAddr::from(unsafe { sample.value.ipv6 })),
        _ => None,
    }
}

/// `process` of `lua.edge_resource`: HAProxy's `base` (Host header and path) becomes a verdict.
unsafe extern "C" fn edge_resource(
    _args: *const c_void,
    sample: *mut Sample,
    _private: *mut c_void,
) -> c_int {
    // SAFETY: HAProxy passes its own sample, which nothing else uses during the call.
    let Some(sample) = (unsafe { sample.as_mut() }) else { return NO_SAMPLE };
    guard::catch(|| {
        let types = types()?;
        // SAFETY: HAProxy keeps the text in place until the sample is replaced, which is after this use.
        let base = unsafe { text(sample, types) }?;
        let code = engine::resource_code(base);
        Some(answer(sample, types, code))
    })
    .unwrap_or(NO_SAMPLE)
}

/// # Safety
/// The text is only valid while the sample holds it; the lifetime is the caller's to keep.
unsafe fn text<'a>(sample: &Sample, types: &Types) -> Option<&'a [u8]> {
    if sample.kind != types.text {
        return None;
    }
    // SAFETY: `kind` says that the union holds a buffer.
    let buffer = unsafe { sample.value.text };
    match buffer.data {
        0 => Some(b""),
        _ if buffer.area.is_null() => None,
        // SAFETY: HAProxy's buffers hold `data` bytes at `area`, the head being 0 for samples (sample-t.h).
        bytes => Some(unsafe { std::slice::from_raw_parts(buffer.area, bytes) }),
    }
}
