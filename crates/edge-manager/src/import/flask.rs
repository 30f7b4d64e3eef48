//! The database of the Flask manager.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use edge_filter::List;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use tempfile::TempDir;

use super::copy::copy_all;
use super::settings::understand;
use super::{Foreign, ImportError, Place, Problem, Terms};
use crate::clock::time_s;
use crate::rules::{self, Input, fit_by, fit_reason};
use crate::site::words::TemplateName;
use crate::site::{BackendInput, DomainInput, MAX_BACKENDS, MAX_DOMAINS, ServerInput, Site, SiteInput, Text};

/// Longest value, or row, that SQLite may hold, bytes.
const MAX_VALUE_BYTES: i32 = 1 << 20;

/// Longest text of a column that is read, bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Servers that are read, of all backends.
const MAX_SERVERS: usize = 100_000;

/// The database of a Flask manager, of which a copy is read: its manager may go on, and its file stays as it is.
#[derive(Debug)]
pub struct Flask {
    path: PathBuf,
    connection: Connection,
    /// Where the copy is.
    _directory: TempDir,
}

/// What its domains, backends and servers come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlaskSite {
    /// Those that can be taken, each with its number.
    pub domains: Vec<(i64, DomainInput)>,
    /// Those of the domains.
    pub backends: Vec<BackendInput>,
    /// Why others cannot, or not as a whole.
    pub problems: Vec<Problem>,
}

impl FlaskSite {
    /// Leaves out the domains at these positions, for these reasons, and the backends that no other has.
    pub fn leave_out(&mut self, reasons: impl IntoIterator<Item = (usize, String)>) {
        let mut reasons: BTreeMap<usize, String> = reasons.into_iter().collect();
        let (mut position, problems) = (0, &mut self.problems);
        self.domains.retain(|(id, _)| {
            let reason = reasons.remove(&position);
            position += 1;
            let is_kept = reason.is_none();
            problems.extend(reason.map(|reason| problem("domains", *id, reason)));
            is_kept
        });
        let used: BTreeSet<_> = self.domains.iter().map(|(_, domain)| &domain.backend_name).collect();
        self.backends.retain(|backend| used.contains(&backend.name));
    }
}

impl Flask {
    /// Takes a copy, with the changes that SQLite keeps beside it.
    ///
    /// # Errors
    /// It cannot be read, changes meanwhile, or has none of the tables.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let directory = tempfile::tempdir().map_err(|error| ImportError::Io(std::env::temp_dir(), error))?;
        let copy = directory.path().join("copy.db");
        copy_all(path, &copy)?;
        let sqlite = |error| ImportError::Sqlite(path.to_owned(), error);
        // To be written to: changes beside it are put into it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&copy, flags).map_err(sqlite)?;
        // By default SQLite would hold values of a gigabyte, several at once.
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES).map_err(sqlite)?;
        // What a foreign schema says is done with no more rights than it needs.
        connection.pragma_update(None, "trusted_schema", false).map_err(sqlite)?;
        let flask = Self { path: path.to_owned(), connection, _directory: directory };
        let tables = ["domains", "backends", "backend_servers", "blocked_ips"];
        for table in tables {
            if !flask.columns(table)?.is_empty() {
                return Ok(flask);
            }
        }
        Err(ImportError::NotFlask(path.to_owned()))
    }

    /// Its domains and backends, each looked at by itself. O(n log n) in its rows.
    ///
    /// # Errors
    /// It cannot be read, or has more rows than a site may have parts.
    pub fn site(&self) -> Result<FlaskSite, ImportError> {
        let mut site = FlaskSite::default();
        let mut servers = self.servers(&mut site.problems)?;
        let mut backends = self.backends(&mut servers, &mut site.problems)?;
        for (_, orphans) in servers {
            let reason = "its backend_id is that of no backend";
            site.problems.extend(orphans.into_iter().map(|(id, _)| problem("backend_servers", id, reason)));
        }
        let mut taken = Taken::default();
        let columns = ["ssl_enabled", "ssl_cert_path", "template_override", "is_wildcard", "domain"];
        let mut rows = Vec::new();
        self.each_row("domains", columns, MAX_DOMAINS, |id, texts| {
            rows.push((id, texts));
            Ok(())
        })?;
        for (id, texts) in rows {
            let of_domain = backends.remove(&id).unwrap_or_default();
            let result = texts.and_then(|texts| domain(texts, &of_domain, &mut taken, id, &mut site));
            if let Err(reason) = result {
                site.problems.push(problem("domains", id, reason));
            }
        }
        for (id, _) in backends.into_values().flatten() {
            site.problems.push(problem("backends", id, "its domain_id is that of no domain"));
        }
        Ok(site)
    }

    pub(super) fn each_rule<E: From<ImportError>>(
        &self,
        terms: &Terms,
        now_us: u64,
        take: &mut impl FnMut(Result<Foreign, Problem>) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = ["ip_address", "reason", "blocked_at", "blocked_by"];
        self.each_row("blocked_ips", columns, usize::MAX, |id, texts| {
            let foreign = texts.and_then(|texts| blocked(texts, terms, now_us));
            take(foreign.map_err(|reason| problem("blocked_ips", id, reason)))
        })
    }

    /// By the number of their backend; each with its own.
    fn servers(&self, problems: &mut Vec<Problem>) -> Result<Servers, ImportError> {
        let mut found = Servers::new();
        let columns = ["backend_id", "server_name", "server_address", "server_port", "server_options"];
        self.each_row("backend_servers", columns, MAX_SERVERS, |id, texts| {
            let server = texts.and_then(|texts| {
                let [backend, name, address, port, options] = texts.map(Option::unwrap_or_default);
                let backend = backend.parse::<i64>().map_err(|_| "it has no backend_id".to_owned())?;
                let options = Some(Text::from(options)).filter(|options| !options.is_empty());
                let (name, address, port) = (name.into(), address.into(), port.into());
                let server = ServerInput { name, address, port, options };
                let alone = BackendInput { servers: vec![server.clone()], ..named("backend") };
                check(&alone, &[]).map(|()| (backend, server))
            });
            match server {
                Ok((backend, server)) => found.entry(backend).or_default().push((id, server)),
                Err(reason) => problems.push(problem("backend_servers", id, reason)),
            }
            Ok::<_, ImportError>(())
        })?;
        Ok(found)
    }

    /// By the number of their domain; each with its own.
    fn backends(&self, servers: &mut Servers, problems: &mut Vec<Problem>) -> Result<Backends, ImportError> {
        let mut found = Backends::new();
        self.each_row("backends", ["domain_id", "name", "settings"], MAX_BACKENDS, |id, texts| {
            let servers = servers.remove(&id).unwrap_or_default();
            let backend = texts.and_then(|texts| {
                let [domain, name, settings] = texts.map(Option::unwrap_or_default);
                let domain = domain.parse::<i64>().map_err(|_| "it has no domain_id".to_owned())?;
                let mut backend = named(&name);
                let rest = understand(&settings, &mut backend);
                problems.extend(
                    rest.iter().map(|rest| {
                        problem("backends", id, format!("its settings are not understood: {rest}"))
                    }),
                );
                if let Err(reason) = check(&backend, &[]) {
                    // Of what was understood; the rest of it is worth having.
                    check(&named(&name), &[])?;
                    problems.push(problem("backends", id, reason));
                    backend = named(&name);
                }
                let mut names = BTreeSet::new();
                for (id, server) in servers {
                    if names.insert(server.name.to_string()) {
                        backend.servers.push(server);
                    } else {
                        let reason = format!("{} is the name of another server of the backend", server.name);
                        problems.push(problem("backend_servers", id, reason));
                    }
                }
                check(&backend, &[]).map(|()| (domain, backend))
            });
            match backend {
                Ok((domain, backend)) => found.entry(domain).or_default().push((id, backend)),
                Err(reason) => problems.push(problem("backends", id, reason)),
            }
            Ok::<_, ImportError>(())
        })?;
        Ok(found)
    }

    /// Gives the columns of each row as texts to `take`, in the order of their numbers: those that the table does not have
    /// are NULL. A table that is not there has no rows.
    fn each_row<const N: usize, E: From<ImportError>>(
        &self,
        table: &'static str,
        columns: [&'static str; N],
        max_rows: usize,
        mut take: impl FnMut(i64, Result<[Option<String>; N], String>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |error| ImportError::Sqlite(self.path.clone(), error);
        let there = self.columns(table)?;
        if there.is_empty() {
            return Ok(());
        }
        let or_null = |column: &&'static str| if there.contains(*column) { *column } else { "NULL" };
        let names: Vec<_> = ["id"].iter().chain(&columns).map(or_null).collect();
        let sql = format!("SELECT {} FROM {table} ORDER BY 1", names.join(", "));
        let mut statement = self.connection.prepare(&sql).map_err(sqlite)?;
        let mut rows = statement.query([]).map_err(sqlite)?;
        let (mut count, mut last) = (0, None);
        let here = |last, error| ImportError::Row { path: self.path.clone(), table, last, error };
        while let Some(row) = rows.next().map_err(|error| here(last, error))? {
            count += 1;
            if count > max_rows {
                return Err(ImportError::TooMany { table, max: max_rows }.into());
            }
            // Of one that is no number, 0 is told.
            let id = row.get(0).unwrap_or_default();
            last = Some(id);
            take(id, texts(row, &columns))?;
        }
        Ok(())
    }

    /// The columns of a table; none if it is not there, or a view or a virtual table, which could be anything.
    fn columns(&self, table: &str) -> Result<BTreeSet<String>, ImportError> {
        let sql = "SELECT info.name FROM pragma_table_list AS list JOIN pragma_table_info(list.name) AS info \
                   WHERE list.schema = 'main' AND list.type = 'table' AND list.name = ?";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let names = statement.query_map([table], |row| row.get(0))?;
            names.collect::<Result<_, _>>()
        };
        read().map_err(|error| ImportError::Sqlite(self.path.clone(), error))
    }
}

type Servers = BTreeMap<i64, Vec<(i64, ServerInput)>>;
type Backends = BTreeMap<i64, Vec<(i64, BackendInput)>>;

/// What the domains before have.
#[derive(Default)]
struct Taken {
    ids_by_name: BTreeMap<String, i64>,
    /// By the name of their backend.
    templates: BTreeMap<Text, TemplateName>,
}

/// Takes a domain with its backend.
fn domain(
    [ssl_enabled, ssl_cert_path, template_override, is_wildcard, name]: [Option<String>; 5],
    backends: &[(i64, BackendInput)],
    taken: &mut Taken,
    id: i64,
    site: &mut FlaskSite,
) -> Result<(), String> {
    let is_set =
        |flag: Option<String>| flag.is_some_and(|flag| !["", "0", "false"].contains(&&*flag.to_lowercase()));
    let Some((_, backend)) = backends.first() else { return Err("no backend can be taken for it".into()) };
    for (other, _) in &backends[1..] {
        let reason = format!("the domain {id} has the backend {} already", backend.name);
        site.problems.push(problem("backends", *other, reason));
    }
    let domain = DomainInput {
        domain: name.unwrap_or_default().into(),
        is_wildcard: is_set(is_wildcard),
        ssl_enabled: is_set(ssl_enabled),
        ssl_cert_path: ssl_cert_path.map(Text::from).filter(|path| !path.is_empty()),
        template_override: template_override.map(Text::from).filter(|name| !name.is_empty()),
        backend_name: backend.name.clone(),
    };
    check(backend, std::slice::from_ref(&domain))?;
    let canonical = domain.name().map_err(|reason| reason.to_string())?.to_string();
    if let Some(other) = taken.ids_by_name.get(&canonical) {
        return Err(format!("{canonical} is the name of domain {other} already"));
    }
    let template: Option<TemplateName> =
        domain.template_override.as_ref().and_then(|name| name.as_str().parse().ok());
    let others = taken.templates.get(&backend.name);
    if let (Some(template), Some(others)) = (&template, others)
        && template != others
    {
        return Err(format!(
            "template_override: \"{template}\" is not the template that another domain of the backend names, {others}"
        ));
    }
    match site.backends.iter().find(|other| other.name == backend.name) {
        Some(other) if other != backend => {
            return Err(format!(
                "{} is the name of another domain's backend, with other servers",
                backend.name
            ));
        }
        Some(_) => {}
        None => site.backends.push(backend.clone()),
    }
    taken.templates.extend(template.map(|template| (backend.name.clone(), template)));
    taken.ids_by_name.insert(canonical, id);
    site.domains.push((id, domain));
    Ok(())
}

fn blocked(
    [address, reason, blocked_at, blocked_by]: [Option<String>; 4],
    terms: &Terms,
    now_us: u64,
) -> Result<Foreign, String> {
    let address = address.unwrap_or_default();
    rules::client(List::Block, address.trim()).map_err(|invalid| format!("ip_{invalid}"))?;
    let (reason, by) = (fit_reason(&reason.unwrap_or_default()), fit_by(&blocked_by.unwrap_or_default()));
    let input = Input { reason: reason.trim(), by: by.trim(), ..terms.input(address.trim()) };
    let new = input.parse(now_us).map_err(|invalid| invalid.to_string())?;
    let created_at_s = blocked_at.as_deref().map(blocked_at_s).transpose()?;
    Ok(Foreign { new, created_at_s })
}

/// `2024-01-15 10:30:00`, in UTC as SQLite's CURRENT_TIMESTAMP.
fn blocked_at_s(text: &str) -> Result<u32, String> {
    let at_s = time_s(text.trim()).ok().and_then(|at_s| u32::try_from(at_s).ok());
    at_s.ok_or_else(|| format!("blocked_at: {text:?}: no time such as 2024-01-15 10:30:00"))
}

fn named(name: &str) -> BackendInput {
    BackendInput { name: name.into(), ..BackendInput::default() }
}

/// Whether a backend with these domains would be taken.
fn check(backend: &BackendInput, domains: &[DomainInput]) -> Result<(), String> {
    let input =
        SiteInput { backends: vec![backend.clone()], domains: domains.to_vec(), ..SiteInput::default() };
    Site::parse(&input).map(drop).map_err(|refused| refused.to_string())
}

fn problem(table: &'static str, id: i64, reason: impl ToString) -> Problem {
    Problem::new(Place::Row { table, id }, reason)
}

/// What says of a block why and by whom it is, which is no reason not to take it.
const COMMENTS: [&str; 2] = ["reason", "blocked_by"];

/// Clients and SQLite keep numbers as texts and texts as numbers.
fn texts<const N: usize>(row: &Row<'_>, columns: &[&str; N]) -> Result<[Option<String>; N], String> {
    let mut texts = [const { None }; N];
    for (at, (text, column)) in texts.iter_mut().zip(columns).enumerate() {
        *text = match row.get_ref(at + 1) {
            Ok(ValueRef::Null) => None,
            Ok(ValueRef::Integer(number)) => Some(number.to_string()),
            Ok(ValueRef::Real(number)) => Some(number.to_string()),
            Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) if COMMENTS.contains(column) => {
                Some(String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT_BYTES)]).into_owned())
            }
            Ok(ValueRef::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) if bytes.len() <= MAX_TEXT_BYTES => Some(text.to_owned()),
                Ok(_) => return Err(format!("{column}: longer than {MAX_TEXT_BYTES} bytes")),
                Err(_) => return Err(format!("{column}: not UTF-8")),
            },
            Ok(ValueRef::Blob(_)) => return Err(format!("{column}: no text")),
            Err(error) => return Err(format!("{column}: {error}")),
        };
    }
    Ok(texts)
}
