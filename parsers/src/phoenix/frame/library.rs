//! Which code is not an application's own: Erlang's, Elixir's and that of libraries that many applications have.
//!
//! Takes a frame's application, path or function. What is on no list counts as the application's: an unknown library's
//! function is a better name for an error than Phoenix' router is.

use crate::phoenix::message::{split_first, split_last};

/// Names of libraries' applications, beside those of [`FAMILIES`].
const APPS: &[&str] = &[
    "argon2_elixir",
    "bamboo",
    "bandit",
    "bcrypt_elixir",
    "broadway",
    "cachex",
    "castore",
    "comeonin",
    "compiler",
    "con_cache",
    "cowboy",
    "cowlib",
    "crypto",
    "db_connection",
    "decimal",
    "eex",
    "elixir",
    "erts",
    "ex_unit",
    "finch",
    "floki",
    "flow",
    "gen_stage",
    "gettext",
    "goth",
    "guardian",
    "hackney",
    "horde",
    "iex",
    "inets",
    "jason",
    "joken",
    "kernel",
    "libcluster",
    "logger",
    "logger_json",
    "mint",
    "mix",
    "myxql",
    "poison",
    "postgrex",
    "quantum",
    "ranch",
    "req",
    "sentry",
    "ssl",
    "stdlib",
    "sweet_xml",
    "swoosh",
    "tds",
    "tesla",
    "thousand_island",
    "timex",
    "tzdata",
    "websock",
    "websock_adapter",
];

/// Libraries that come in parts: `phoenix` itself, and all that begins with `phoenix_`.
const FAMILIES: &[&str] =
    &["absinthe", "ecto", "ex_aws", "oban", "opentelemetry", "phoenix", "plug", "telemetry", "ueberauth"];

/// The same without a library of that very name.
const NIMBLE: &[u8] = b"nimble_";

/// What the modules of Elixir and of the usual libraries begin with, for frames that name no application.
const MODULES: &[&str] = &[
    "Access",
    "Agent",
    "Application",
    "Atom",
    "Bandit",
    "Base",
    "Bitwise",
    "Code",
    "Cowboy",
    "DBConnection",
    "Date",
    "DateTime",
    "DynamicSupervisor",
    "EEx",
    "Ecto",
    "Enum",
    "ExUnit",
    "Exception",
    "File",
    "Float",
    "Function",
    "GenServer",
    "IEx",
    "IO",
    "Integer",
    "Jason",
    "Kernel",
    "Keyword",
    "List",
    "Logger",
    "Macro",
    "Map",
    "MapSet",
    "Mix",
    "Module",
    "NaiveDateTime",
    "Node",
    "Path",
    "Phoenix",
    "Plug",
    "Port",
    "Postgrex",
    "Process",
    "Protocol",
    "Range",
    "Regex",
    "Registry",
    "Stream",
    "String",
    "Supervisor",
    "System",
    "Task",
    "Time",
    "Tuple",
    "URI",
    "Version",
];

/// Whether an application of that name is a library.
pub(super) fn is_app(name: &[u8]) -> bool {
    let of_family = |family: &&str| {
        let rest = name.strip_prefix(family.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"_"))
    };
    is_one_of(name, APPS) || FAMILIES.iter().any(of_family) || name.starts_with(NIMBLE)
}

/// Whether a file is one of the applications that Mix fetched.
pub(super) fn is_path(file: &[u8]) -> bool {
    file.starts_with(b"deps/") || memchr::memmem::find(file, b"/deps/").is_some()
}

/// Whether a function is Erlang's, Elixir's or a usual library's, by its module.
pub(super) fn is_function(function: &[u8]) -> bool {
    let is_nameless = function.starts_with(b"anonymous fn/");
    let (_, function) = split_last(function, b" in ").filter(|_| is_nameless).unwrap_or((b"", function));
    let first = split_first(function, b".").map_or(function, |(first, _)| first);
    first.starts_with(b":") || first == b"nil" || is_one_of(first, MODULES)
}

fn is_one_of(name: &[u8], sorted: &[&str]) -> bool {
    sorted.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(APPS.is_sorted() && MODULES.is_sorted());
    }

    #[test]
    fn applications() {
        for library in
            ["stdlib", "plug", "plug_cowboy", "ex_aws_s3", "nimble_pool", "ueberauth_github", "argon2_elixir"]
        {
            assert!(is_app(library.as_bytes()), "{library}");
        }
        for own in ["", "podsite", "plugs", "nimble", "phoenixes", "ex_aw", "ssl_store"] {
            assert!(!is_app(own.as_bytes()), "{own}");
        }
    }
}
