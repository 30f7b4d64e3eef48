//! Domains, backends and servers in the record.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Changes, StoreError, View};
use crate::site::{BackendInput, DomainInput, ServerInput, Text};
use crate::sites::SiteRecord;

/// A domain with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedDomain {
    /// Its number, never given twice.
    pub id: i64,
    /// What was sent of it, its name canonical.
    pub domain: DomainInput,
}

impl View<'_> {
    /// What haproxy.cfg is made of; `None` as long as nothing was ever said of it. O(domains, backends and servers).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn site(&self) -> Result<Option<SiteRecord>, StoreError> {
        let global = "SELECT settings FROM global";
        let global = self.connection.query_row(global, [], |row| row.get::<_, String>(0)).optional()?;
        let Some(global) = global else { return Ok(None) };
        let mut record = SiteRecord::default();
        record.input.global = read("the global part", &global)?;
        record.input.domains = self.domains()?.into_iter().map(|recorded| recorded.domain).collect();
        let mut servers = servers(self.connection)?;
        for (name, row) in backends(self.connection)? {
            let mut backend: BackendInput = read(&format!("backend {name}"), &row.settings)?;
            backend.servers = servers.remove(&row.id).unwrap_or_default();
            backend.name = name.as_str().into();
            record.input.backends.push(backend);
            if row.is_implied {
                record.implied.insert(name);
            }
        }
        Ok(Some(record))
    }

    /// The domains, in the order in which they were made. O(domains).
    ///
    /// # Errors
    /// They cannot be read.
    pub fn domains(&self) -> Result<Vec<RecordedDomain>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT domains.id, domain, ssl_enabled, ssl_cert_path, template_override, backends.name FROM domains \
             JOIN backends ON backends.id = domains.backend ORDER BY domains.id",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            found.push(RecordedDomain {
                id: row.get(0)?,
                domain: DomainInput {
                    is_wildcard: name.starts_with("*."),
                    domain: name.into(),
                    ssl_enabled: row.get(2)?,
                    ssl_cert_path: row.get::<_, Option<String>>(3)?.map(Text::from),
                    template_override: row.get::<_, Option<String>>(4)?.map(Text::from),
                    backend_name: row.get::<_, String>(5)?.into(),
                },
            });
        }
        Ok(found)
    }

    /// The number of a domain, by its canonical name. O(log domains).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn domain_id(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let id =
            self.connection.query_row("SELECT id FROM domains WHERE domain = ?", [name], |row| row.get(0));
        Ok(id.optional()?)
    }
}

impl Changes<'_> {
    /// Lets the record have this, whose names are canonical and valid: what is not in it any more is removed, and what stays
    /// keeps its number. Only rows that differ are written. O(n log n) in the domains, backends and servers.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_site(&mut self, site: &SiteRecord) -> Result<(), StoreError> {
        let connection = self.view.connection;
        connection.execute(
            "INSERT INTO global VALUES (1, ?1) ON CONFLICT DO UPDATE SET settings = ?1 WHERE settings <> ?1",
            [settings(&site.input.global)],
        )?;
        let mut ids = BTreeMap::new();
        let mut gone = backends(connection)?;
        let mut old_servers = servers(connection)?;
        for backend in &site.input.backends {
            let name = backend.name.as_str();
            let row = gone.remove(name);
            let is_implied = site.implied.contains(name);
            let id = set_backend(connection, backend, is_implied, row)?;
            set_servers(connection, id, &backend.servers, old_servers.remove(&id).unwrap_or_default())?;
            ids.insert(name, id);
        }
        self.set_domains(&site.input.domains, &ids)?;
        // Last: a domain may just have left them.
        for row in gone.values() {
            connection.execute("DELETE FROM backends WHERE id = ?", [row.id])?;
        }
        Ok(())
    }

    fn set_domains(&self, domains: &[DomainInput], ids: &BTreeMap<&str, i64>) -> Result<(), StoreError> {
        let connection = self.view.connection;
        let old = self.view.domains()?.into_iter();
        let mut gone: BTreeMap<_, _> =
            old.map(|recorded| (recorded.domain.domain.as_str().to_owned(), recorded)).collect();
        for domain in domains {
            let (name, backend) = (domain.domain.as_str(), ids.get(domain.backend_name.as_str()));
            let old = gone.remove(name);
            if old.as_ref().is_some_and(|old| old.domain == *domain) {
                continue;
            }
            let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
            let (certificate, template) = (text(&domain.ssl_cert_path), text(&domain.template_override));
            match old {
                Some(old) => {
                    let sql = "UPDATE domains SET backend = ?, ssl_enabled = ?, ssl_cert_path = ?, \
                               template_override = ? WHERE id = ?";
                    let values = (backend, domain.ssl_enabled, certificate, template, old.id);
                    connection.execute(sql, values)?;
                }
                None => {
                    let sql = "INSERT INTO domains (domain, backend, ssl_enabled, ssl_cert_path, \
                               template_override) VALUES (?, ?, ?, ?, ?)";
                    let values = (name, backend, domain.ssl_enabled, certificate, template);
                    connection.execute(sql, values)?;
                }
            }
        }
        for recorded in gone.values() {
            connection.execute("DELETE FROM domains WHERE id = ?", [recorded.id])?;
        }
        Ok(())
    }
}

/// A backend without its servers.
struct BackendRow {
    id: i64,
    settings: String,
    is_implied: bool,
}

fn backends(connection: &Connection) -> Result<BTreeMap<String, BackendRow>, StoreError> {
    let mut statement = connection.prepare("SELECT name, id, settings, is_implied FROM backends")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, BackendRow { id: row.get(1)?, settings: row.get(2)?, is_implied: row.get(3)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// By the number of their backend, in their order.
fn servers(connection: &Connection) -> Result<BTreeMap<i64, Vec<ServerInput>>, StoreError> {
    let mut statement = connection
        .prepare("SELECT backend, name, address, port, options FROM servers ORDER BY backend, position")?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<i64, Vec<ServerInput>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get::<_, String>(column).map(Text::from);
        found.entry(row.get(0)?).or_default().push(ServerInput {
            name: text(1)?,
            address: text(2)?,
            port: text(3)?,
            options: row.get::<_, Option<String>>(4)?.map(Text::from),
        });
    }
    Ok(found)
}

/// The number of the backend, which has these settings then.
fn set_backend(
    connection: &Connection,
    backend: &BackendInput,
    is_implied: bool,
    row: Option<BackendRow>,
) -> Result<i64, StoreError> {
    let settings = settings(&BackendInput { name: Text::default(), servers: Vec::new(), ..backend.clone() });
    match row {
        Some(row) if row.settings == settings && row.is_implied == is_implied => Ok(row.id),
        Some(row) => {
            let sql = "UPDATE backends SET settings = ?, is_implied = ? WHERE id = ?";
            connection.execute(sql, (settings, is_implied, row.id))?;
            Ok(row.id)
        }
        None => {
            let sql = "INSERT INTO backends (name, settings, is_implied) VALUES (?, ?, ?)";
            let values = (backend.name.as_str(), settings, is_implied);
            connection.execute(sql, values)?;
            Ok(connection.last_insert_rowid())
        }
    }
}

fn set_servers(
    connection: &Connection,
    backend: i64,
    servers: &[ServerInput],
    old: Vec<ServerInput>,
) -> Result<(), StoreError> {
    if old == servers {
        return Ok(());
    }
    let names: BTreeSet<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    for gone in old.iter().filter(|server| !names.contains(server.name.as_str())) {
        let sql = "DELETE FROM servers WHERE backend = ? AND name = ?";
        connection.execute(sql, (backend, gone.name.as_str()))?;
    }
    let sql = "INSERT INTO servers (backend, position, name, address, port, options) VALUES (?, ?, ?, ?, ?, ?) \
               ON CONFLICT (backend, name) DO UPDATE SET position = excluded.position, address = excluded.address, \
               port = excluded.port, options = excluded.options";
    let mut put = connection.prepare(sql)?;
    for (position, server) in (0i64..).zip(servers) {
        let ServerInput { name, address, port, options } = server;
        let options = options.as_ref().map(Text::as_str);
        put.execute((backend, position, name.as_str(), address.as_str(), port.as_str(), options))?;
    }
    Ok(())
}

/// What was said: without what was left out.
fn settings<T: Serialize + Default>(input: &T) -> String {
    // These types are structs of texts and numbers, which become JSON.
    let object = |input: &T| match serde_json::to_value(input) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let default = object(&T::default());
    let mut said = object(input);
    said.retain(|name, value| default.get(name) != Some(value));
    Value::Object(said).to_string()
}

fn read<T: DeserializeOwned>(part: &str, settings: &str) -> Result<T, StoreError> {
    serde_json::from_str(settings).map_err(|reason| StoreError::Part { part: part.to_owned(), reason })
}
