//! HAProxy's sample converters as its C compiler lays them out, and the checks that the running HAProxy is
//! one for which that is known.
//!
//! Sources: `include/haproxy/sample-t.h`, `include/haproxy/buf-t.h`, `src/sample.c`. The layouts were the same
//! from 2.4 to 3.5-dev on LP64; what differs between versions (the numbers of the types) is read from the
//! process itself.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// The HAProxy series that `make test-matrix` tries this on, and no other: those of Debian 12, 13 and sid. Its tests fail
/// where one of these gets Lua converters.
const TRIED_SERIES: [(u16, u16); 3] = [(2, 6), (3, 0), (3, 2)];

/// First series with the type "same" in `smp_to_type`, and so with one name more in it.
const SERIES_WITH_SAME: (u16, u16) = (2, 9);

/// `struct sample`, as much of it as a converter may touch.
#[repr(C)]
pub(crate) struct Sample {
    /// `SMP_F_*`: not ours to change.
    flags: u32,
    _pad: u32,
    /// Index into `smp_to_type`.
    pub(crate) kind: c_int,
    _pad_value: u32,
    pub(crate) value: Value,
}

/// `union smp_value`, the members in use here.
#[repr(C)]
pub(crate) union Value {
    pub(crate) integer: i64,
    /// Network byte order.
    pub(crate) ipv4: [u8; 4],
    pub(crate) ipv6: [u8; 16],
    pub(crate) text: Buffer,
}

/// `struct buffer` of a text sample: `head` is 0 there.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Buffer {
    size: usize,
    pub(crate) area: *const u8,
    /// Bytes in use.
    pub(crate) data: usize,
    head: usize,
}

/// `process` of `struct sample_conv`: arguments, sample, private; 1, or 0 for "no sample".
pub(crate) type Process = unsafe extern "C" fn(*const c_void, *mut Sample, *mut c_void) -> c_int;

/// `struct sample_conv`, the fields up to 3.3; 3.4 appends one.
#[repr(C)]
struct Converter {
    keyword: *const c_char,
    process: Option<Process>,
    /// 0: takes no arguments. `struct arg` changed its size between versions.
    arg_mask: u64,
    check_arguments: *const c_void,
    in_type: u32,
    out_type: u32,
    private: *mut c_void,
}

/// `struct sample_conv_kw_list` with one keyword. HAProxy reads on until a null keyword, so zero bytes follow,
/// enough for an end marker at either stride.
#[repr(C, align(16))]
struct KeywordList {
    next: *mut c_void,
    previous: *mut c_void,
    converter: Converter,
    end: [u8; 256],
}

const _: () = {
    assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));
    assert!(std::mem::offset_of!(Sample, kind) == 8);
    assert!(std::mem::offset_of!(Sample, value) == 16);
    assert!(std::mem::offset_of!(Buffer, area) == 8 && std::mem::offset_of!(Buffer, data) == 16);
    assert!(std::mem::offset_of!(Converter, in_type) == 32 && std::mem::offset_of!(Converter, private) == 40);
    assert!(size_of::<Converter>() == 48);
    assert!(std::mem::offset_of!(KeywordList, converter) == 16);
};

/// The numbers that the running HAProxy gives to the sample types in use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types {
    pub(crate) integer: c_int,
    pub(crate) address: c_int,
    pub(crate) ipv4: c_int,
    pub(crate) ipv6: c_int,
    pub(crate) text: c_int,
}

impl Types {
    /// `None` unless every type is named.
    fn from_names<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let names: Vec<&[u8]> = names.into_iter().collect();
        let number =
            |name: &[u8]| names.iter().position(|n| *n == name).and_then(|n| c_int::try_from(n).ok());
        Some(Self {
            integer: number(b"sint")?,
            address: number(b"addr")?,
            ipv4: number(b"ipv4")?,
            ipv6: number(b"ipv6")?,
            text: number(b"str")?,
        })
    }
}

/// A running HAProxy whose layouts are known.
pub(crate) struct Haproxy {
    pub(crate) types: Types,
    register: unsafe extern "C" fn(*mut KeywordList),
}

/// Why the native converters are not in use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsupported {
    #[error("EDGE_NATIVE is off")]
    SwitchedOff,
    #[error("the processor is neither x86-64 nor aarch64")]
    Processor,
    #[error("the process does not export {0}")]
    Symbol(&'static str),
    #[error("HAProxy {0} is not of a series that native ones were tried on: {tried}", tried = tried_series())]
    Version(String),
    #[error("HAProxy does not name its sample types as expected")]
    TypeNames,
}

impl Haproxy {
    /// The HAProxy that this library is loaded in.
    ///
    /// # Errors
    /// What is missing or unknown; nothing was changed then.
    pub(crate) fn of_this_process() -> Result<Self, Unsupported> {
        if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            return Err(Unsupported::Processor);
        }
        let version = symbol(c"haproxy_version", "haproxy_version")?;
        let names = symbol(c"smp_to_type", "smp_to_type")?;
        let register = symbol(c"sample_register_convs", "sample_register_convs")?;
        // SAFETY: `char haproxy_version[]` (src/version.c) is an array, terminated and never written to.
        let version = unsafe { CStr::from_ptr(version.as_ptr().cast()) }.to_string_lossy();
        let series = series(&version)
            .filter(|s| TRIED_SERIES.contains(s))
            .ok_or_else(|| Unsupported::Version(version.chars().take(64).collect()))?;
        let count = if series < SERIES_WITH_SAME { 9 } else { 10 };
        // SAFETY: `const char *smp_to_type[SMP_TYPES]` (src/sample.c) has `count` entries in the tried series.
        let names = unsafe { std::slice::from_raw_parts(names.as_ptr().cast::<*const c_char>(), count) };
        let names = names.iter().map(|&name| match name.is_null() {
            true => b"".as_slice(),
            // SAFETY: each entry is null or a string literal of HAProxy.
            false => unsafe { CStr::from_ptr(name) }.to_bytes(),
        });
        let types = Types::from_names(names).ok_or(Unsupported::TypeNames)?;
        // SAFETY: `void sample_register_convs(struct sample_conv_kw_list *)` (src/sample.c) since 1.5.
        let register = unsafe {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut KeywordList)>(register.as_ptr())
        };
        Ok(Self { types, register })
    }

    /// Makes `keyword` a converter from `in_type` to an integer, for the sections parsed from now on.
    ///
    /// # Safety
    /// Call while HAProxy reads its configuration, on its only thread. `process` must follow the contract of
    /// [`Process`] for samples of `in_type`, and stay mapped for ever.
    pub(crate) unsafe fn register(&self, keyword: &'static CStr, in_type: c_int, process: Process) {
        let list = Box::leak(Box::new(KeywordList {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            converter: Converter {
                keyword: keyword.as_ptr(),
                process: Some(process),
                arg_mask: 0,
                check_arguments: ptr::null(),
                in_type: in_type.cast_unsigned(),
                out_type: self.types.integer.cast_unsigned(),
                private: ptr::null_mut(),
            },
            end: [0; 256],
        }));
        // SAFETY: HAProxy links the list into its own; it is leaked, so it lives as long as the process, and
        // nothing here touches it again. The caller vouches for the moment.
        unsafe { (self.register)(list) };
    }
}

fn symbol(name: &CStr, label: &'static str) -> Result<ptr::NonNull<c_void>, Unsupported> {
    // SAFETY: `name` is terminated; looking a symbol up changes nothing.
    ptr::NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
        .ok_or(Unsupported::Symbol(label))
}

fn tried_series() -> String {
    TRIED_SERIES.map(|(major, minor)| format!("{major}.{minor}")).join(", ")
}

/// `2.6.12-1+deb12u4` is of the series 2.6. A development version such as `3.5-dev5` is of none: its layouts
/// may still move.
fn series(version: &str) -> Option<(u16, u16)> {
    let mut parts = version.splitn(3, '.');
    let series = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.starts_with(|c: char| c.is_ascii_digit()).then_some(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_a_series_and_development_versions_have_none() {
        assert_eq!(series("2.6.12-1+deb12u4"), Some((2, 6)));
        assert_eq!(series("3.0.11-1+deb13u2"), Some((3, 0)));
        assert_eq!(series("3.2.26"), Some((3, 2)));
        for unknown in ["", "3", "3.2", "3.5-dev5", "3.2.x", "2.6-rc.1", "3.99999999.1", "-2.6.1"] {
            assert_eq!(series(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn an_untried_version_and_the_tried_ones_are_named() {
        let words = Unsupported::Version("9.9.9".to_owned()).to_string();
        assert_eq!(words, "HAProxy 9.9.9 is not of a series that native ones were tried on: 2.6, 3.0, 3.2");
    }

    #[test]
    fn types_are_numbered_by_their_names() {
        let old: [&[u8]; 9] = [b"any", b"bool", b"sint", b"addr", b"ipv4", b"ipv6", b"str", b"bin", b"meth"];
        let types = Types::from_names(old);
        assert_eq!(types, Some(Types { integer: 2, address: 3, ipv4: 4, ipv6: 5, text: 6 }));
        let new = Types::from_names([&[b"any".as_slice(), b"same"], &old[1..]].concat());
        assert_eq!(new, Some(Types { integer: 3, address: 4, ipv4: 5, ipv6: 6, text: 7 }));
        assert_eq!(Types::from_names(old[..5].iter().copied()), None, "no ipv6, no str");
    }

    #[test]
    fn a_process_that_is_not_haproxy_is_recognised() {
        let refused = Haproxy::of_this_process().err();
        assert_eq!(refused, Some(Unsupported::Symbol("haproxy_version")));
    }
}
