//! What the manager says of itself.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::log_file::LogFile;
use super::run::make_dir;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// An object each.
    Json,
}

/// Where lines go.
#[derive(Debug)]
pub struct Logs {
    /// How they look.
    pub format: Format,
    /// The directory of `manager.log`, and of `manager-error.log` for warnings and errors; standard error without it.
    pub dir: Option<PathBuf>,
    /// Which lines, as `info` or `info,edge_manager::api=debug`.
    pub filter: String,
}

/// Why nothing can be logged. One line.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter.
    #[error("EDGE_LOG: {0:?}: {1}")]
    Filter(String, ParseError),
    /// A file.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
}

impl Logs {
    /// Logs all that this process says from now on, panics too. The files, if it is files.
    ///
    /// # Errors
    /// The filter cannot be understood, or a file not be written.
    pub fn start(self) -> Result<LogFiles, LogError> {
        let filter =
            EnvFilter::try_new(&self.filter).map_err(|error| LogError::Filter(self.filter.clone(), error))?;
        let mut files = LogFiles::default();
        let layers = match &self.dir {
            None => vec![self.layer(Arc::new(Mutex::new(io::stderr())))],
            Some(dir) => {
                make_dir(dir).map_err(|error| LogError::File(dir.clone(), error))?;
                let all = self.layer(files.open(dir, "manager.log")?);
                let errors =
                    self.layer(files.open(dir, "manager-error.log")?).with_filter(LevelFilter::WARN).boxed();
                vec![all, errors]
            }
        };
        // A second set is for nobody.
        let _ = Registry::default().with(layers).with(filter).try_init();
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
        Ok(files)
    }

    fn layer(&self, out: Arc<Mutex<dyn Write + Send>>) -> Box<dyn Layer<Registry> + Send + Sync> {
        let layer = fmt::layer().with_ansi(false).with_writer(Lines(out));
        match self.format {
            Format::Text => layer.boxed(),
            Format::Json => layer.json().flatten_event(true).boxed(),
        }
    }
}

/// The files that lines go to.
#[derive(Clone, Debug, Default)]
pub struct LogFiles(Vec<Arc<Mutex<LogFile>>>);

impl LogFiles {
    fn open(&mut self, dir: &Path, name: &str) -> Result<Arc<Mutex<LogFile>>, LogError> {
        let path = dir.join(name);
        let file = LogFile::open(&path).map_err(|error| LogError::File(path, error))?;
        let file = Arc::new(Mutex::new(file));
        self.0.push(file.clone());
        Ok(file)
    }

    /// Begins the files anew that somebody has moved, as logrotate does. What cannot be opened goes on as it is.
    pub(super) fn reopen(&self) {
        for file in &self.0 {
            let (path, reopened) = {
                let mut file = file.lock();
                (file.path().to_owned(), file.reopen())
            };
            if let Err(error) = reopened {
                tracing::error!(path = %path.display(), %error, "the log goes on in the old file");
            }
        }
    }
}

/// Gets an event at a time, and makes a line of it, whatever is in it.
#[derive(Clone)]
pub(super) struct Lines(pub(super) Arc<Mutex<dyn Write + Send>>);

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.lock().write_all(&line(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().flush()
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// One line: control characters of values are escaped, so that none of them begins another line, or tells a terminal what
/// to do.
fn line(event: &[u8]) -> Vec<u8> {
    let event = String::from_utf8_lossy(event);
    let mut line = String::with_capacity(event.len() + 1);
    for character in event.trim_end_matches('\n').chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            // As JSON has it, so that a line of JSON stays one.
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of an event with this value.
    fn logged(format: Format, value: &str) -> String {
        #[derive(Clone, Default)]
        struct Memory(Arc<Mutex<Vec<u8>>>);
        impl Write for Memory {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let memory = Memory::default();
        let logs = Logs { format, dir: None, filter: String::new() };
        let subscriber = Registry::default().with(logs.layer(Arc::new(Mutex::new(memory.clone()))));
        tracing::subscriber::with_default(subscriber, || tracing::info!(%value, "request {value}"));
        let bytes = memory.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_value_makes_another_line() {
        let hostile = "a\nERROR forged\r\u{1b}[2J\u{85}\u{2028}b";
        for format in [Format::Text, Format::Json] {
            let text = logged(format, hostile);
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.ends_with('\n'));
            assert!(!text.trim_end_matches('\n').chars().any(char::is_control), "{text:?}");
            assert!(!text.contains('\u{2028}') && text.contains("forged"), "{text:?}");
        }
    }

    #[test]
    fn a_line_of_json_is_json() {
        let text = logged(Format::Json, "a\n\u{7f}\u{85}\u{2028}\"");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["level"], "INFO");
    }
}
