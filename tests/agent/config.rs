//! The configuration file: the example is sound, and each error says where, what, and what is allowed.

use std::collections::BTreeSet;

use hivetail::config::{Config, SourceType, reference};

#[test]
fn the_example_is_sound_and_names_every_key() {
    let text = include_str!("../../config.example.toml");
    Config::parse("config.example.toml", text).unwrap_or_else(|error| panic!("{error}"));
    // Keys that are optional stand there as comments: with those taken off it is sound, too.
    let uncommented: Vec<&str> = text.lines().map(|line| line.strip_prefix("#= ").unwrap_or(line)).collect();
    // All of them at once take more memory than the default.
    let uncommented =
        uncommented.join("\n").replace("memory_bytes = 16_777_216", "memory_bytes = 50_331_648");
    let config = Config::parse("config.example.toml", &uncommented).unwrap_or_else(|error| panic!("{error}"));
    let routed = config.source.iter().map(toml::Spanned::get_ref).filter(|source| !source.route.is_empty());
    let routed: Vec<(SourceType, usize)> = routed.map(|source| (source.kind, source.route.len())).collect();
    assert_eq!(routed, [(SourceType::Kubernetes, 3), (SourceType::Nats, 2)]);
}

/// Where the keys of a table are shown that says "as in that one".
fn shown_at(path: &str) -> String {
    let path = path.replace(".source.rule", ".rule").replace(".redaction.rule.when", ".rule.when");
    path.replace(".source.route.", ".source.")
}

/// The keys of a schema, each with the tables that it is in.
fn keys_of_schema(schema: &serde_json::Value, path: &str, keys: &mut BTreeSet<String>) {
    let inner = ["items", "anyOf", "oneOf"].iter().filter_map(|name| schema.get(name));
    for one in inner.flat_map(|inner| inner.as_array().map_or(std::slice::from_ref(inner), Vec::as_slice)) {
        keys_of_schema(one, path, keys);
    }
    for (name, schema) in
        schema.get("properties").and_then(|properties| properties.as_object()).into_iter().flatten()
    {
        let path = format!("{path}.{name}");
        keys_of_schema(schema, &path, keys);
        keys.insert(shown_at(&path));
    }
}

/// The same of a file.
fn keys_of_file(value: &toml::Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let path = format!("{path}.{name}");
                keys_of_file(value, &path, keys);
                keys.insert(shown_at(&path));
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|value| keys_of_file(value, path, keys)),
        _ => {}
    }
}

/// Beside the optional keys, those count that stand there as comments instead of others which they exclude: `# key = …`.
#[test]
fn every_key_of_the_schema_is_in_the_example() {
    let is_key = |line: &str| {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let uncomment = |line: &'static str| {
        let plain = line.strip_prefix("# ").filter(|line| is_key(line));
        line.strip_prefix("#= ").or(plain).unwrap_or(line)
    };
    let lines: Vec<&str> = include_str!("../../config.example.toml").lines().map(uncomment).collect();
    let example: toml::Value = toml::from_str(&lines.join("\n")).expect("TOML");
    let (mut all, mut shown) = (BTreeSet::new(), BTreeSet::new());
    let schema = reference::schema_text().expect("text");
    keys_of_schema(&serde_json::from_str(&schema).expect("JSON"), "", &mut all);
    keys_of_file(&example, "", &mut shown);
    assert!(all.len() > 100 && all.contains(".source.join.start"), "{all:?}");
    let missing: Vec<&String> = all.difference(&shown).collect();
    assert!(missing.is_empty(), "config.example.toml does not show {missing:?}");
}

/// Files with something wrong in each.
const WRONG: &[&str] = &[
    "",
    "[batch\n",
    "[honeycomb]\napi_url = \"ftp://x\"\n",
    "[honeycomb]\napi_url = \"https://user:secret@x\"\n",
    "[honeycomb]\napi_key = \"hcaik_secret\"\n",
    "[honeycomb]\ndataset = \"a/b\"\n",
    "[honeycomb]\ncompression = \"lz4\"\n",
    "[batch]\nmax_bytes = 5_000_001\n",
    "[batch]\nmax_age_ms = -1\n",
    "[deliver]\n\nconcurrency = \"four\"\n",
    "[limits]\nmemory_bytes = 2_000_000\n",
    "[limits]\nline_byte = 5\n",
    "[batches]\n",
    "[admin]\nlisten = \"9464x\"\n",
    "[[source]]\ntype = \"socket\"\n",
    "[[source]]\ntype = \"file\"\n",
    "[[source]]\npaths = [\"/a\"]\n",
    "[[source]]\ntype = \"stdin\"\npaths = [\"/a\"]\n",
    "[[source]]\ntype = \"stdin\"\n[[source]]\ntype = \"stdin\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\", \"/b/[\"]\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nformat = \"apache\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nenvelope = \"heroku\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\ntimezone = \"Mars/Olympus\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nfields = { \"meta.x\" = \"y\" }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\njoin = \"yes\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nformat = \"json\"\njoin = true\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nformat = \"json\"\njoin = { max_lines = 5 }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\njoin = { start = \"(\" }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\njoin = { start = \"a\", indented = true }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\njoin = { indent = true }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nrequest_window_s = 0\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\njoin = { start = \"\" }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nfilter_parameters = [\"\"]\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nfields = { \"duration_ms\" = \"y\" }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nservice = 7\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nlog_format = \"$uri\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nformat = \"nginx\"\nlog_format = \"a $ b\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nformat = \"nginx\"\nlog_format_name = \"main\"\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\nservice = \"a\"\nfields = { \"service.name\" = \"b\" }\n",
    "[[source]]\ntype = \"file\"\npaths = [\"/a\"]\n[[source.route]]\npod = \"a\"\n",
    "[[source]]\ntype = \"nats\"\n",
    "[[source]]\ntype = \"nats\"\nurl = \"http://x\"\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://me:secret@x\"\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\nsubjects = [\"logs.>.a\"]\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\npaths = [\"/a\"]\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\nuser = \"a\"\ntoken_file = \"/t\"\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\nqueue_group = \"a\"\njoin_requests = true\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\nqueue_group = \"a\"\njetstream = { stream = \"A\", durable = \"b\" }\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\njetstream = { stream = \"A.B\", durable = \"b\" }\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\n[[source.route]]\npod = \"a\"\n",
    "[[source]]\ntype = \"kubernetes\"\n[[source.route]]\napp = \"a\"\n",
    "[[source]]\ntype = \"nats\"\nurl = \"nats://x\"\nsubjects = [\"logs.>\", \"logs.a.*\"]\n",
    "[[source]]\ntype = \"journald\"\nunits = [\"a\"]\n[[source]]\ntype = \"journald\"\nunits = [\"a\"]\n",
    "[[source]]\ntype = \"journald\"\npaths = [\"/a\"]\n",
    "[[source]]\ntype = \"journald\"\nunits = [\"--vacuum-size=1\"]\n",
    "[[source]]\ntype = \"journald\"\npoll = true\n",
    "[[source]]\ntype = \"stdin\"\nunits = [\"a\"]\n",
    "[[source]]\ntype = \"stdin\"\nsubjects = [\"a\"]\n",
    "[[source]]\ntype = \"kubernetes\"\nenvelope = \"syslog\"\n",
    "[[source]]\ntype = \"kubernetes\"\nroute = [{}]\n",
    "[[source]]\ntype = \"kubernetes\"\n[[source.route]]\npod = \"a\"\n[[source.route]]\n",
    "[[source]]\ntype = \"kubernetes\"\n[[source.route]]\ndrop = true\nservice = \"a\"\n",
    "[[source]]\ntype = \"kubernetes\"\n[[source.route]]\npod = \"\"\n",
    "[[source]]\ntype = \"kubernetes\"\n[[source.route]]\npods = \"a\"\n",
    "[[source]]\ntype = \"kubernetes\"\n[[source.route]]\npod = \"a\"\nlog_format = \"$uri\"\n",
    "[[source]]\ntype = \"kubernetes\"\n[[source.route]]\npod = \"a\"\nformat = \"apache\"\n",
    "[[source]]\ntype = \"kubernetes\"\nfields = { \"k8s.container.restart_count\" = \"1\" }\n",
    "[[rule]]\ndrop = true\n",
    "[[rule]]\nname = \"a\"\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\ndrop = true\nkeep = true\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nsample = 0\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nkeep = true\n[[source]]\ntype = \"stdin\"\n[[source.rule]]\nname = \"a\"\nkeep = true\n",
    "[[source]]\ntype = \"stdin\"\n[[source.rule]]\nname = \"slow\"\nkeep = true\nwhen = [{ field = \"url.path\", operator = \"~\", value = \"x\" }]\n",
    "[[rule]]\nname = \"a\"\nkeep = true\nwhen = [{ field = \"url.path\", operator = \"matches\", value = \"(\" }]\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nkeep = true\nwhen = [{ field = \"x\", operator = \"=\", value = \"five\", datatype = \"int\" }]\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nkeep = true\nwhen = [{ field = \"x\", op = \"=\" }]\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nsampler = { type = \"ema-dynamic\", sample_rate = 5 }\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nsampler = { type = \"monthly-budget\" }\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\ncontinue = true\ndrop = true\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nkeep = true\nspares = [\"slow\"]\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nset = { \"duration_ms\" = \"x\" }\n[[source]]\ntype = \"stdin\"\n",
    "[[rule]]\nname = \"a\"\nrename = { \"x\" = \"meta.y\" }\n[[source]]\ntype = \"stdin\"\n",
    "[transform]\npresets = [\"bots\"]\n",
    "[[redaction.rule]]\nname = \"a\"\naction = \"hash\"\nfields = [\"x\"]\n[[source]]\ntype = \"stdin\"\n",
    "[[redaction.rule]]\nname = \"a\"\naction = \"mask\"\n[[source]]\ntype = \"stdin\"\n",
    "[[redaction.rule]]\nname = \"a\"\naction = \"mask\"\npattern = \"x*\"\n[[source]]\ntype = \"stdin\"\n",
    "[[redaction.rule]]\nname = \"a\"\naction = \"mask-ip\"\nfields = [\"duration_ms\"]\n[[source]]\ntype = \"stdin\"\n",
    "[[source]]\ntype = \"stdin\"\nurl_shapes = [\"podcast/:slug\"]\n",
    "[[source]]\ntype = \"stdin\"\ntypes = { request_id = \"int\" }\n",
];

#[test]
fn each_error_says_where_and_what_is_allowed() {
    let source = "[[source]]\ntype = \"file\"\npaths = [\"/a.log\"]\n";
    let mut errors = String::new();
    for case in WRONG {
        let text = if case.contains("[[source]]") || case.is_empty() {
            (*case).to_owned()
        } else {
            format!("{case}{source}")
        };
        let error = Config::parse("hivetail.toml", &text).expect_err(case).to_string();
        assert!(!error.contains("secret"), "{error}");
        errors.push_str(&format!("{error}\n"));
    }
    insta::assert_snapshot!(errors);
}
