//! What the filter inside HAProxy has room for, so that the record takes no more.

use edge_filter::{ParameterSegments, Settings};
use edge_journal::MAX_LISTS;

use crate::site::{FilterInput, SettingInput};

/// Lists that the filter tells apart, those of files and those of the record.
const LISTS_OF_FILTER: usize = 255;

/// The caps of the filter, as the site sets them. What is not set, or not by this manager, has the default of the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Rules in all.
    pub max_rules: u32,
    /// Lists of the record.
    pub max_lists: usize,
    /// Learned rules in all.
    pub max_learned: u32,
    /// Learned rules of one host.
    pub max_learned_per_host: u32,
    /// How the filter reads paths.
    pub paths: PathSettings,
}

/// How the filter reads paths: as these settings of it, which have the same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSettings {
    /// Whether `;params` belong to a path.
    pub parameter_segments: ParameterSegments,
    /// Whether some backends take a backslash in a path for a slash.
    pub path_backslash: bool,
    /// Whether some backends decode the escapes of a path twice.
    pub path_double_escape: bool,
    /// Whether paths that backends read in two ways are refused.
    pub strict_paths: bool,
}

impl PathSettings {
    /// The settings of a filter that reads paths in this way.
    pub fn of_filter(self, max_path_bytes: usize) -> Settings {
        let Self { parameter_segments, path_backslash, path_double_escape, strict_paths } = self;
        Settings {
            max_path_bytes,
            parameter_segments,
            path_backslash,
            path_double_escape,
            strict_paths,
            ..Settings::default()
        }
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self::of(None)
    }
}

impl Caps {
    /// By the settings of this filter, of which the last one of a name counts. A value that the filter does not take counts
    /// as none: HAProxy refuses the configuration.
    pub fn of(filter: Option<&FilterInput>) -> Self {
        let settings = filter.map_or(&[][..], |filter| &filter.settings);
        let Settings { max_rules, max_learned, max_learned_per_host, .. } = Settings::default();
        let paths = PathSettings::default();
        let mut caps = Self { max_rules, max_lists: 0, max_learned, max_learned_per_host, paths };
        let (mut block, mut allow, mut resource) = (0, 0, 0);
        for SettingInput { name, value } in settings {
            let value = value.as_str().trim();
            let files = || value.split([':', ',']).filter(|path| !path.trim().is_empty()).count();
            let set = |cap: &mut u32| *cap = value.parse().unwrap_or(*cap);
            match name.as_str() {
                "EDGE_MAX_RULES" => set(&mut caps.max_rules),
                "EDGE_MAX_LEARNED" => set(&mut caps.max_learned),
                "EDGE_MAX_LEARNED_PER_HOST" => set(&mut caps.max_learned_per_host),
                "EDGE_PATH_PARAMS" if value == "drop" => {
                    caps.paths.parameter_segments = ParameterSegments::Drop;
                }
                "EDGE_PATH_PARAMS" => caps.paths.parameter_segments = ParameterSegments::Keep,
                "EDGE_PATH_BACKSLASH" => caps.paths.path_backslash = value == "on",
                "EDGE_PATH_DOUBLE_ESCAPE" => caps.paths.path_double_escape = value == "on",
                "EDGE_STRICT_PATHS" => caps.paths.strict_paths = value == "on",
                "EDGE_BLOCK_FILES" => block = files(),
                "EDGE_ALLOW_FILES" => allow = files(),
                "EDGE_RESOURCE_FILES" => resource = files(),
                _ => {}
            }
        }
        caps.max_lists = MAX_LISTS.min(LISTS_OF_FILTER.saturating_sub(block + allow + resource));
        caps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)]) -> Caps {
        let setting =
            |(name, value): &(&str, &str)| SettingInput { name: (*name).into(), value: (*value).into() };
        Caps::of(Some(&FilterInput {
            settings: settings.iter().map(setting).collect(),
            ..FilterInput::default()
        }))
    }

    #[test]
    fn what_is_not_set_is_as_in_the_filter() {
        let Caps { max_rules, max_lists, max_learned, max_learned_per_host, paths } = of(&[]);
        let filter = Settings::default();
        assert_eq!(
            (max_rules, max_learned, max_learned_per_host),
            (filter.max_rules, filter.max_learned, filter.max_learned_per_host)
        );
        assert_eq!((max_lists, paths.of_filter(filter.max_path_bytes)), (MAX_LISTS, filter));
        assert_eq!(of(&[("EDGE_MAX_RULES", "many"), ("EDGE_NATIVE", "off")]), of(&[]));
    }

    #[test]
    fn the_last_setting_of_a_name_counts() {
        let set = of(&[
            ("EDGE_MAX_RULES", "5"),
            ("EDGE_MAX_RULES", "7"),
            ("EDGE_MAX_LEARNED", "3"),
            ("EDGE_MAX_LEARNED_PER_HOST", "2"),
            ("EDGE_PATH_PARAMS", "drop"),
        ]);
        assert_eq!((set.max_rules, set.max_learned, set.max_learned_per_host), (7, 3, 2));
        assert_eq!(set.paths.parameter_segments, ParameterSegments::Drop);
        let kept = of(&[("EDGE_PATH_PARAMS", "drop"), ("EDGE_PATH_PARAMS", "keep")]);
        assert_eq!(kept.paths.parameter_segments, ParameterSegments::Keep);
        let all = ["EDGE_PATH_BACKSLASH", "EDGE_PATH_DOUBLE_ESCAPE", "EDGE_STRICT_PATHS"];
        let PathSettings { path_backslash, path_double_escape, strict_paths, .. } =
            of(&all.map(|name| (name, "on"))).paths;
        assert!(path_backslash && path_double_escape && strict_paths);
        assert_eq!(of(&all.map(|name| (name, "off"))), of(&[]));
    }

    #[test]
    fn each_file_is_a_list_of_the_filter_too() {
        let files = of(&[
            ("EDGE_BLOCK_FILES", "/a:/b,/c,"),
            ("EDGE_ALLOW_FILES", "/d:/e"),
            ("EDGE_RESOURCE_FILES", "/f"),
        ]);
        assert_eq!(files.max_lists, LISTS_OF_FILTER - 6);
        assert_eq!(of(&[("EDGE_BLOCK_FILES", "/a")]).max_lists, MAX_LISTS);
    }
}
