//! Ecto's query lines: `QUERY OK source="episodes" db=1.2ms decode=0.3ms queue=0.1ms idle=812.4ms`.
//!
//! The text is that of `ecto_sql/lib/ecto/adapters/sql.ex`: the SQL follows on lines of its own, ends in a
//! blank and the inspected list of parameters, and with `stacktrace: true` a line `↳ Mod.fun/1, at: file:line`
//! tells who asked. `db.query.text` is the SQL without that list, which holds the users' data; where the list
//! can't be told from the SQL (Logger cut the message in the middle of it) they stay together.

use memchr::memmem;

use super::{
    frame::Frame,
    measure::{float, sum_ms},
    message::{split_last, split_line},
};
use crate::{
    inspected::{group, quoted_len},
    record::{Record, Role, Scratch, Value},
};

/// How many blanks before brackets that never close are looked at before the parameters count as not found.
const UNCLOSED_MAX: usize = 16;

/// Sets the fields of such a message.
pub(super) fn set<'a>(message: &'a [u8], scratch: &'a Scratch, record: &mut Record<'a>) -> Option<()> {
    let (line, rest) = split_line(message);
    let result = line.strip_prefix(b"QUERY ")?;
    let (name, failed, facts) = match result.strip_prefix(b"OK ") {
        Some(facts) => ("QUERY OK", false, facts),
        None => ("QUERY ERROR", true, result.strip_prefix(b"ERROR ")?),
    };
    let (source, times) = source(facts);
    let db = time_ms(times, b"db=")?;
    let (decode, queue) = (time_ms(times, b"decode="), time_ms(times, b"queue="));
    record.set("name", Value::text(name));
    record.set_text("db.collection.name", source);
    let total = sum_ms([db, queue.unwrap_or_default(), decode.unwrap_or_default()]);
    for (field, ms) in [
        ("duration_ms", Some(total)),
        ("ecto.db_ms", Some(db)),
        ("ecto.decode_ms", decode),
        ("ecto.queue_ms", queue),
        ("ecto.idle_ms", time_ms(times, b"idle=")),
    ] {
        if let Some(ms) = ms {
            record.set(field, Value::Float(ms));
        }
    }
    record.error |= failed;
    let (sql, caller) = split_last(rest, "\n↳ ".as_bytes()).unwrap_or((rest, b""));
    record.set_text("db.query.text", without_params(sql.trim_ascii()));
    if let Some((function, place)) = split_last(split_line(caller).0, b", at: ") {
        Frame::new(function, place).set(scratch, record);
    }
    record.role = Role::Queried;
    Some(())
}

/// `source="episodes" db=…` → the source, the times.
fn source(facts: &[u8]) -> (&[u8], &[u8]) {
    let quoted = || {
        let text = facts.strip_prefix(b"source=")?;
        let (quoted, times) = text.split_at(quoted_len(text)?);
        Some((&quoted[1..quoted.len() - 1], times))
    };
    quoted().unwrap_or((b"", facts))
}

/// The milliseconds under a key: `db=1.2ms`.
fn time_ms(times: &[u8], key: &[u8]) -> Option<f64> {
    let mut words = times.split(|byte| *byte == b' ');
    words.find_map(|word| float(word.strip_prefix(key)?.strip_suffix(b"ms")?))
}

/// The SQL before ` [the, parameters]`.
fn without_params(sql_and_params: &[u8]) -> &[u8] {
    let (mut from, mut unclosed) = (0, 0);
    while let Some(blank) = memmem::find(&sql_and_params[from..], b" [").map(|at| from + at) {
        match group(&sql_and_params[blank + 1..]) {
            Some((len, _)) if blank + 1 + len == sql_and_params.len() => {
                return sql_and_params[..blank].trim_ascii_end();
            }
            Some((len, _)) => from = blank + 1 + len,
            None if unclosed == UNCLOSED_MAX => break,
            None => {
                unclosed += 1;
                from = blank + 1;
            }
        }
    }
    sql_and_params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(message: &'a str, scratch: &'a Scratch) -> Record<'a> {
        let mut record = Record::new();
        assert_eq!(set(message.as_bytes(), scratch, &mut record), Some(()), "{message}");
        record
    }

    #[test]
    fn a_query_of_several_lines() {
        let scratch = Scratch::new();
        let message = "QUERY OK source=\"episodes\" db=1.0e3ms decode=0.3ms queue=1.5e3ms idle=812.4ms\n\
                       SELECT e0.\"id\",\nARRAY [1] FROM \"episodes\" AS e0 WHERE (e0.\"slug\" = $1) \
                       [\"6]00 [\\\"\", ~N[2026-11-21 21:12:51], [1, 2]]\n\
                       ↳ Changelog.Episodes.get/1, at: lib/changelog/episodes.ex:42\n  A.b/1, at: lib/a.ex:1";
        let record = fields(message, &scratch);
        let sql = "SELECT e0.\"id\",\nARRAY [1] FROM \"episodes\" AS e0 WHERE (e0.\"slug\" = $1)";
        for (name, value) in [
            ("name", Value::text("QUERY OK")),
            ("db.collection.name", Value::text("episodes")),
            ("duration_ms", Value::Float(2500.3)),
            ("ecto.db_ms", Value::Float(1000.0)),
            ("ecto.queue_ms", Value::Float(1500.0)),
            ("ecto.decode_ms", Value::Float(0.3)),
            ("ecto.idle_ms", Value::Float(812.4)),
            ("db.query.text", Value::text(sql)),
            ("code.function.name", Value::text("Changelog.Episodes.get/1")),
            ("code.file.path", Value::text("lib/changelog/episodes.ex")),
            ("code.line.number", Value::Int(42)),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        assert!(!record.error);
    }

    #[test]
    fn a_failed_query_and_one_without_source() {
        let scratch = Scratch::new();
        let record = fields("QUERY ERROR db=0.0ms queue=0.1ms idle=21.3ms\nSELEC 1 []", &scratch);
        assert_eq!(record.get("name"), Some(Value::text("QUERY ERROR")));
        assert_eq!(record.get("db.query.text"), Some(Value::text("SELEC 1")));
        assert_eq!(record.get("db.collection.name"), None);
        assert_eq!(record.get("ecto.decode_ms"), None);
        assert!(record.error);
        let record = fields("QUERY OK db=0.2ms\nbegin []", &scratch);
        assert_eq!(record.get("db.query.text"), Some(Value::text("begin")));
        assert_eq!(fields("QUERY OK db=0.2ms", &scratch).get("db.query.text"), None);
    }

    #[test]
    fn parameters_that_were_cut_stay() {
        for sql in ["SELECT 1 [\"abc (truncated)", "SELECT ' [' [1] x"] {
            assert_eq!(without_params(sql.as_bytes()), sql.as_bytes());
        }
        let hostile = " [".repeat(100_000);
        assert_eq!(without_params(hostile.as_bytes()).len(), hostile.len());
    }

    #[test]
    fn other_messages_are_not_queries() {
        let scratch = Scratch::new();
        for message in
            ["QUERY OK", "QUERY OK took=1ms", "QUERY FINE db=1.0ms", "QUERY OK db=1.0s", "QUERY OK db=xms"]
        {
            assert_eq!(set(message.as_bytes(), &scratch, &mut Record::new()), None, "{message}");
        }
    }
}
