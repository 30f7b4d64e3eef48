//! The ways in which the module can live inside HAProxy.

/// How HAProxy loads the module, and how it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// `lua-load-per-thread` rather than `lua-load`.
    pub per_thread: bool,
    /// Native converters rather than Lua ones: `EDGE_NATIVE`.
    pub native: bool,
    /// `-W`: a worker that, started by root, lives in a chroot as the user `haproxy` and can make no thread.
    pub master_worker: bool,
}

impl Mode {
    /// As shipped: `lua-load-per-thread`, native, one process.
    pub const DEFAULT: Self = Self { per_thread: true, native: true, master_worker: false };
    /// As shipped, under a master process, without rights.
    pub const WORKER: Self = Self { master_worker: true, ..Self::DEFAULT };
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
