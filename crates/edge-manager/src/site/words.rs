//! Texts that are one word of haproxy.cfg.
//!
//! Each type lists what it allows. None allows a line break, a control character, whitespace, a quote, a backslash, `#`
//! or `$`, so none can end a line, a word or a quote, begin a comment, or name a variable (HAProxy's configuration
//! manual, sections 2.2 and 2.3).

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::refusal::{Refusal, all_of};

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $canonical:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text as it stands in haproxy.cfg.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                let canonical: fn(&str) -> Result<String, Refusal> = $canonical;
                canonical(text).map(|text| Self(text.into()))
            }
        }
    };
}

word! {
    /// Name of a backend: 1 to 64 of letters, digits and `-_.:`. Names that begin with `edge_` are those of the templates.
    BackendName, |text| {
        section_name(text)?;
        if text.starts_with("edge_") {
            return Err("begins with edge_, as the sections of the templates do".into());
        }
        Ok(text.into())
    }
}

word! {
    /// Name of a server, or of a peer or mailer: 1 to 64 of letters, digits and `-_.:`.
    Name, |text| section_name(text).map(|()| text.into())
}

word! {
    /// Name of a host: labels of letters, digits, `-` and `_`, made lower case; at most 253 bytes (RFC 1035 section 2.3.4).
    HostName, host_name
}

word! {
    /// An absolute path without `..`: letters, digits and `-_.@+/`, at most 1024 bytes.
    FilePath, |text| {
        all_of(text, 1024, |b| b.is_ascii_alphanumeric() || b"-_.@+/".contains(&b), "letters, digits and -_.@+/")?;
        if !text.starts_with('/') {
            return Err("is not an absolute path".into());
        }
        if text.split('/').any(|part| part == "..") {
            return Err("leads through ..".into());
        }
        Ok(text.into())
    }
}

word! {
    /// Name of a template in the directory of the operator: letters, digits and `-_.`, no leading dot; `.j2` is added
    /// where it is missing.
    TemplateName, |text| {
        all_of(text, 64, |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b), "letters, digits and -_.")?;
        if text.starts_with('.') {
            return Err("begins with a dot".into());
        }
        Ok(if text.ends_with(".j2") { text.into() } else { format!("{text}.j2") })
    }
}

word! {
    /// Name of a header, cookie or query parameter: 1 to 64 of letters, digits and `-_`.
    FieldName, |text| {
        all_of(text, 64, |b| b.is_ascii_alphanumeric() || b"-_".contains(&b), "letters, digits and -_")?;
        Ok(text.into())
    }
}

word! {
    /// Path that a health check asks for, query too: begins with `/`, at most 512 bytes.
    CheckPath, |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~%?&=+,:@".contains(&b);
        all_of(text, 512, allowed, "letters, digits and /-_.~%?&=+,:@")?;
        if !text.starts_with('/') {
            return Err("does not begin with /".into());
        }
        Ok(text.into())
    }
}

word! {
    /// Statuses that a health check takes for healthy: `200`, `200-399`, or several apart by commas.
    CheckStatus, |text| {
        all_of(text, 64, |b| b.is_ascii_digit() || b"-,".contains(&b), "digits, - and ,")?;
        let status = |text: &str| text.parse().ok().filter(|status| text.len() == 3 && (100..600u16).contains(status));
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let ends = status(first).zip(status(last));
            if ends.is_none_or(|(first, last)| first > last) {
                return Err("is no list of statuses such as 200 or 200-399".into());
            }
        }
        Ok(text.into())
    }
}

word! {
    /// A mail address: letters, digits and `-_.+`, `@`, a host.
    MailAddress, |text| {
        let Some((local, host)) = text.split_once('@') else {
            return Err("is no mail address".into());
        };
        all_of(local, 64, |b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b), "letters, digits and -_.+")?;
        host_name(host).map(|host| format!("{local}@{host}"))
    }
}

word! {
    /// Name of a user or group of the system.
    UserName, |text| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        all_of(text, 32, allowed, "lower case letters, digits and -_")?;
        if text.starts_with('-') {
            return Err("begins with -".into());
        }
        Ok(text.into())
    }
}

word! {
    /// Name of a setting of the filter, such as `EDGE_LEARN_TTL`.
    SettingName, |text| {
        all_of(text, 64, |b| b.is_ascii_uppercase() || b == b'_', "upper case letters and _")?;
        if !text.starts_with("EDGE_") {
            return Err("does not begin with EDGE_".into());
        }
        if ["EDGE_STATE_DIR", "EDGE_BACKEND_FILE", "EDGE_NEVER_LEARN_FILES"].contains(&text) {
            return Err("is set by the manager".into());
        }
        Ok(text.into())
    }
}

word! {
    /// Value of a setting of the filter.
    SettingValue, |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.,:/*".contains(&b);
        all_of(text, 1024, allowed, "letters, digits and -_.,:/*")?;
        Ok(text.into())
    }
}

word! {
    /// Text on a page: anything but control characters, at most 500 bytes. It never stands in haproxy.cfg; the templates
    /// of pages escape it for HTML.
    PageText, |text| {
        if text.len() > 500 {
            return Err("is longer than 500 bytes".into());
        }
        match text.chars().find(|c| c.is_control() || ['\u{2028}', '\u{2029}'].contains(c)) {
            Some(c) => Err(format!("has {}", super::refusal::name_of(c)).into()),
            None => Ok(text.into()),
        }
    }
}

fn section_name(text: &str) -> Result<(), Refusal> {
    all_of(text, 64, |b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b), "letters, digits and -_.:")
}

fn host_name(text: &str) -> Result<String, Refusal> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    all_of(text, 253, allowed, "letters, digits and -_. (international names in their xn-- form)")?;
    if text
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-'))
    {
        return Err(
            "is no host name: each label has 1 to 63 letters, digits, - and _, and no - at its ends".into()
        );
    }
    Ok(text.to_ascii_lowercase())
}
