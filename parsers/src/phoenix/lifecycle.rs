//! Boot, shutdown and migrations: lines that set only what kind they are, in `name`.
//!
//! The texts are those of Phoenix's server adapters and endpoint supervisor, Ecto.Migrator and its runner,
//! OTP's signal handler, and Logger's translation of application and supervisor reports.

use memchr::memmem;

use super::message::split_line;
use crate::record::{Record, Value};

/// What a line begins with, what else is in it, and its name. The first that fits counts.
const KINDS: [(&str, &str, &str); 12] = [
    ("Running ", " already in use", "Endpoint port in use"),
    ("Running ", " with ", "Running endpoint"),
    ("Access ", " at ", "Access endpoint"),
    ("SIGTERM received", "", "SIGTERM received"),
    ("== Running ", "", "Running migration"),
    ("== Migrated ", " in ", "Migrated"),
    ("Migrations already ", "", "Migrations already up"),
    ("Application ", " started at ", "Application started"),
    ("Application ", " exited: ", "Application exited"),
    ("Child of Supervisor ", " started", "Child started"),
    ("Child ", " started", "Child started"),
    ("Children ", " started", "Child started"),
];

/// Sets the name of such a message.
pub(super) fn set(message: &[u8], record: &mut Record<'_>) -> Option<()> {
    let (line, _) = split_line(message);
    let fits = |(start, within, _): &&(&str, &str, &str)| {
        line.strip_prefix(start.as_bytes())
            .is_some_and(|rest| memmem::find(rest, within.as_bytes()).is_some())
    };
    let (_, _, name) = KINDS.iter().find(fits)?;
    record.set("name", Value::text(name));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::message::shown;

    #[test]
    fn lines_of_a_life() {
        for (message, name) in [
            ("Running A.Endpoint with cowboy 2.14.2 at :::4000 (http)", "Running endpoint"),
            ("Running A.Endpoint with Bandit 1.5.7 at /run/a.sock (http+unix)", "Running endpoint"),
            ("Running A.Endpoint with cowboy 2.9.0 failed, port 4000 already in use", "Endpoint port in use"),
            ("Access A.Endpoint at https://example.com", "Access endpoint"),
            ("SIGTERM received - shutting down", "SIGTERM received"),
            ("== Running 20180101 Demo.Repo.Migrations.X.change/0 forward", "Running migration"),
            ("== Migrated 20180101 in 0.0s", "Migrated"),
            ("Migrations already up", "Migrations already up"),
            ("Application ssl started at :nonode@nohost", "Application started"),
            ("Application a exited: A.start(:normal, []) returned an error: x\ny", "Application exited"),
            ("Child Podsite.Repo of Supervisor A.S started\nPid: #PID<0.1.0>", "Child started"),
        ] {
            assert_eq!(shown(message), format!("name={name}"), "{message}");
        }
        for message in
            ["Running late", "Access denied", "Application of force", "== Running", "Children play"]
        {
            assert_eq!(shown(message), "", "{message}");
        }
    }
}
