//! Whether this processor runs the code of the module.

/// The bits of CPUID leaf 1, register ECX, that x86-64-v2 adds: SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT.
#[cfg(target_arch = "x86_64")]
const V2: u32 = 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23;

/// # Errors
/// One line for the operator: the processor lacks what the module was compiled for.
pub(crate) fn check() -> Result<(), String> {
    // `is_x86_feature_detected!` believes the compiler where a feature is compiled for.
    #[cfg(all(target_arch = "x86_64", target_feature = "popcnt"))]
    if std::arch::x86_64::__cpuid(1).ecx & V2 != V2 {
        return Err("this processor is older than x86-64-v2 (2009), for which the module is built".to_owned());
    }
    Ok(())
}
