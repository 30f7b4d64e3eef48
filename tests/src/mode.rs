//! The ways in which the module can live inside HAProxy.

/// How HAProxy loads the module, and how it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// `lua-load-per-thread` rather than `lua-load`.
    pub per_thread: bool,
    /// `EDGE_NATIVE`: native converters rather than Lua ones, where HAProxy is of a tried series.
    pub native: bool,
    /// `-W`: a worker that, started by root, lives in a chroot as the user `haproxy` and can make no thread.
    pub master_worker: bool,
}

impl Mode {
    /// As shipped: `lua-load-per-thread`, native, one process.
    pub const DEFAULT: Self = Self { per_thread: true, native: true, master_worker: false };
    /// As shipped, under a master process, without rights.
    pub const WORKER: Self = Self { master_worker: true, ..Self::DEFAULT };

    /// Whether the converters must be native ones. They must on every HAProxy that the tests run on, or the module's
    /// list of tried series lacks one; but for the one that stands for an untried series (`EDGE_UNTRIED`).
    pub fn runs_native(self) -> bool {
        self.native && std::env::var_os("EDGE_UNTRIED").is_none()
    }
}

/// Makes a test of each function, in every mode: `paths::dots_are_removed::shared_state_lua`.
#[macro_export]
macro_rules! in_every_mode {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use $crate::Mode;

            #[test]
            fn per_thread_native() {
                super::$behaviour(Mode::DEFAULT);
            }

            #[test]
            fn per_thread_lua() {
                super::$behaviour(Mode { native: false, ..Mode::DEFAULT });
            }

            #[test]
            fn shared_state_native() {
                super::$behaviour(Mode { per_thread: false, ..Mode::DEFAULT });
            }

            #[test]
            fn shared_state_lua() {
                super::$behaviour(Mode { per_thread: false, native: false, ..Mode::DEFAULT });
            }

            #[test]
            fn unprivileged_worker() {
                super::$behaviour(Mode::WORKER);
            }
        }
    )+};
}
