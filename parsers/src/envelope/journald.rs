//! Entries of systemd's journal, as `journalctl -o json` or `-o export` prints them (systemd,
//! `docs/JOURNAL_EXPORT_FORMATS.md`).
//!
//! In both, an entry is a list of fields. A field may be repeated: the first value counts. JSON has text, or an
//! array of byte numbers where a value is not printable, an array of either where a field is repeated, and null
//! for a value that is too long to be shown. The fields below mean the same everywhere; those that begin with two
//! underscores are about the journal and are left out; any other is kept under its own name. An entry without a
//! message is shown whole.

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
    record.keep_first(first);
    entry.set(record)?;
    // What the input has under a name that was just set is not what the journal says.
    record.keep_last(first, scratch);
    let partial = entry.partial == Some(b"true");
    let message = entry.message.map(|message| message.strip_suffix(b"\n").unwrap_or(message));
    Ok(Inner { line: message.unwrap_or(line), by_platform: message.is_none(), partial })
}

/// A field's value, the first one if there are more; nothing for null.
fn text<'a>(leaf: Leaf<'a>, scratch: &'a Scratch) -> Option<&'a [u8]> {
    match leaf {
        Leaf::Text(text) | Leaf::Number(text) => Some(text),
        Leaf::Array(array) => {
            leaves::bytes(array, scratch).or_else(|| match leaves::first(array, scratch)? {
                Leaf::Array(array) => leaves::bytes(array, scratch),
                first => first.text(),
            })
        }
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
        place.get_or_insert(value);
    }

    fn set(&self, record: &mut Record<'a>) -> Result<(), ParseError> {
        if let Some(us) = self.sent.or(self.received) {
            let ns = whole(us).and_then(|us| us.checked_mul(1_000));
            let at = ns.map(Timestamp::from_ns).ok_or(ParseError("a journal time that is no number"))?;
            record.time = Some(Time { at, source: TimeSource::Envelope });
        }
        let number = |text: Option<&[u8]>| text.and_then(whole);
        record.level = number(self.priority).and_then(priority::level);
        if let Some(facility) = number(self.facility) {
            priority::set_facility(facility, record);
        }
        if let Some(pid) = number(self.pid) {
            record.set("process.pid", Value::Int(pid));
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
                ("UNIT_X", "a"),
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
            (r#"["first","second"]"#, b"first"),
            (r#"[[27,91],"second"]"#, b"\x1b["),
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
