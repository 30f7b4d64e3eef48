//! Targets of an older version, brought into the canonical form of today: rules are found by their text in that form.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::StoreError;
use crate::rules::{TargetText, target_of};

/// A table of targets, and by what the row is chosen that stays where two have become the same.
struct Table {
    name: &'static str,
    /// Of two rows, the one that this order has first stays.
    order: &'static str,
}

const TABLES: [Table; 2] = [
    // A rule that refuses stays before one that does not, then the one that ends later, then the later one.
    Table { name: "rules", order: "verdict > 1 DESC, expires_at_s IS NULL DESC, expires_at_s DESC, id DESC" },
    // The last event holds, as everywhere: that a rule was learned, or that one was taken back.
    Table { name: "lessons", order: "max(learned_at_us, coalesce(over_at_us, 0)) DESC, id DESC" },
];

/// Brings the targets of all rows into the form of today, in one transaction. The state directory is written anew then:
/// what it holds was written by the older version too. O(rules on resources) to look, and only a path or a condition with
/// an escape is read.
pub(super) fn renew(connection: &mut Connection) -> Result<(), StoreError> {
    let mut is_renewed = false;
    for table in &TABLES {
        is_renewed |= !stale(connection, table)?.is_empty();
    }
    if !is_renewed {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for table in &TABLES {
        // Another process may have done it meanwhile.
        for (id, target) in stale(&transaction, table)? {
            renew_row(&transaction, table, id, &target)?;
        }
    }
    transaction.execute("UPDATE publication SET revision = revision + 1", [])?;
    transaction.commit()?;
    Ok(())
}

/// The rows whose target has another text today, with that text.
fn stale(connection: &Connection, table: &Table) -> Result<Vec<(i64, TargetText)>, StoreError> {
    let sql = format!(
        "SELECT id, kind, target, conditions FROM {} WHERE kind IN ('exact', 'prefix') \
         AND (instr(target, '%') > 0 OR instr(conditions, '%') > 0)",
        table.name
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut stale = Vec::new();
    while let Some(row) = rows.next()? {
        let [kind, target, conditions] = [1, 2, 3].map(|column| row.get_ref(column));
        let (kind, target, conditions) = (kind?.as_str()?, target?.as_str()?, conditions?.as_str()?);
        // The commands that read such a row report it.
        let Ok(today) = target_of(kind, target, conditions) else { continue };
        let today = TargetText::of(&today);
        if (&*today.target, &*today.conditions) != (target, conditions) {
            stale.push((row.get(0)?, today));
        }
    }
    Ok(stale)
}

/// Gives this row its target. Where another one has that already, one of the two goes.
fn renew_row(
    transaction: &Transaction<'_>,
    table: &Table,
    id: i64,
    today: &TargetText,
) -> Result<(), StoreError> {
    let Table { name, order } = table;
    let TargetText { kind, target, conditions } = today;
    let same = format!("SELECT id FROM {name} WHERE kind = ? AND target = ? AND conditions = ?");
    let other: Option<i64> =
        transaction.query_row(&same, (kind, target, conditions), |row| row.get(0)).optional()?;
    if let Some(other) = other {
        let stays = format!("SELECT id FROM {name} WHERE id IN (?, ?) ORDER BY {order} LIMIT 1");
        let stays: i64 = transaction.query_row(&stays, [id, other], |row| row.get(0))?;
        let goes = if stays == id { other } else { id };
        transaction.execute(&format!("DELETE FROM {name} WHERE id = ?"), [goes])?;
        if goes == id {
            return Ok(());
        }
    }
    let renew = format!("UPDATE {name} SET target = ?, conditions = ? WHERE id = ?");
    transaction.execute(&renew, (target, conditions, id))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use edge_filter::{Action, NEVER};

    use super::super::{LessonSelection, Selection, Store, View};
    use super::*;

    /// A database with these rows as an older version wrote them, opened by this one.
    fn opened(rows: &str) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules.db");
        drop(Store::open(&path).unwrap());
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "INSERT INTO lists VALUES (1, 'manual'); INSERT INTO publication (one, revision) VALUES (1, 7);",
        )
        .unwrap();
        old.execute_batch(rows).unwrap();
        drop(old);
        let store = Store::open(&path).unwrap();
        (dir, store)
    }

    fn rule(id: i64, kind: &str, target: &str, conditions: &str, verdict: i16, end: &str) -> String {
        format!(
            "INSERT INTO rules VALUES ({id}, '{kind}', '{target}', '{conditions}', {verdict}, {end}, 1, '', 1, 'me');"
        )
    }

    fn rules(store: &Store) -> Vec<(i64, String, Action, u32)> {
        let read = |view: &View<'_>| {
            view.with_entries(&Selection::default(), |entries| {
                let columns = |entry: crate::rules::Entry| {
                    let rule = entry.rule;
                    (entry.id, rule.target.to_string(), rule.action, rule.expires_at_s)
                };
                entries.map(|entry| entry.map(columns)).collect()
            })?
        };
        store.read::<_, StoreError>(read).unwrap()
    }

    fn revision(store: &Store) -> Option<u64> {
        store.read::<_, StoreError>(|view| view.revision()).unwrap()
    }

    #[test]
    fn rules_of_an_older_version_are_found_by_the_form_of_today() {
        let (dir, store) = opened(
            &[
                rule(1, "exact", "/u/%40admin", "", 403, "NULL"),
                rule(2, "prefix", "a.example/%3Ax/*", "query=a=%2F method=GET", 403, "NULL"),
                rule(3, "exact", "/a%2Fb", "", 403, "NULL"),
                rule(4, "block", "192.0.2.1", "", 403, "NULL"),
            ]
            .concat(),
        );
        let found: Vec<_> = rules(&store).into_iter().map(|(id, target, ..)| (id, target)).collect();
        let expected = [
            (1, "/u/@admin"),
            (2, "a.example/:x/* method=GET query=a=/"),
            (3, "/a%2Fb"),
            (4, "block 192.0.2.1"),
        ];
        assert_eq!(found, expected.map(|(id, target)| (id, target.to_owned())));
        let target = target_of("exact", "/u/@admin", "").unwrap();
        let entry = store.write::<_, StoreError>(|record| record.find(&target)).unwrap();
        assert_eq!(entry.map(|entry| entry.id), Some(1));
        assert_eq!(revision(&store), Some(8), "the state directory is written anew");
        drop(store);
        let again = Store::open(&dir.path().join("rules.db")).unwrap();
        assert_eq!(revision(&again), Some(8), "once");
    }

    #[test]
    fn of_two_rules_that_become_one_the_stricter_and_later_one_stays() {
        let (_dir, store) = opened(
            &[
                rule(1, "exact", "/a@", "", 403, "100"),
                rule(2, "exact", "/a%40", "", 404, "NULL"),
                rule(3, "exact", "/b%40", "", 1, "NULL"),
                rule(4, "exact", "/b@", "", 403, "100"),
                rule(5, "exact", "/c%40%21", "", 403, "NULL"),
                rule(6, "exact", "/c@%21", "", 404, "NULL"),
            ]
            .concat(),
        );
        let deny = |text: &str| text.parse::<Action>().unwrap();
        let expected = [
            (2, "/a@", deny("deny 404"), NEVER),
            (4, "/b@", deny("deny 403"), 100),
            (6, "/c@!", deny("deny 404"), NEVER),
        ];
        assert_eq!(
            rules(&store),
            expected.map(|(id, target, action, end)| (id, target.to_owned(), action, end))
        );
        let counts: i64 = store
            .read::<_, StoreError>(|view| {
                Ok(view.connection.query_row("SELECT sum(rules) FROM rule_counts", [], |row| row.get(0))?)
            })
            .unwrap();
        assert_eq!(counts, 3);
    }

    #[test]
    fn of_two_lessons_that_become_one_the_last_stamp_holds() {
        let lesson = |id: i64, target: &str, learned_at_us: i64, over_at_us: &str| {
            format!(
                "INSERT INTO lessons VALUES ({id}, 'exact', '{target}', '', 'a', 403, 4000000000, '', {learned_at_us}, \
                 'b', 's', '', '', {over_at_us}, NULL, 0, NULL);"
            )
        };
        let (_dir, store) = opened(
            &[
                lesson(1, "a/%40", 5, "NULL"),
                lesson(2, "a/@", 6, "NULL"),
                lesson(3, "a/x%40", 5, "9"),
                lesson(4, "a/x@", 6, "NULL"),
            ]
            .concat(),
        );
        let all = LessonSelection { now_s: 1, limit: 9, ..LessonSelection::default() };
        let held = store.read::<_, StoreError>(|view| view.lessons(&all)).unwrap();
        assert_eq!(
            held.iter().map(|lesson| lesson.id).collect::<Vec<_>>(),
            [2],
            "the other one was taken back"
        );
    }
}
