//! Certificates in the record, and orders of them. Keys are in files.

use std::str::FromStr;

use rusqlite::Row;

use super::{Changes, StoreError, View};
use crate::certificates::{KeyKind, KeyKinds, Names, Proof, Step};

/// A certificate that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Its names; it is called by the first.
    pub names: Names,
    /// Its keys.
    pub keys: KeyKinds,
    /// How control of the names is proven; `None` of one that an operator brought.
    pub proof: Option<Proof>,
    /// Its end, seconds since the Unix epoch.
    pub expires_at_s: u64,
    /// When it is to be renewed, seconds since the Unix epoch.
    pub renew_at_s: Option<u64>,
    /// Renewals that failed one after the other.
    pub failures: u32,
    /// When the next one may be tried, seconds since the Unix epoch.
    pub retry_at_s: Option<u64>,
    /// Why the last one failed.
    pub problem: Option<String>,
    /// Days before its end that were warned of last.
    pub warned_days: Option<u32>,
}

/// An order of a certificate with one key, until HAProxy has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// The names; the certificate is called by the first.
    pub names: Names,
    /// The kind of its key.
    pub key: KeyKind,
    /// How control of the names is proven; `None` of one that an operator brought.
    pub proof: Option<Proof>,
    /// When it was begun, seconds since the Unix epoch.
    pub begun_at_s: u64,
    /// How far it has come.
    pub step: Step,
    /// Where the server keeps it.
    pub url: Option<String>,
    /// Tries that failed one after the other.
    pub failures: u32,
    /// When the next one may be, seconds since the Unix epoch.
    pub retry_at_s: Option<u64>,
}

impl View<'_> {
    /// All certificates, in the order of their names.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn certificates(&self) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = "SELECT names, keys, proof, expires_at_s, renew_at_s, failures, retry_at_s, problem, warned_days \
                   FROM certificates ORDER BY name";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let seconds =
                |column| Ok::<_, StoreError>(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned));
            let proof: Option<String> = row.get(2)?;
            found.push(CertificateRow {
                names: names(row, 0)?,
                keys: word(&row.get::<_, String>(1)?)?,
                proof: proof.as_deref().map(word).transpose()?,
                expires_at_s: row.get::<_, i64>(3)?.cast_unsigned(),
                renew_at_s: seconds(4)?,
                failures: row.get(5)?,
                retry_at_s: seconds(6)?,
                problem: row.get(7)?,
                warned_days: row.get(8)?,
            });
        }
        Ok(found)
    }

    /// The certificate of this name.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate(&self, name: &str) -> Result<Option<CertificateRow>, StoreError> {
        Ok(self.certificates()?.into_iter().find(|row| row.names.primary() == name))
    }

    /// All orders that have not ended, in the order of their names.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn orders(&self) -> Result<Vec<OrderRow>, StoreError> {
        let sql = "SELECT names, key, proof, begun_at_s, step, url, failures, retry_at_s \
                   FROM certificate_orders ORDER BY certificate, key";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let proof: Option<String> = row.get(2)?;
            found.push(OrderRow {
                names: names(row, 0)?,
                key: word(&row.get::<_, String>(1)?)?,
                proof: proof.as_deref().map(word).transpose()?,
                begun_at_s: row.get::<_, i64>(3)?.cast_unsigned(),
                step: word(&row.get::<_, String>(4)?)?,
                url: row.get(5)?,
                failures: row.get(6)?,
                retry_at_s: row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned),
            });
        }
        Ok(found)
    }
}

impl Changes<'_> {
    /// Adds a certificate, or replaces what was said of the one of its name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_certificate(&mut self, row: &CertificateRow) -> Result<(), StoreError> {
        let CertificateRow { names, keys, proof, expires_at_s, renew_at_s, .. } = row;
        let CertificateRow { failures, retry_at_s, problem, warned_days, .. } = row;
        let sql = "INSERT OR REPLACE INTO certificates (name, names, keys, proof, expires_at_s, renew_at_s, failures, \
                   retry_at_s, problem, warned_days) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = (
            names.primary(),
            names.to_string(),
            keys.name(),
            proof.map(Proof::name),
            expires_at_s.cast_signed(),
            renew_at_s.map(u64::cast_signed),
            failures,
            retry_at_s.map(u64::cast_signed),
            problem,
            warned_days,
        );
        self.view.connection.execute(sql, values)?;
        Ok(())
    }

    /// Removes what is said of the certificate of this name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove_certificate(&mut self, name: &str) -> Result<(), StoreError> {
        self.view.connection.execute("DELETE FROM certificates WHERE name = ?", [name])?;
        Ok(())
    }

    /// Adds an order, or says how far the one of its name and key has come.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_order(&mut self, row: &OrderRow) -> Result<(), StoreError> {
        let OrderRow { names, key, proof, begun_at_s, step, url, failures, retry_at_s } = row;
        let sql = "INSERT OR REPLACE INTO certificate_orders (certificate, key, names, proof, begun_at_s, step, url, \
                   failures, retry_at_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = (
            names.primary(),
            key.name(),
            names.to_string(),
            proof.map(Proof::name),
            begun_at_s.cast_signed(),
            step.name(),
            url,
            failures,
            retry_at_s.map(u64::cast_signed),
        );
        self.view.connection.execute(sql, values)?;
        Ok(())
    }

    /// Ends all orders for this name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove_orders(&mut self, name: &str) -> Result<(), StoreError> {
        self.view.connection.execute("DELETE FROM certificate_orders WHERE certificate = ?", [name])?;
        Ok(())
    }
}

fn names(row: &Row<'_>, column: usize) -> Result<Names, StoreError> {
    let text: String = row.get(column)?;
    let texts: Vec<&str> = text.split(' ').collect();
    Names::parse(&texts).map_err(|_| StoreError::Certificate { what: "its names" })
}

fn word<T: FromStr<Err = &'static str>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|what| StoreError::Certificate { what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn certificates_and_orders_are_read_as_they_were_written_and_replaced_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("rules.db")).unwrap();
        let names = Names::parse(&["shop.example", "*.shop.example"]).unwrap();
        let bought = CertificateRow {
            names: names.clone(),
            keys: KeyKinds::Both,
            proof: None,
            expires_at_s: 253_402_300_799,
            renew_at_s: None,
            failures: 0,
            retry_at_s: None,
            problem: None,
            warned_days: None,
        };
        let got = CertificateRow {
            proof: Some(Proof::Dns),
            renew_at_s: Some(7),
            failures: 2,
            retry_at_s: Some(8),
            problem: Some("no".to_owned()),
            warned_days: Some(14),
            ..bought.clone()
        };
        let order = |key| OrderRow {
            names: names.clone(),
            key,
            proof: Some(Proof::Manual),
            begun_at_s: 5,
            step: Step::Ordered,
            url: Some("https://acme.example/1".to_owned()),
            failures: 3,
            retry_at_s: Some(9),
        };
        let orders = [KeyKind::Ecdsa, KeyKind::Rsa].map(order);
        store
            .write::<_, StoreError>(|record| {
                record.put_certificate(&bought)?;
                let brought = OrderRow { proof: None, url: None, retry_at_s: None, ..orders[0].clone() };
                record.put_order(&brought)?;
                assert_eq!(record.orders()?, [brought]);
                orders.iter().try_for_each(|order| record.put_order(order))
            })
            .unwrap();
        assert_eq!(
            store.read::<_, StoreError>(|view| view.certificate("shop.example")).unwrap(),
            Some(bought)
        );
        assert_eq!(store.read::<_, StoreError>(|view| view.orders()).unwrap(), orders);
        store
            .write::<_, StoreError>(|record| {
                record.put_certificate(&got)?;
                record.remove_orders("shop.example")
            })
            .unwrap();
        assert_eq!(store.read::<_, StoreError>(|view| view.certificates()).unwrap(), [got]);
        assert_eq!(store.read::<_, StoreError>(|view| view.orders()).unwrap(), []);
    }
}
