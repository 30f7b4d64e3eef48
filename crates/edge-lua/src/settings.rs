//! The settings of the module: environment variables, `setenv` in the `global` section of haproxy.cfg.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use edge_filter::{ParameterSegments, Settings, Status};

use crate::state::StateSettings;

/// Session cookies that may be named.
const MAX_SESSION_COOKIES: usize = 16;

/// List files that may be named; the filter tells fewer than 256 sources of rules apart.
const MAX_LIST_FILES: usize = 200;

/// Length at which a worker's journal is compacted, bytes.
const MAX_JOURNAL_BYTES: u64 = 16 << 20;

/// A year, the longest TTL that may be set, seconds.
const YEAR_S: u32 = 365 * 86_400;

/// Everything an operator can set, checked.
#[derive(Debug)]
pub(crate) struct ModuleSettings {
    /// Caps and defaults of the filter.
    pub(crate) filter: Settings,
    /// Files of blocked networks.
    pub(crate) block_files: Vec<PathBuf>,
    /// Files of networks that are never blocked.
    pub(crate) allow_files: Vec<PathBuf>,
    /// Files of known bad resources.
    pub(crate) resource_files: Vec<PathBuf>,
    /// Files of networks that no backend may block.
    pub(crate) never_learn_files: Vec<PathBuf>,
    /// What each backend may teach; none: every backend its own hosts' paths.
    pub(crate) backend_file: Option<PathBuf>,
    /// Where state outlives HAProxy; none: nothing does.
    pub(crate) state_dir: Option<PathBuf>,
    /// Length at which a worker's journal is compacted, bytes.
    pub(crate) max_journal_bytes: u64,
    /// Whether native converters are wanted.
    pub(crate) native: bool,
    /// A request with one of these cookies has a session.
    pub(crate) session_cookies: Vec<String>,
    /// What the operator should know, one line each.
    pub(crate) warnings: Vec<String>,
}

impl Default for ModuleSettings {
    fn default() -> Self {
        Self {
            filter: Settings::default(),
            block_files: Vec::new(),
            allow_files: Vec::new(),
            resource_files: Vec::new(),
            never_learn_files: Vec::new(),
            backend_file: None,
            state_dir: None,
            max_journal_bytes: MAX_JOURNAL_BYTES,
            native: true,
            session_cookies: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}: {allowed}")]
pub(crate) struct InvalidSetting {
    name: String,
    value: String,
    allowed: String,
}

impl ModuleSettings {
    /// The settings among these environment variables. Names that do not begin with `EDGE_` are passed over.
    ///
    /// # Errors
    /// The first setting, by name, that cannot be used.
    pub(crate) fn read(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, InvalidSetting> {
        let mut settings = Self::default();
        let variables = ours(variables)?;
        let sets_learn_ttl = variables.contains_key("EDGE_LEARN_TTL");
        for (name, value) in variables {
            settings.set(&name, &value).map_err(|allowed| InvalidSetting { name, value, allowed })?;
        }
        settings.check_files()?;
        let filter = &mut settings.filter;
        if !sets_learn_ttl {
            // Nobody should be told of a value that nobody set.
            filter.learn_ttl_s = filter.learn_ttl_s.min(filter.max_ttl_s);
        } else if filter.learn_ttl_s > filter.max_ttl_s {
            return Err(InvalidSetting {
                name: "EDGE_LEARN_TTL".into(),
                value: filter.learn_ttl_s.to_string(),
                allowed: format!("at most EDGE_MAX_TTL, which is {}, is allowed", filter.max_ttl_s),
            });
        }
        Ok(settings)
    }

    /// The settings of the state directory, if there is one.
    pub(crate) fn state(&self) -> Option<StateSettings> {
        let dir = self.state_dir.clone()?;
        Some(StateSettings { dir, max_journal_bytes: self.max_journal_bytes })
    }

    /// A rule names its list by one byte. A list is named by its file: were a file read twice, the later list would replace the earlier.
    fn check_files(&self) -> Result<(), InvalidSetting> {
        let mut seen = HashSet::new();
        for (name, files) in [
            ("EDGE_BLOCK_FILES", &self.block_files),
            ("EDGE_ALLOW_FILES", &self.allow_files),
            ("EDGE_RESOURCE_FILES", &self.resource_files),
        ] {
            if let Some(file) = files.iter().find(|file| !seen.insert(*file)) {
                return Err(InvalidSetting {
                    name: name.into(),
                    value: file.to_string_lossy().into_owned(),
                    allowed: "each file may be named once".into(),
                });
            }
            if seen.len() > MAX_LIST_FILES {
                return Err(InvalidSetting {
                    name: name.into(),
                    value: format!("{} files", files.len()),
                    allowed: format!("{MAX_LIST_FILES} list files in all are allowed"),
                });
            }
        }
        Ok(())
    }

    /// # Errors
    /// What is allowed instead.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let filter = &mut self.filter;
        match name {
            "EDGE_BLOCK_FILES" => self.block_files = paths(value),
            "EDGE_ALLOW_FILES" => self.allow_files = paths(value),
            "EDGE_RESOURCE_FILES" => self.resource_files = paths(value),
            "EDGE_NEVER_LEARN_FILES" => self.never_learn_files = paths(value),
            "EDGE_BACKEND_FILE" => self.backend_file = (!value.is_empty()).then(|| value.into()),
            "EDGE_NATIVE" => self.native = switch(value)?,
            "EDGE_LEARN_TTL" => filter.learn_ttl_s = number(value, 1..=YEAR_S, "seconds")?,
            "EDGE_MAX_TTL" => filter.max_ttl_s = number(value, 1..=YEAR_S, "seconds")?,
            "EDGE_MAX_LEARNED" => filter.max_learned = number(value, 1..=10_000_000, "rules")?,
            "EDGE_MAX_LEARNED_PER_HOST" => {
                filter.max_learned_per_host = number(value, 1..=10_000_000, "rules")?;
            }
            "EDGE_MAX_RULES" => filter.max_rules = number(value, 1..=100_000_000, "rules")?,
            "EDGE_MAX_PATH_BYTES" => filter.max_path_bytes = number(value, 16..=16_384, "bytes")?,
            "EDGE_MAX_REASON_BYTES" => filter.max_reason_bytes = number(value, 0..=1024, "bytes")?,
            "EDGE_DEFAULT_STATUS" => {
                filter.default_status = value.parse::<Status>().map_err(|e| e.to_string())?;
            }
            "EDGE_PATH_PARAMS" => {
                let allowed = [("keep", ParameterSegments::Keep), ("drop", ParameterSegments::Drop)];
                filter.parameter_segments = one_of(value, allowed)?;
            }
            "EDGE_PATH_BACKSLASH" => filter.path_backslash = switch(value)?,
            "EDGE_PATH_DOUBLE_ESCAPE" => filter.path_double_escape = switch(value)?,
            "EDGE_STRICT_PATHS" => filter.strict_paths = switch(value)?,
            "EDGE_SESSION_COOKIES" => self.session_cookies = cookie_names(value)?,
            "EDGE_STATE_DIR" => self.state_dir = directory(value)?,
            "EDGE_MAX_JOURNAL_BYTES" => self.max_journal_bytes = number(value, 65_536..=1 << 30, "bytes")?,
            _ => self.warnings.push(format!("{name} is not a setting of Edge Filter")),
        }
        Ok(())
    }
}

/// The variables that begin with `EDGE_`, by name, so that messages come in the same order every time.
fn ours(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, String>, InvalidSetting> {
    let mut found = BTreeMap::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with("EDGE_") {
            continue;
        }
        let value = value.into_string().map_err(|value| InvalidSetting {
            name: name.clone(),
            value: value.to_string_lossy().into_owned(),
            allowed: "UTF-8 text is allowed".into(),
        })?;
        found.insert(name, value.trim().to_owned());
    }
    Ok(found)
}

/// Paths apart by `:` or `,`, as in `PATH`; empty ones are passed over.
fn paths(value: &str) -> Vec<PathBuf> {
    value.split([':', ',']).map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

/// None for the empty text.
fn directory(value: &str) -> Result<Option<PathBuf>, String> {
    let path = (!value.is_empty()).then(|| PathBuf::from(value));
    // HAProxy changes its directory when it goes to its chroot.
    let is_relative = path.as_ref().is_some_and(|path| path.is_relative());
    if is_relative { Err("only an absolute path is allowed".to_owned()) } else { Ok(path) }
}

fn one_of<T: Copy, const N: usize>(value: &str, allowed: [(&str, T); N]) -> Result<T, String> {
    let names = allowed.map(|(name, _)| name).join(" or ");
    allowed.iter().find(|(name, _)| *name == value).map(|(_, t)| *t).ok_or(format!("{names} is allowed"))
}

fn switch(value: &str) -> Result<bool, String> {
    one_of(value, [("on", true), ("off", false)])
}

fn number<T>(value: &str, bounds: RangeInclusive<T>, unit: &str) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = value.parse().ok().filter(|n| bounds.contains(n));
    number.ok_or_else(|| format!("a number of {unit} from {} to {} is allowed", bounds.start(), bounds.end()))
}

fn cookie_names(value: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> =
        value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let is_token =
        |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&b));
    if names.len() > MAX_SESSION_COOKIES || !names.iter().all(is_token) {
        return Err(format!("up to {MAX_SESSION_COOKIES} cookie names, apart by commas, are allowed"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ModuleSettings, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        ModuleSettings::read(variables).map_err(|e| e.to_string())
    }

    fn refusal(name: &str, value: &str) -> String {
        read(&[(name, value)]).err().unwrap_or_else(|| panic!("{name}={value} was taken"))
    }

    #[test]
    fn every_setting_reaches_its_field() {
        let s = read(&[
            ("PATH", "/usr/bin"),
            ("EDGE_BLOCK_FILES", "/a.txt:/b.map, /c"),
            ("EDGE_ALLOW_FILES", "/allow"),
            ("EDGE_RESOURCE_FILES", "/res"),
            ("EDGE_NEVER_LEARN_FILES", "/allow:/proxies"),
            ("EDGE_BACKEND_FILE", "/backends"),
            ("EDGE_STATE_DIR", "/state"),
            ("EDGE_MAX_JOURNAL_BYTES", "65536"),
            ("EDGE_NATIVE", "off"),
            ("EDGE_LEARN_TTL", "60"),
            ("EDGE_MAX_TTL", "3600"),
            ("EDGE_MAX_LEARNED", "1000"),
            ("EDGE_MAX_LEARNED_PER_HOST", "100"),
            ("EDGE_MAX_RULES", "5000"),
            ("EDGE_MAX_PATH_BYTES", "512"),
            ("EDGE_MAX_REASON_BYTES", "0"),
            ("EDGE_SESSION_COOKIES", "sid, JSESSIONID"),
            ("EDGE_PATH_PARAMS", "drop"),
            ("EDGE_PATH_BACKSLASH", "on"),
            ("EDGE_PATH_DOUBLE_ESCAPE", "on"),
            ("EDGE_STRICT_PATHS", "on"),
            ("EDGE_DEFAULT_STATUS", "410"),
        ])
        .unwrap();
        assert_eq!(s.block_files, ["/a.txt", "/b.map", "/c"].map(PathBuf::from));
        assert_eq!(s.allow_files, [PathBuf::from("/allow")]);
        assert_eq!(
            s.never_learn_files,
            ["/allow", "/proxies"].map(PathBuf::from),
            "no list of rules of its own"
        );
        assert_eq!(s.resource_files, [PathBuf::from("/res")]);
        assert_eq!(s.backend_file, Some(PathBuf::from("/backends")));
        let state = StateSettings { dir: "/state".into(), max_journal_bytes: 65_536 };
        assert_eq!(s.state(), Some(state));
        assert!(!s.native);
        assert_eq!(s.session_cookies, ["sid", "JSESSIONID"]);
        assert_eq!(s.warnings, [""; 0]);
        let wanted = Settings {
            max_rules: 5000,
            max_learned: 1000,
            max_learned_per_host: 100,
            max_path_bytes: 512,
            max_reason_bytes: 0,
            learn_ttl_s: 60,
            max_ttl_s: 3600,
            default_status: Status::new(410).unwrap(),
            path_backslash: true,
            path_double_escape: true,
            strict_paths: true,
            parameter_segments: ParameterSegments::Drop,
            ..Settings::default()
        };
        assert_eq!(s.filter, wanted);
    }

    #[test]
    fn a_bad_value_names_the_setting_the_value_and_what_is_allowed() {
        assert_eq!(
            refusal("EDGE_LEARN_TTL", "5m"),
            "EDGE_LEARN_TTL is \"5m\": a number of seconds from 1 to 31536000 is allowed"
        );
        assert_eq!(refusal("EDGE_NATIVE", "yes"), "EDGE_NATIVE is \"yes\": on or off is allowed");
        assert_eq!(refusal("EDGE_PATH_PARAMS", ""), "EDGE_PATH_PARAMS is \"\": keep or drop is allowed");
        assert_eq!(
            refusal("EDGE_DEFAULT_STATUS", "200"),
            "EDGE_DEFAULT_STATUS is \"200\": a status is a number from 400 to 599"
        );
    }

    #[test]
    fn numbers_keep_their_bounds() {
        for (name, value) in [
            ("EDGE_LEARN_TTL", "0"),
            ("EDGE_MAX_TTL", "31536001"),
            ("EDGE_MAX_LEARNED", "-1"),
            ("EDGE_MAX_LEARNED_PER_HOST", "0"),
            ("EDGE_MAX_RULES", "99999999999999999999"),
            ("EDGE_MAX_PATH_BYTES", "15"),
            ("EDGE_MAX_REASON_BYTES", "1025"),
            ("EDGE_MAX_JOURNAL_BYTES", "65535"),
        ] {
            assert!(refusal(name, value).starts_with(&format!("{name} is \"{value}\": a number of ")));
        }
    }

    #[test]
    fn default_ttl_may_not_exceed_the_largest() {
        let refused = read(&[("EDGE_LEARN_TTL", "300"), ("EDGE_MAX_TTL", "60")]).unwrap_err();
        assert_eq!(refused, "EDGE_LEARN_TTL is \"300\": at most EDGE_MAX_TTL, which is 60, is allowed");
    }

    #[test]
    fn an_unset_ttl_follows_the_largest() {
        let learn_ttl_s = |max: &str| read(&[("EDGE_MAX_TTL", max)]).unwrap().filter.learn_ttl_s;
        assert_eq!(learn_ttl_s("60"), 60);
        assert_eq!(learn_ttl_s("3600"), Settings::default().learn_ttl_s);
    }

    #[test]
    fn a_file_is_one_list() {
        let refused = read(&[("EDGE_BLOCK_FILES", "/a,/b"), ("EDGE_ALLOW_FILES", "/b")]).unwrap_err();
        assert_eq!(refused, "EDGE_ALLOW_FILES is \"/b\": each file may be named once");
        assert!(read(&[("EDGE_RESOURCE_FILES", "/a:/a")]).is_err());
        let many = (0..=200).map(|n| format!("/{n}")).collect::<Vec<_>>().join(":");
        let refused = read(&[("EDGE_BLOCK_FILES", &many)]).unwrap_err();
        assert_eq!(refused, "EDGE_BLOCK_FILES is \"201 files\": 200 list files in all are allowed");
    }

    #[test]
    fn cookie_names_are_tokens_and_few() {
        assert!(refusal("EDGE_SESSION_COOKIES", "a b").contains("cookie names"));
        assert!(refusal("EDGE_SESSION_COOKIES", &["c"; 17].join(",")).contains("up to 16"));
    }

    #[test]
    fn the_state_directory_does_not_depend_on_where_haproxy_is() {
        assert_eq!(
            refusal("EDGE_STATE_DIR", "state"),
            "EDGE_STATE_DIR is \"state\": only an absolute path is allowed"
        );
        assert_eq!(read(&[("EDGE_STATE_DIR", "")]).unwrap().state(), None);
    }

    #[test]
    fn unknown_names_are_warned_of() {
        let s = read(&[("EDGE_BLOCK_FILE", "/a")]).unwrap();
        assert_eq!(s.warnings.len(), 1);
        assert!(s.warnings[0].starts_with("EDGE_BLOCK_FILE is not a setting"));
    }
}
