//! The built-in templates and those of the operator.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use crate::site::Site;
use crate::site::words::TemplateName;

use super::context::{Context, ERROR_PAGES, PageContext};
use super::error::TemplateError;
use super::output::Output;
use super::rendered::Rendered;
use super::tidy::tidy;
use super::version::Version;
use super::{formatter, lists};

/// Templates that an operator may have.
pub const MAX_TEMPLATES: usize = 1000;
/// Longest template of an operator, bytes.
pub const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

/// Instructions of one rendering, a second's worth. 5000 backends of ten servers take a tenth of it.
const FUEL: u64 = 50_000_000;

/// The template of a backend.
const BACKEND: &str = "backend.cfg.j2";

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../templates/", $name)))),*]
    };
}

const BUILT_IN: [(&str, &str); 16] = built_in![
    "haproxy.cfg.j2",
    "global.cfg.j2",
    "defaults.cfg.j2",
    "web.cfg.j2",
    "acme-validation.cfg.j2",
    "refused.cfg.j2",
    "default.cfg.j2",
    "limits.cfg.j2",
    "stats.cfg.j2",
    "backend.cfg.j2",
    "server.cfg.j2",
    "tcp-defaults.cfg.j2",
    "tcp.cfg.j2",
    "helpers.cfg.j2",
    "default.html.j2",
    "error.html.j2",
];

/// Name and source of each built-in template.
pub fn built_in_templates() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILT_IN.into_iter()
}

/// Every template, compiled: the built-in ones, and in their place or beside them those of the operator.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    directory: Option<PathBuf>,
    /// Those of the operator.
    overriding: Vec<String>,
}

impl Templates {
    /// The built-in templates alone.
    pub fn built_in() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(formatter::write);
        environment.set_auto_escape_callback(|name| {
            let is_page = name.strip_suffix(".j2").unwrap_or(name).ends_with(".html");
            if is_page { AutoEscape::Html } else { AutoEscape::Custom(formatter::CONFIGURATION.into()) }
        });
        // It would make the formatter take a value of the site for what a template has written.
        environment.remove_filter("safe");
        for (name, source) in BUILT_IN {
            let added = environment.add_template(name, source);
            debug_assert!(added.is_ok(), "{name}: {added:?}");
        }
        Self { environment, directory: None, overriding: Vec::new() }
    }

    /// The built-in templates, and every `*.j2` of a directory: in the place of the built-in one of the same name, or
    /// for others to include and for domains to name. Other files and directories below it are not looked at.
    ///
    /// # Errors
    /// The directory or one of its templates cannot be read, is too long, no UTF-8 or no template; there are more than
    /// 1000; a name is none that a domain could give.
    pub fn with_overrides(directory: &Path) -> Result<Self, TemplateError> {
        let mut templates = Self { directory: Some(directory.into()), ..Self::built_in() };
        let of_directory = |error| TemplateError::of_file(directory, error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).map_err(of_directory)? {
            let path = entry.map_err(of_directory)?.path();
            if path.extension().is_some_and(|extension| extension == "j2") && !path.is_dir() {
                paths.push(path);
            }
        }
        if paths.len() > MAX_TEMPLATES {
            let cause = format!("has {} templates, more than {MAX_TEMPLATES}", paths.len());
            return Err(TemplateError::of_file(directory, cause));
        }
        paths.sort();
        for path in paths {
            templates.add(&path)?;
        }
        Ok(templates)
    }

    /// With those of the operator, if there is a directory of them.
    ///
    /// # Errors
    /// As [`Self::with_overrides`].
    pub fn of(directory: Option<&Path>) -> Result<Self, TemplateError> {
        directory.map_or_else(|| Ok(Self::built_in()), Self::with_overrides)
    }

    fn add(&mut self, path: &Path) -> Result<(), TemplateError> {
        let of_file = |cause: &dyn std::fmt::Display| TemplateError::of_file(path, cause);
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| of_file(&"its name is no UTF-8"))?;
        TemplateName::from_str(name).map_err(|reason| of_file(&format!("its name {reason}")))?;
        let source = read(path).map_err(|error| of_file(&error))?;
        let name = name.to_owned();
        self.overriding.push(name.clone());
        let added = self.environment.add_template_owned(name, source);
        added.map_err(|error| TemplateError::of_engine(&error, |name| self.shown_name(name), None))
    }

    /// Renders all files for one version of HAProxy. The same input gives the same bytes. O(n log n) in the number of
    /// domains, backends and servers.
    ///
    /// # Errors
    /// A template names what there is not, tries what cannot be done, writes a value with a control character or more
    /// than 64 MiB, or takes too long; a domain names a template that the operator does not have.
    pub fn render(&self, site: &Site, version: Version) -> Result<Rendered, TemplateError> {
        self.check_overrides(site)?;
        let mut files = Rendered::default();
        let configuration = self.render_one("haproxy.cfg.j2", Context::of(site, version))?;
        files.put(Rendered::MAIN, tidy(&configuration));
        files.put(
            "pages/default.html",
            self.render_one("default.html.j2", PageContext::of(&site.global.page))?,
        );
        for page in &ERROR_PAGES {
            files.put(format!("pages/{}.html", page.status), self.render_one("error.html.j2", page)?);
        }
        lists::put(site, &mut files);
        Ok(files)
    }

    fn render_one(&self, name: &str, context: impl Serialize) -> Result<String, TemplateError> {
        let mut output = Output::default();
        let template = self.environment.get_template(name);
        let context = minijinja::Value::from(Serde(context));
        match template.and_then(|template| template.render_captured_to(context, &mut output).map(drop)) {
            Ok(()) => Ok(output.into_text()),
            Err(error) => Err(TemplateError::of_engine(&error, |name| self.shown_name(name), Some(&output))),
        }
    }

    /// Whether the operator has a template of this name, so that a domain may name it.
    pub fn is_overriding(&self, name: &TemplateName) -> bool {
        self.overriding.iter().any(|overriding| overriding == name.as_str())
    }

    /// Where templates of the operator are looked for.
    pub fn place(&self) -> String {
        match &self.directory {
            Some(directory) => directory.display().to_string(),
            None => "a directory of your own templates, which is not set".into(),
        }
    }

    /// A template of the operator, in the place of that of a backend. The engine would name the one that includes the missing one.
    fn check_overrides(&self, site: &Site) -> Result<(), TemplateError> {
        for domain in &site.domains {
            let Some(name) = &domain.template_override else { continue };
            // Another section in the place of a backend's would say things twice, such as what is loaded.
            if name.as_str() != BACKEND && BUILT_IN.iter().any(|(built_in, _)| *built_in == name.as_str()) {
                let cause = format!("the domain {} names it, and it is not one for backends", domain.name);
                return Err(TemplateError { template: name.to_string(), line: None, cause });
            }
            if !self.is_overriding(name) {
                let place = self.place();
                let cause = format!("the domain {} names it, and it is not in {place}", domain.name);
                return Err(TemplateError { template: name.to_string(), line: None, cause });
            }
        }
        Ok(())
    }

    fn shown_name(&self, name: &str) -> String {
        match &self.directory {
            Some(directory) if self.overriding.iter().any(|overriding| overriding == name) => {
                directory.join(name).display().to_string()
            }
            _ => format!("{name} (built-in)"),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("is no regular file".into());
    }
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_TEMPLATE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_TEMPLATE_BYTES {
        return Err(format!("is longer than {MAX_TEMPLATE_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes);
    text.map_err(|error| format!("is no UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}
