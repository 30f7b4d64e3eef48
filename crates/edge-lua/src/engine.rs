//! The one filter of the process: every Lua state and every thread of HAProxy uses it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock};

use edge_filter::{Authorities, Filter, Reader, Scratch};

use crate::abi::{Types, Unsupported};
use crate::clock::{Clocks, Keeper};
use crate::large_pages::Heap;
use crate::learn::School;
use crate::lists::{self, ListFile, Lists};
use crate::settings::ModuleSettings;
use crate::state::State;
use crate::upkeep::Upkeep;
use crate::{clock, cpu, native, own_address};

/// Everything that lives as long as the process.
pub(crate) struct Engine {
    pub(crate) filter: Filter,
    pub(crate) settings: ModuleSettings,
    /// The list files that were read.
    pub(crate) files: Vec<ListFile>,
    pub(crate) school: School,
    /// What outlives the process, where a directory for it is set.
    pub(crate) state: Option<State>,
    pub(crate) upkeep: Upkeep,
    pub(crate) clock: Keeper,
    /// Malloc's, where the tables are.
    pub(crate) heap: Option<Heap>,
    /// HAProxy's type numbers for the native converters, or why the converters are Lua's.
    pub(crate) native: Result<Types, Unsupported>,
    warnings: Mutex<Vec<String>>,
}

static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();

/// The engine; the first call in the process builds it from the environment and the files named there.
///
/// # Errors
/// One line that names the setting, and the file, which cannot be used.
pub(crate) fn start() -> Result<&'static Engine, &'static str> {
    ENGINE
        .get_or_init(|| Engine::build(std::env::vars_os(), clock::now_us()))
        .as_ref()
        .map_err(String::as_str)
}

/// The engine, once it was started.
pub(crate) fn get() -> Option<&'static Engine> {
    ENGINE.get()?.as_ref().ok()
}

impl Engine {
    pub(crate) fn build(
        variables: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
        now_us: u64,
    ) -> Result<Self, String> {
        let now_s = u32::try_from(now_us / 1_000_000).unwrap_or(u32::MAX);
        cpu::check()?;
        clock::start();
        let mut settings = ModuleSettings::read(variables).map_err(|e| e.to_string())?;
        let mut authorities = authorities(&settings)?;
        let filter = Filter::new(settings.filter.clone());
        let mut edit = filter.edit(now_s).ok_or("the rules are being changed already")?;
        let lists = Lists::load(&settings, &mut edit).map_err(|e| e.to_string())?;
        drop(edit);
        authorities.never_block(lists.never_learned);
        authorities.ask_for_own(own_address::is_own);
        let mut warnings = std::mem::take(&mut settings.warnings);
        warnings.extend(lists.warnings);
        let state = state(&settings, &lists.files, &filter, now_us, &mut warnings);
        let refused = filter.counters().changes.refused;
        if refused > 0 {
            let max_rules = settings.filter.max_rules;
            warnings.push(format!("EDGE_MAX_RULES is {max_rules}: {refused} rules of lists had no room"));
        }
        // SAFETY: this runs once per process, when edge_filter.lua first loads the library: in its body, while
        // HAProxy reads its configuration.
        let native = unsafe { native::register(settings.native) };
        if let Err(reason) = &native
            && *reason != Unsupported::SwitchedOff
        {
            warnings.push(format!("the converters run in Lua, which is slower: {reason}"));
        }
        let heap = Heap::find();
        if let Some(heap) = &heap {
            heap.tell(true);
        }
        Ok(Self {
            filter,
            settings,
            files: lists.files,
            school: School::new(authorities),
            state,
            upkeep: Upkeep::default(),
            clock: Keeper::new(Clocks::now()),
            heap,
            native,
            warnings: Mutex::new(warnings),
        })
    }

    /// What the operator should know of settings and lists, once per process.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.try_lock().map(|mut warnings| std::mem::take(&mut *warnings)).unwrap_or_default()
    }

    /// Lines of list files that were skipped.
    pub(crate) fn bad_lines(&self) -> usize {
        self.files.iter().map(|file| file.bad_lines).sum()
    }
}

/// Whatever is wrong with the state directory, HAProxy starts with what could be read of it.
fn state(
    settings: &ModuleSettings,
    lists: &[ListFile],
    filter: &Filter,
    now_us: u64,
    warnings: &mut Vec<String>,
) -> Option<State> {
    let lists = lists.iter().map(|list| list.path.as_str().into()).collect();
    let settings = settings.state()?;
    match State::load(&settings, filter, lists, now_us) {
        Ok((state, lines)) => {
            warnings.extend(lines);
            Some(state)
        }
        Err(e) => {
            let path = settings.dir.display();
            warnings.push(format!("EDGE_STATE_DIR: {path}: {e}: nothing that is learned outlives HAProxy"));
            None
        }
    }
}

fn authorities(settings: &ModuleSettings) -> Result<Authorities, String> {
    let Some(path) = &settings.backend_file else { return Ok(Authorities::default()) };
    let contents = lists::read("EDGE_BACKEND_FILE", path).map_err(|e| e.to_string())?;
    let file = path.display();
    let text = str::from_utf8(&contents).map_err(|e| format!("EDGE_BACKEND_FILE: {file}: {e}"))?;
    Authorities::parse(text).map_err(|e| format!("EDGE_BACKEND_FILE: {file}: {e}"))
}

thread_local! {
    static READER: RefCell<Option<Reader<'static>>> = const { RefCell::new(None) };
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// Lends this thread's reader. `None` while the thread ends, from within another lookup of this thread, or
/// before the engine was started.
pub(crate) fn with_reader<T>(f: impl FnOnce(&mut Reader<'static>) -> T) -> Option<T> {
    with(&READER, || Some(get()?.filter.reader()), f)
}

/// Lends this thread's buffers for learning. `None` as for [`with_reader`].
pub(crate) fn with_scratch<T>(f: impl FnOnce(&mut Scratch) -> T) -> Option<T> {
    with(&SCRATCH, || Some(Scratch::new()), f)
}

fn with<V, T>(
    slot: &'static std::thread::LocalKey<RefCell<Option<V>>>,
    new: impl FnOnce() -> Option<V>,
    f: impl FnOnce(&mut V) -> T,
) -> Option<T> {
    let lend = |slot: &RefCell<Option<V>>| {
        let mut slot = slot.try_borrow_mut().ok()?;
        if slot.is_none() {
            *slot = new();
        }
        slot.as_mut().map(f)
    };
    slot.try_with(lend).ok()?
}

/// The address that HAProxy or Lua gives as text.
pub(crate) fn parse_address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The verdict on a client address, as the integer of haproxy.cfg.
#[inline]
pub(crate) fn address_code(addr: IpAddr) -> Option<i16> {
    with_reader(|reader| reader.address(addr, clock::now_s()).code())
}

/// The verdict on HAProxy's `base`, Host header and path.
pub(crate) fn resource_code(base: &[u8]) -> Option<i16> {
    with_reader(|reader| reader.resource(base, clock::now_s()).code())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;

    /// A directory of list files, removed at the end of the test.
    struct Lists(PathBuf);

    impl Lists {
        fn new(test: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("edge-lua-{}-{test}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn file(&self, name: &str, contents: &str) -> String {
            let path = self.0.join(name);
            std::fs::write(&path, contents).unwrap();
            path.to_str().unwrap().to_owned()
        }
    }

    impl Drop for Lists {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn build(variables: &[(&str, &str)]) -> Result<Engine, String> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Engine::build(variables, 1_000_000_000)
    }

    #[test]
    fn lists_are_in_force_and_their_bad_lines_are_named() {
        let lists = Lists::new("lists");
        let bad = (0..12).map(|n| format!("bad{n}\n")).collect::<String>();
        let block = lists.file("block", &format!("192.0.2.0/24 1\n{bad}"));
        let allow = lists.file("allow", "192.0.2.1\n");
        let resource = lists.file("resource", "/yeet 410\n/map false\n");
        let engine = build(&[
            ("EDGE_BLOCK_FILES", &block),
            ("EDGE_ALLOW_FILES", &allow),
            ("EDGE_RESOURCE_FILES", &resource),
            ("EDGE_DEFAULT_STATUS", "404"),
        ])
        .unwrap();
        let mut reader = engine.filter.reader();
        let mut address = |addr: &str| reader.address(addr.parse().unwrap(), 1000).code();
        assert_eq!([address("192.0.2.9"), address("192.0.2.1"), address("198.51.100.1")], [404, 0, 0]);
        let mut resource = |base: &[u8]| reader.resource(base, 1000).code();
        assert_eq!([resource(b"any/yeet"), resource(b"any/map"), resource(b"any/x")], [410, 404, 0]);

        assert_eq!(engine.bad_lines(), 12);
        let warnings = engine.take_warnings();
        assert!(warnings[0].starts_with(&format!("{block}:2: \"bad0\": not an IPv4 or IPv6 address")));
        assert_eq!(warnings[10], format!("{block}: and 2 more bad lines"));
        // The twelfth: no HAProxy runs these tests.
        assert_eq!(warnings.len(), 12);
        assert!(warnings[11].contains("does not export haproxy_version"));
        assert_eq!(engine.take_warnings(), [""; 0], "said once");
    }

    #[test]
    fn a_file_that_cannot_be_read_stops_the_start() {
        for setting in [
            "EDGE_BLOCK_FILES",
            "EDGE_ALLOW_FILES",
            "EDGE_RESOURCE_FILES",
            "EDGE_NEVER_LEARN_FILES",
            "EDGE_BACKEND_FILE",
        ] {
            let failure = build(&[(setting, "/nowhere/list")]).err().unwrap();
            assert!(failure.starts_with(&format!("{setting}: cannot read \"/nowhere/list\": No such file")));
            let failure = build(&[(setting, "/")]).err().unwrap();
            assert_eq!(failure, format!("{setting}: cannot read \"/\": not a file"));
        }
    }

    #[test]
    fn a_backend_file_must_be_flawless() {
        let lists = Lists::new("backends");
        let backends = lists.file("backends", "a prefix\nb everything\n");
        let failure = build(&[("EDGE_BACKEND_FILE", &backends)]).err().unwrap();
        assert!(failure.starts_with(&format!("EDGE_BACKEND_FILE: {backends}: line 2: \"everything\"")));
    }

    #[test]
    fn a_bad_setting_stops_the_start() {
        let failure = build(&[("EDGE_MAX_TTL", "never")]).err().unwrap();
        assert!(failure.starts_with("EDGE_MAX_TTL is \"never\":"));
    }
}
