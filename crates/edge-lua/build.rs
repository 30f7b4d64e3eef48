//! Linker settings of the module.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // HAProxy closes its Lua states, and with them this library, at exit. The native converters and the
    // destructors of thread-local readers must stay mapped until the process is gone.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // A missing symbol must stop the load at start, not a request later on.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,now");
}
