//! Lists of resources.

use super::lines::{BadLine, lines};
use crate::resource::method;
use crate::{Conditions, InvalidResource, Resource, Settings, Status};

/// One line of a list of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What the line names.
    pub resource: Resource,
    /// Its method column.
    pub conditions: Conditions,
    /// Its status column.
    pub status: Option<Status>,
}

/// Reads one resource a line: `/path` for every host, or `host/path`; with `/*` at its end it is a prefix. A
/// method in capital letters (`-` or `*` for any) and a status may follow in either order, and `#` at the
/// start of a line or behind white space begins a comment. A map of the form `/path false` is read too; its
/// `/path true`, a path that is not blocked, is skipped.
///
/// `contents` are whole lines of a file, the first of which is its line `first_line`, counted from 1. Of `settings` the
/// largest path and the treatment of `;params` count.
pub fn resources(
    contents: &[u8],
    first_line: usize,
    settings: &Settings,
) -> impl Iterator<Item = Result<Listed, BadLine>> {
    lines(contents, first_line).filter_map(|(number, line)| {
        listed(line, settings).map_err(|reason| BadLine::new(number, line, reason)).transpose()
    })
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("not UTF-8")]
    NotText,
    #[error(transparent)]
    Resource(#[from] InvalidResource),
    #[error("neither a method in capital letters nor a status from 400 to 599 follows the path")]
    Column,
    #[error("more than one method")]
    Methods,
    #[error("more than one status")]
    Statuses,
}

/// `None` for a line without a rule.
fn listed(line: &[u8], settings: &Settings) -> Result<Option<Listed>, Reason> {
    let line = str::from_utf8(line).map_err(|_| Reason::NotText)?;
    let mut columns = line.split_ascii_whitespace().take_while(|column| !column.starts_with('#'));
    let Some(name) = columns.next() else { return Ok(None) };
    let resource = Resource::parse(name, settings.parameter_segments, settings.max_path_bytes)?;
    let mut value = columns.clone();
    let (conditions, status) = match (value.next(), value.next()) {
        (Some("true"), None) => return Ok(None),
        (Some("false"), None) => (Conditions::default(), None),
        _ => method_and_status(columns)?,
    };
    Ok(Some(Listed { resource, conditions, status }))
}

fn method_and_status<'a>(
    columns: impl Iterator<Item = &'a str>,
) -> Result<(Conditions, Option<Status>), Reason> {
    let mut of_method = None;
    let mut status = None;
    for column in columns {
        if column.bytes().all(|b| b.is_ascii_digit()) {
            if status.replace(column.parse().map_err(|_| Reason::Column)?).is_some() {
                return Err(Reason::Statuses);
            }
        } else if of_method.replace(method_column(column)?).is_some() {
            return Err(Reason::Methods);
        }
    }
    Ok((of_method.unwrap_or_default(), status))
}

fn method_column(column: &str) -> Result<Conditions, Reason> {
    if matches!(column, "-" | "*") {
        return Ok(Conditions::default());
    }
    if !column.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'-' | b'_')) {
        return Err(Reason::Column);
    }
    let method = method(column.as_bytes()).ok_or(Reason::Column)?;
    Ok(Conditions { method: Some(method), ..Conditions::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InvalidHost, InvalidPath};

    fn read(contents: &str) -> Vec<Result<String, String>> {
        let show = |listed: Listed| {
            let method = listed.conditions.method.as_deref().unwrap_or("-");
            let status = listed.status.map_or(0, Status::code);
            format!("{} {method} {status}", listed.resource)
        };
        resources(contents.as_bytes(), 1, &Settings::default())
            .map(|line| line.map(show).map_err(|bad| bad.reason))
            .collect()
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        for (line, expected) in [
            ("/yeet", "/yeet - 0"),
            ("Shop.Example:80//a/../yeet", "shop.example/yeet - 0"),
            ("[::1]/a", "[::1]/a - 0"),
            ("/adm/*", "/adm/* - 0"),
            ("shop.example/*", "shop.example/* - 0"),
            ("/*", "/* - 0"),
            ("/a POST 410", "/a POST 410"),
            ("/a 410 POST", "/a POST 410"),
            ("/a - 404", "/a - 404"),
            ("/a * # any method", "/a - 0"),
            ("/a\tM-SEARCH\t# 410", "/a M-SEARCH 0"),
            ("/a false", "/a - 0"),
            ("/a false # x", "/a - 0"),
            ("\u{feff}/a\r", "/a - 0"),
            ("/a/http://b", "/a/http:/b - 0"),
            ("https://shop.example/a", "shop.example/a - 0"),
        ] {
            assert_eq!(read(line), [Ok(expected.to_owned())], "{line}");
        }
    }

    #[test]
    fn lines_without_a_rule_are_skipped() {
        assert_eq!(read("# comment\n\n \t\n/a true\n  # x\r\n"), []);
    }

    #[test]
    fn each_bad_line_says_what_is_wrong() {
        let cases: [(_, Reason); 18] = [
            ("yeet", InvalidResource::NoPath.into()),
            ("*", InvalidResource::NoPath.into()),
            ("ftp://shop.example/a", InvalidResource::Scheme.into()),
            ("192.0.2.0/24", InvalidResource::Address.into()),
            ("/wp-*", InvalidResource::Star.into()),
            ("*/a", InvalidResource::Host(InvalidHost).into()),
            ("fe80::1/a", InvalidResource::Host(InvalidHost).into()),
            ("/a?b", InvalidResource::Path(InvalidPath::QueryOrFragment).into()),
            ("/a#b", InvalidResource::Path(InvalidPath::QueryOrFragment).into()),
            ("/a\0", InvalidResource::Path(InvalidPath::Control).into()),
            ("/a post", Reason::Column),
            ("/a 200", Reason::Column),
            ("/a 99999999999", Reason::Column),
            ("/a false 404", Reason::Column),
            ("/a 404 false", Reason::Column),
            ("/a GET POST", Reason::Methods),
            ("/a - POST", Reason::Methods),
            ("/a 404 410", Reason::Statuses),
        ];
        for (line, expected) in cases {
            assert_eq!(read(line), [Err(expected.to_string())], "{line}");
        }
        let long = format!("/{}", "x".repeat(1024));
        assert_eq!(read(&long), [Err(InvalidPath::TooLong(1024).to_string())]);
        let bad: Vec<_> = resources(b"/a\n/\xff", 1, &Settings::default()).filter_map(Result::err).collect();
        assert_eq!(bad[0].to_string(), "line 2: \"/\u{fffd}\": not UTF-8");
    }
}
