//! The file of the module, as the dynamic linker sees it.

use std::process::Command;

use edge_e2e::module_dir;

/// The C library of Debian 12, the oldest that the module is built for.
const OLDEST_GLIBC: (u32, u32) = (2, 36);

/// What a binutils program says of the module.
fn said(program: &str, options: &[&str]) -> String {
    let output = Command::new(program).args(options).arg(module_dir().join("edge_filter.so")).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text")
}

/// The lines of the dynamic section with this tag, such as `(NEEDED)`.
fn dynamic(tag: &str) -> Vec<String> {
    let section = said("readelf", &["--dynamic", "--wide"]);
    section.lines().filter(|line| line.contains(tag)).map(str::to_owned).collect()
}

/// Anything else could stand in for a function of HAProxy or its libraries.
#[test]
fn only_the_entry_for_lua_is_exported() {
    let symbols = said("nm", &["--dynamic", "--defined-only", "--format=just-symbols"]);
    assert_eq!(symbols.lines().collect::<Vec<_>>(), ["luaopen_edge_filter"]);
}

/// HAProxy closes the module with its Lua states, while native converters and thread-local readers still live.
#[test]
fn the_module_stays_mapped_and_is_bound_at_once() {
    let flags = dynamic("(FLAGS_1)").concat();
    assert!(flags.contains("NODELETE") && flags.contains("NOW"), "{flags}");
}

/// From 2.7 on HAProxy warns of libraries that bring another OpenSSL along.
#[test]
fn nothing_but_the_c_library_is_linked() {
    let needed = dynamic("(NEEDED)");
    assert!(!needed.is_empty());
    for line in needed {
        let name = line.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']')).unwrap_or(&line);
        let known =
            ["libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux"].iter().any(|part| name.starts_with(part));
        assert!(known, "{name}");
    }
}

#[test]
fn the_c_library_of_debian_12_is_new_enough() {
    let versions = said("readelf", &["--version-info", "--wide"]);
    let words = versions.split_whitespace().filter_map(|word| word.strip_prefix("GLIBC_"));
    let wanted: Vec<(u32, u32)> = words
        .map(|version| {
            let mut numbers = version.split('.').map(|part| part.parse().expect("a number"));
            (numbers.next().expect("a major number"), numbers.next().unwrap_or(0))
        })
        .collect();
    assert!(!wanted.is_empty());
    assert!(wanted.iter().all(|version| *version <= OLDEST_GLIBC), "{versions}");
}
