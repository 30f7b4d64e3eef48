//! What is wrong with a template.

use std::error::Error;
use std::fmt;
use std::path::Path;

use super::output::Output;

/// A template that cannot be read, understood or rendered: which one, the line, the cause. It is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The operator's file, or the built-in template.
    pub template: String,
    /// The line in it, counted from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong.
    pub cause: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template {}", self.template)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl Error for TemplateError {}

impl TemplateError {
    /// Of a file as a whole.
    pub(super) fn of_file(path: &Path, cause: impl fmt::Display) -> Self {
        Self { template: path.display().to_string(), line: None, cause: one_line(&cause.to_string()) }
    }

    /// Of what the engine found: the innermost template, since those around it only include it.
    pub(super) fn of_engine(
        error: &minijinja::Error,
        shown_name: impl Fn(&str) -> String,
        output: Option<&Output>,
    ) -> Self {
        let mut innermost = error;
        let mut cause: &dyn Error = error;
        while let Some(source) = cause.source() {
            if let Some(inner) = source.downcast_ref::<minijinja::Error>()
                && inner.name().is_some()
            {
                innermost = inner;
            }
            cause = source;
        }
        let detail = if output.is_some_and(|output| output.is_full) {
            Output::TOO_LONG.to_owned()
        } else {
            match innermost.detail() {
                Some(detail) => format!("{}: {detail}", innermost.kind()),
                None => innermost.kind().to_string(),
            }
        };
        Self {
            template: shown_name(innermost.name().unwrap_or("?")),
            line: innermost.line().filter(|&line| line > 0),
            cause: one_line(&detail),
        }
    }
}

/// Causes quote what the operator wrote.
fn one_line(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
