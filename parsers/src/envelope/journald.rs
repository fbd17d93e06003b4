//! Entries of systemd's journal, as `journalctl -o json` or `-o export` prints them (systemd,
//! `docs/JOURNAL_EXPORT_FORMATS.md`).
//!
//! In both, an entry is a list of fields. JSON has text, or an array of byte numbers where a value is not printable, an
//! array of either where a field is repeated, and null for a value that is too long to be shown. The fields below mean
//! the same everywhere; those that begin with two underscores are about the journal and are left out; any other, and
//! one of those below that has no such value, is kept under its own name. The values of a repeated field are kept as
//! JSON's text of an array. An entry without a message is shown whole.

mod export;

use super::{Inner, priority};
use crate::{
    Context, ParseError, free,
    json::leaves::{self, Leaf},
    number::whole,
    record::{Record, Scratch, Time, TimeSource, Value},
    timestamp::Timestamp,
};

/// The fields that mean something, as they are written.
#[derive(Debug, Default)]
struct Entry<'a> {
    message: Option<&'a [u8]>,
    /// When the journal got it, and when it was sent: microseconds since the epoch.
    received: Option<&'a [u8]>,
    sent: Option<&'a [u8]>,
    priority: Option<&'a [u8]>,
    facility: Option<&'a [u8]>,
    unit: Option<&'a [u8]>,
    identifier: Option<&'a [u8]>,
    pid: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    container: Option<&'a [u8]>,
    container_id: Option<&'a [u8]>,
    partial: Option<&'a [u8]>,
}

/// Sets the entry's fields, time and level and answers its message.
pub(super) fn open<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<Inner<'a>, ParseError> {
    let first = record.fields().len();
    let mut entry = Entry::default();
    let mut each = |name: &'a [u8], value: &'a [u8]| {
        if !name.starts_with(b"__") || name == b"__REALTIME_TIMESTAMP" {
            entry.take(name, value, |name, value| {
                if record.fields().len() - first <= free::FIELDS_MAX {
                    free::set(name, Value::Text(value), first, context, scratch, record);
                }
            });
        }
    };
    if line.trim_ascii_start().starts_with(b"{") {
        leaves::leaves(line, scratch, &mut |name, leaf| {
            if let Some(value) = text(leaf, scratch) {
                each(name, value);
            }
        })?;
    } else {
        export::fields(line, &mut each)?;
    }
    if entry.message.is_none() && entry.received.is_none() {
        return Err(ParseError("no message and no time in the journal entry"));
    }
    if record.fields().len() - first > free::FIELDS_MAX {
        return Err(ParseError("too many fields in the journal entry"));
    }
    record.join_repeated(first, scratch);
    entry.set(record)?;
    // What the input has under a name that was just set is not what the journal says.
    record.keep_last(first, scratch);
    let partial = entry.partial == Some(b"true");
    let message = entry.message.map(|message| message.strip_suffix(b"\n").unwrap_or(message));
    Ok(Inner { line: message.unwrap_or(line), by_platform: message.is_none(), partial })
}

/// A field's value, as JSON's text if there are more; nothing for null.
fn text<'a>(leaf: Leaf<'a>, scratch: &'a Scratch) -> Option<&'a [u8]> {
    match leaf {
        Leaf::Text(text) | Leaf::Number(text) => Some(text),
        Leaf::Array(array) => Some(leaves::bytes(array, scratch).unwrap_or(array)),
        Leaf::Null | Leaf::Bool(_) | Leaf::Object(_) => None,
    }
}

impl<'a> Entry<'a> {
    /// Keeps a field that means something; any other goes to `other`, with those whose place is taken.
    fn take(&mut self, name: &'a [u8], value: &'a [u8], other: impl FnOnce(&'a [u8], &'a [u8])) {
        let place = match name {
            b"MESSAGE" => &mut self.message,
            b"__REALTIME_TIMESTAMP" => &mut self.received,
            b"_SOURCE_REALTIME_TIMESTAMP" => &mut self.sent,
            b"PRIORITY" => &mut self.priority,
            b"SYSLOG_FACILITY" => &mut self.facility,
            b"_SYSTEMD_UNIT" => &mut self.unit,
            b"SYSLOG_IDENTIFIER" => &mut self.identifier,
            b"_PID" => &mut self.pid,
            b"_HOSTNAME" => &mut self.host,
            b"CONTAINER_NAME" => &mut self.container,
            b"CONTAINER_ID_FULL" => &mut self.container_id,
            b"CONTAINER_PARTIAL_MESSAGE" => &mut self.partial,
            _ => return other(name, value),
        };
        match place {
            None => *place = Some(value),
            Some(_) => other(name, value),
        }
    }

    fn set(&self, record: &mut Record<'a>) -> Result<(), ParseError> {
        let at = |us: &[u8]| whole(us).filter(|us| *us > 0)?.checked_mul(1_000).map(Timestamp::from_ns);
        if let Some(received) = self.received {
            let received = at(received).ok_or(ParseError("a journal time that is no number"))?;
            let at = self.sent.and_then(at).unwrap_or(received);
            record.time = Some(Time { at, source: TimeSource::Envelope });
        } else if let Some(at) = self.sent.and_then(at) {
            record.time = Some(Time { at, source: TimeSource::Envelope });
        }
        if let Some(text) = self.priority {
            record.level = whole(text).and_then(priority::level);
            if record.level.is_none() {
                record.set_free(b"PRIORITY", Value::Text(text));
            }
        }
        if let Some(text) = self.facility
            && !whole(text).is_some_and(|facility| priority::set_facility(facility, record))
        {
            record.set_free(b"SYSLOG_FACILITY", Value::Text(text));
        }
        match (self.pid, self.pid.and_then(whole)) {
            (_, Some(pid)) => record.set("process.pid", Value::Int(pid)),
            (Some(text), None) => record.set_free(b"_PID", Value::Text(text)),
            (None, None) => {}
        }
        record.set_text("systemd.unit", self.unit.unwrap_or_default());
        record.set_text("host.name", self.host.unwrap_or_default());
        record.set_text("container.id", self.container_id.unwrap_or_default());
        let container = self.container.map(|name| set_kubernetes(name, record).unwrap_or(name));
        // A container's identifier is its tag, which says less than its name.
        record.set_text("service.name", container.or(self.identifier).unwrap_or_default());
        Ok(())
    }
}

/// `k8s_<container>_<pod>_<namespace>_<uid>_<restarts>`, as Docker under Kubernetes names containers → fields, and
/// the container's own name.
fn set_kubernetes<'a>(name: &'a [u8], record: &mut Record<'a>) -> Option<&'a [u8]> {
    let mut parts = name.strip_prefix(b"k8s_")?.split(|byte| *byte == b'_');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let (container, pod, namespace, uid) = (next()?, next()?, next()?, next()?);
    let restarts = next().and_then(whole)?;
    record.set_text("k8s.container.name", container);
    record.set_text("k8s.pod.name", pod);
    record.set_text("k8s.namespace.name", namespace);
    record.set_text("k8s.pod.uid", uid);
    record.set("k8s.container.restart_count", Value::Int(restarts));
    Some(container)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened<'a>(line: &'a [u8], scratch: &'a Scratch) -> Result<(Inner<'a>, Record<'a>), ParseError> {
        let mut record = Record::new();
        open(line, &Context::default(), scratch, &mut record).map(|inner| (inner, record))
    }

    const JSON: &str = r#"{"_MACHINE_ID":"0a1b","PRIORITY":"3","_SOURCE_REALTIME_TIMESTAMP":"1778512722710332","CONTAINER_NAME":"web","SYSLOG_IDENTIFIER":"5f3e","__REALTIME_TIMESTAMP":"1778512722710400","UNIT_X":["a","b"],"_HOSTNAME":"web1","MESSAGE":"line one\n\nline two\n","CONTAINER_ID_FULL":"abc","__CURSOR":"s=1c","_PID":"812","CONTAINER_PARTIAL_MESSAGE":"true","_SYSTEMD_UNIT":"docker.service","SYSLOG_FACILITY":"3","NOTHING":null}"#;
    const EXPORT: &[u8] = b"__CURSOR=s=1c\n__REALTIME_TIMESTAMP=1778512722710400\n_MACHINE_ID=0a1b\nPRIORITY=3\nMESSAGE\n\x13\0\0\0\0\0\0\0line one\n\nline two\n\nUNIT_X=a\nUNIT_X=b\nCONTAINER_NAME=web\nSYSLOG_IDENTIFIER=5f3e\nCONTAINER_ID_FULL=abc\n_SOURCE_REALTIME_TIMESTAMP=1778512722710332\n_HOSTNAME=web1\n_PID=812\n_SYSTEMD_UNIT=docker.service\nSYSLOG_FACILITY=3\nCONTAINER_PARTIAL_MESSAGE=true\n\n";

    #[test]
    fn both_forms_tell_the_same() {
        for line in [JSON.as_bytes(), EXPORT] {
            let scratch = Scratch::new();
            let (inner, record) = opened(line, &scratch).unwrap();
            assert_eq!(inner, Inner { line: b"line one\n\nline two", by_platform: false, partial: true });
            let time = record.time.unwrap();
            assert_eq!((time.at.ns(), time.source), (1_778_512_722_710_332_000, TimeSource::Envelope));
            assert_eq!(record.level.map(|level| (level.severity, level.text)), Some(("error", &b"err"[..])));
            for (name, value) in [
                ("service.name", "web"),
                ("container.id", "abc"),
                ("host.name", "web1"),
                ("systemd.unit", "docker.service"),
                ("syslog.facility", "daemon"),
                ("UNIT_X", r#"["a","b"]"#),
                ("_MACHINE_ID", "0a1b"),
            ] {
                assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
            }
            assert_eq!(record.get("process.pid"), Some(Value::Int(812)));
            assert_eq!(record.fields().len(), 8);
        }
    }

    #[test]
    fn messages_of_bytes_repeated_ones_and_none() {
        for (message, line) in [
            ("[27,91,51,49,109,255]", &b"\x1b[31m\xff"[..]),
            (r#"["first","second"]"#, br#"["first","second"]"#),
            (r#"[[27,91],"second"]"#, br#"[[27,91],"second"]"#),
            ("[300]", b"[300]"),
            ("\"\"", b""),
        ] {
            let scratch = Scratch::new();
            let text = format!(r#"{{"MESSAGE":{message},"__REALTIME_TIMESTAMP":"1778512722710400"}}"#);
            assert_eq!(opened(text.as_bytes(), &scratch).unwrap().0, Inner::whole(line), "{message}");
        }
        let text = br#"{"MESSAGE":null,"__REALTIME_TIMESTAMP":"1778512722710400"}"#;
        let whole = Inner { line: text, by_platform: true, partial: false };
        assert_eq!(opened(text, &Scratch::new()).unwrap().0, whole);
    }

    #[test]
    fn the_input_sets_no_names_of_ours() {
        let scratch = Scratch::new();
        let line = br#"{"MESSAGE":"x","meta.x":"1","service.name":"forged","SYSLOG_IDENTIFIER":"own","process.pid":"1"}"#;
        let (_, record) = opened(line, &scratch).unwrap();
        assert_eq!(record.get("service.name"), Some(Value::text("own")));
        assert_eq!(record.get("field.meta.x"), Some(Value::text("1")));
        assert_eq!(record.get("field.process.pid"), Some(Value::text("1")));
        assert_eq!(record.fields().len(), 3);
    }

    #[test]
    fn what_has_another_value_than_it_should_is_kept_as_it_is() {
        let line = br#"{"__REALTIME_TIMESTAMP":"1778512722710400","_SOURCE_REALTIME_TIMESTAMP":"junk","MESSAGE":"x","PRIORITY":"9","_PID":"abc","SYSLOG_FACILITY":"99"}"#;
        let scratch = Scratch::new();
        let (inner, record) = opened(line, &scratch).unwrap();
        assert_eq!((inner.line, record.level), (&b"x"[..], None));
        assert_eq!(record.time.map(|time| time.at.ns()), Some(1_778_512_722_710_400_000));
        for (name, value) in [("PRIORITY", "9"), ("_PID", "abc"), ("SYSLOG_FACILITY", "99")] {
            assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
        }
        let twice = opened(b"MESSAGE=a\nMESSAGE=b\n", &scratch).unwrap();
        assert_eq!((twice.0.line, twice.1.get("MESSAGE")), (&b"a"[..], Some(Value::text("b"))));
    }

    #[test]
    fn containers_of_kubernetes_by_their_names() {
        for (name, service, fields) in [
            ("k8s_web_web-6d_prod_1b2c_3", "web", 6),
            ("k8s_web_web-6d_prod_1b2c", "k8s_web_web-6d_prod_1b2c", 1),
        ] {
            let line = format!("MESSAGE=x\nCONTAINER_NAME={name}");
            let scratch = Scratch::new();
            let (_, record) = opened(line.as_bytes(), &scratch).unwrap();
            assert_eq!(record.get("service.name"), Some(Value::text(service)));
            assert_eq!(record.fields().len(), fields);
        }
    }

    #[test]
    fn other_objects_are_refused() {
        for line in [
            "{}",
            "{",
            r#"{"msg":"x"}"#,
            r#"{"MESSAGE":"x","__REALTIME_TIMESTAMP":"soon"}"#,
            r#"{"MESSAGE":"x","__REALTIME_TIMESTAMP":"9223372036854775807"}"#,
            r#"{"MESSAGE":["#,
        ] {
            assert!(opened(line.as_bytes(), &Scratch::new()).is_err(), "{line}");
        }
    }
}
