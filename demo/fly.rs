//! `fly logs` as flyctl prints it: takes an app's event, gives its lines, each with the prefix of a machine.
//!
//! A request's lines come from one machine, and an event without an id (a crash report) from the machine that
//! spoke last. Now and then Fly's proxy has something to say.

use std::fmt::Write;

use jiff::Timestamp;

const MACHINES: [(&str, &str); 4] = [
    ("4d895d5ec41638", "iad"),
    ("e784079b449483", "sin"),
    ("148e21ea7e9189", "fra"),
    ("9080e6f3a12e87", "iad"),
];
const PROXY_INTERVAL: u64 = 150;
const PROXY_MESSAGE: &str =
    "[PU02] could not complete HTTP request to instance: connection closed before message completed";

/// Where the stream stands.
#[derive(Debug, Default)]
pub(crate) struct Fly {
    machine: usize,
    events: u64,
}

impl Fly {
    /// The lines of an event of request `id`.
    pub(crate) fn lines(&mut self, id: &str, event: &str, now: Timestamp) -> String {
        if !id.is_empty() {
            self.machine = id.bytes().map(usize::from).sum::<usize>() % MACHINES.len();
        }
        self.events += 1;
        let (machine, region) = MACHINES[self.machine];
        let time = now.strftime("%Y-%m-%dT%H:%M:%SZ");
        let mut lines = String::new();
        // Writing to a String can't fail.
        for line in event.lines() {
            let _ = writeln!(lines, "{time} app[{machine}] {region} [info]{line}");
        }
        if self.events.is_multiple_of(PROXY_INTERVAL) {
            let _ = writeln!(lines, "{time} proxy[{machine}] {region} [error]{PROXY_MESSAGE}");
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_gets_the_prefix_of_its_requests_machine() {
        let mut fly = Fly::default();
        let now = "2026-05-11T14:58:44.9Z".parse().unwrap();
        let sent = fly.lines("b", "14:58:44.102 request_id=b [info] Sent 500 in 15ms\n", now);
        let crash = fly.lines("", "14:58:44.103 [error] #PID<0.1.0> terminated\n\n** (exit)\n", now);
        let (prefix, _) = sent.split_once("14:58:44.102").unwrap();
        assert_eq!(prefix, "2026-05-11T14:58:44Z app[148e21ea7e9189] fra [info]");
        assert_eq!(crash.lines().count(), 3);
        assert!(crash.lines().all(|line| line.starts_with(prefix)));
    }

    #[test]
    fn the_proxy_speaks_now_and_then() {
        let mut fly = Fly::default();
        let lines: String =
            (0..PROXY_INTERVAL * 2).map(|_| fly.lines("a", "x\n", Timestamp::UNIX_EPOCH)).collect();
        let proxy = "1970-01-01T00:00:00Z proxy[e784079b449483] sin [error][PU02] could not";
        assert_eq!(lines.lines().filter(|line| line.starts_with(proxy)).count(), 2);
    }
}
