//! The operator's templates, changed one at a time.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::answers::Preview;
use super::error::PublishError;
use super::service::{Configuration, render};
use super::sets::at;
use crate::render::{MAX_TEMPLATE_BYTES, TemplateError, built_in_templates};
use crate::site::Site;
use crate::site::words::TemplateName;

/// A template that may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorTemplate {
    /// Its name.
    pub name: String,
    /// What the operator has in its place, if anything.
    pub own: Option<String>,
    /// What is built in, if anything is.
    pub built_in: Option<&'static str>,
}

impl Configuration {
    /// Whether there is a directory for them.
    pub fn has_template_dir(&self) -> bool {
        self.settings.templates.is_some()
    }

    /// The built-in templates with what is in their place, then those of the operator alone. Their texts are read too: a
    /// directory has 1000 at most.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn templates(&self) -> Result<Vec<OperatorTemplate>, PublishError> {
        let mut own = Vec::new();
        if let Some(dir) = &self.settings.templates {
            for entry in fs::read_dir(dir).map_err(|error| at(dir, &error))? {
                let path = entry.map_err(|error| at(dir, &error))?.path();
                let name =
                    path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".j2"));
                if let Some(name) = name.filter(|_| path.is_file()) {
                    own.push((name.to_owned(), read(&path)?));
                }
            }
        }
        own.sort();
        let of_own = |name: &str| own.iter().find(|(own, _)| own == name).map(|(_, source)| source.clone());
        let built_in: Vec<_> = built_in_templates().collect();
        let mut templates: Vec<_> = built_in
            .iter()
            .map(|(name, source)| OperatorTemplate {
                name: (*name).to_owned(),
                own: of_own(name),
                built_in: Some(source),
            })
            .collect();
        let is_new = |name: &str| built_in.iter().all(|(known, _)| *known != name);
        let others = own.into_iter().filter(|(name, _)| is_new(name));
        templates.extend(others.map(|(name, source)| OperatorTemplate {
            name,
            own: Some(source),
            built_in: None,
        }));
        Ok(templates)
    }

    /// What a site would be with this template in the place of the one of its name, or without it. Nothing changes.
    ///
    /// # Errors
    /// As [`Configuration::check`]; there is no directory for templates.
    pub fn check_template(
        &self,
        site: &Site,
        name: &TemplateName,
        source: Option<&str>,
    ) -> Result<Preview, PublishError> {
        let dir = self.template_dir(name)?;
        let _turn = self.turn()?;
        let staged = tempfile::Builder::new().prefix("edge-templates.").tempdir()?;
        for template in self.templates()?.iter().filter(|template| template.name != name.as_str()) {
            if let Some(source) = &template.own {
                fs::write(staged.path().join(&template.name), source)?;
            }
        }
        if let Some(source) = source {
            fs::write(staged.path().join(name.as_str()), source)?;
        }
        let files = render(site, Some(staged.path()), &self.settings.program);
        let files = files.map_err(|error| match error {
            // Where it will be, not where it was tried.
            PublishError::Template(error) => {
                let (from, to) = (staged.path().display().to_string(), dir.display().to_string());
                PublishError::Template(TemplateError {
                    template: error.template.replace(&from, &to),
                    ..error
                })
            }
            other => other,
        })?;
        self.preview(&files)
    }

    /// Puts a template in the operator's directory, or takes it away; what was there before. Nothing is published by that.
    ///
    /// # Errors
    /// There is no directory for templates, or it cannot be written; the text is too long.
    pub(crate) fn write_template(
        &self,
        name: &TemplateName,
        source: Option<&str>,
    ) -> Result<Option<String>, PublishError> {
        let dir = self.template_dir(name)?;
        let path = dir.join(name.as_str());
        let before = match read(&path) {
            Ok(source) => Some(source),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        match source {
            Some(source) if source.len() as u64 > MAX_TEMPLATE_BYTES => {
                return Err(refused(name, &format!("is longer than {MAX_TEMPLATE_BYTES} bytes")));
            }
            Some(source) => replace(dir, &path, source)?,
            None if before.is_some() => fs::remove_file(&path).map_err(|error| at(&path, &error))?,
            None => {}
        }
        Ok(before)
    }

    fn template_dir(&self, name: &TemplateName) -> Result<&Path, PublishError> {
        let none =
            "there is no directory for templates of yours: name one with --templates or EDGE_TEMPLATE_DIR";
        self.settings.templates.as_deref().ok_or_else(|| refused(name, none))
    }
}

fn refused(name: &TemplateName, cause: &str) -> PublishError {
    TemplateError { template: name.to_string(), line: None, cause: cause.to_owned() }.into()
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| at(path, &error))
}

/// The old one or the new one is there at any moment, and nobody takes half of it for a template.
fn replace(dir: &Path, path: &Path, source: &str) -> io::Result<()> {
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".template.").suffix(".new").tempfile_in(dir)?;
        file.write_all(source.as_bytes())?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o640))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| at(path, &error))
}
