//! When the server wants certificates to be renewed (RFC 9773).

use instant_acme::Account;

use super::authority::{Authority, Window};
use super::renewal::{latest_s, within};
use super::service::random;
use super::{CertificateError, Certificates, Leaf};
use crate::store::CertificateRow;

/// Between two questions when the server wants a certificate to be renewed, seconds: at least, at most, and after a failure.
const MIN_WINDOW_S: u64 = 60;
const MAX_WINDOW_S: u64 = 86_400;
const FAILED_WINDOW_S: u64 = 3_600;

impl Certificates {
    /// Asks the server when it wants certificates to be renewed, where it says so and enough time has passed. Ends with the first
    /// question that it does not answer.
    ///
    /// # Errors
    /// The server cannot be asked, or the record cannot be used.
    pub fn ask_when(&self, now_s: u64) -> Result<(), CertificateError> {
        let mut rows = self.used()?;
        {
            let (mut ask_at_s, taken) = (self.ask_at_s.lock(), self.taken.lock());
            rows.retain(|row| {
                let name = row.names.primary();
                let is_early = ask_at_s.get(name).is_some_and(|at_s| *at_s > now_s);
                row.proof.is_some() && !is_early && !taken.contains(name)
            });
            // Who does not answer of one does not answer of the next one either.
            let later = rows.iter().map(|row| (row.names.primary().to_owned(), now_s + FAILED_WINDOW_S));
            ask_at_s.extend(later);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let authority = self.authority.apart();
        self.wait(async {
            let account = authority.account(&self.files, false).await?;
            for row in rows {
                let name = row.names.primary();
                let pause_s = match earliest(&authority, &account, &self.leaves(&self.path(&row.names))).await
                {
                    Ok(Some(window)) => {
                        self.draw(&row, window)?;
                        window.again_s.clamp(MIN_WINDOW_S, MAX_WINDOW_S)
                    }
                    Ok(None) => MAX_WINDOW_S,
                    Err(error @ CertificateError::Authority { is_passing: true, .. }) => return Err(error),
                    Err(error) => {
                        tracing::debug!(name, %error, "the server does not say when to renew");
                        FAILED_WINDOW_S
                    }
                };
                self.ask_at_s.lock().insert(name.to_owned(), now_s + pause_s);
            }
            Ok(())
        })
    }

    /// Draws a time of this window, unless the one that is recorded is in it.
    fn draw(&self, row: &CertificateRow, window: Window) -> Result<(), CertificateError> {
        let is_within = |at_s| (window.from_s..=window.to_s).contains(&at_s);
        if row.renew_at_s.is_some_and(is_within) {
            return Ok(());
        }
        let at_s = within(window.from_s, window.to_s, random());
        self.store.write(|record| {
            if let Some(row) = record.certificate(row.names.primary())? {
                record.put_certificate(&CertificateRow { renew_at_s: Some(at_s), ..row })?;
            }
            Ok(())
        })
    }
}

/// The window that begins first of those that the server suggests for the files of one certificate: they are renewed together.
/// None goes beyond the latest time.
async fn earliest(
    authority: &Authority,
    account: &Account,
    leaves: &[Leaf],
) -> Result<Option<Window>, CertificateError> {
    let mut earliest: Option<Window> = None;
    for leaf in leaves.iter().filter(|leaf| !leaf.is_self_signed) {
        let Some(window) = authority.window(account, leaf).await? else { continue };
        let until = |at_s: u64| at_s.min(latest_s(leaf));
        let window = Window { from_s: until(window.from_s), to_s: until(window.to_s), ..window };
        if earliest.is_none_or(|found| window.from_s < found.from_s) {
            earliest = Some(window);
        }
    }
    Ok(earliest)
}
