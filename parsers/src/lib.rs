//! # hivetail-parsers: bytes in, typed fields out
//!
//! Takes one line of a log (its envelope already known) and fills a [`Record`] with fields named by
//! OpenTelemetry's stable conventions and Honeycomb's special columns. No I/O, no clock, no async and, after
//! warm-up, no allocation per line: values borrow from the line or from a reused [`Scratch`].
//!
//! ```
//! use hivetail_parsers::{Context, Format, Parser, Record, Scratch, Value};
//!
//! let line = b"14:03:11.497 request_id=GOoqLfrUFdYueAYAAACh [info] Sent 200 in 15ms";
//! let scratch = Scratch::new();
//! let mut record = Record::new();
//! let parser = Parser::new(Format::Auto);
//! let parsed = parser.parse(line, &Context::default(), &scratch, &mut record);
//! assert_eq!(parsed, Ok(Format::Phoenix));
//! assert_eq!(record.get("http.response.status_code"), Some(Value::Int(200)));
//! assert_eq!(record.get("duration_ms"), Some(Value::Float(15.0)));
//! ```
//!
//! Invariant: `parse` never panics and never loses a line. What no parser understands keeps its whole text in
//! `body`, beside `meta.parse_error`.

#![forbid(unsafe_code)]

mod ansi;
mod cdn;
mod context;
pub mod envelope;
mod free;
mod inspected;
mod json;
mod keys;
mod klog;
mod logfmt;
mod logger_json;
pub mod names;
pub mod nginx;
mod number;
mod percent;
mod phoenix;
mod record;
mod secrets;
mod severity;
mod shape;
pub mod timestamp;

pub use context::{Context, Date};
pub use nginx::log_format::LogFormat;
pub use phoenix::pattern::Pattern as ElixirFormat;
pub use record::{Field, Key, Level, Record, Role, Scratch, Time, TimeSource, Value};
pub use secrets::{FILTERED, SecretNames};
pub use shape::UrlShapes;
pub use timestamp::Timestamp;

/// What a source may be told its lines are; all but [`Format::Auto`] are also what [`Parser::parse`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Decide line by line: the last successful format first, then from strict to loose.
    Auto,
    /// ingress-nginx's `upstreaminfo` access format, as it has been since 0.26.0.
    IngressNginx,
    /// nginx's predefined `combined` access format.
    Nginx,
    /// nginx's error log, and what it writes to standard error when it starts.
    NginxError,
    /// klog, the log of Kubernetes' own programs: `I0420 12:34:56.123456 7 file.go:190] "message" key="value"`.
    Klog,
    /// Elixir's Logger as Phoenix configures it: `[$date ]$time $metadata[$level] $message`.
    Phoenix,
    /// One JSON object a line, flattened with dots.
    Json,
    /// Elixir's `LoggerJSON`, versions 5 to 7, with any of its formatters.
    LoggerJson,
    /// `varnishncsa -j`: JSON with text for all values.
    Varnish,
    /// Fastly's JSON.
    Fastly,
    /// `key=value key="value"`.
    Logfmt,
    /// The line as it is.
    Raw,
}

impl Format {
    /// Every format, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::Auto,
        Self::IngressNginx,
        Self::Nginx,
        Self::NginxError,
        Self::Klog,
        Self::Phoenix,
        Self::Json,
        Self::LoggerJson,
        Self::Varnish,
        Self::Fastly,
        Self::Logfmt,
        Self::Raw,
    ];

    /// The name used in configuration, on the command line and in `log.format`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::IngressNginx => "ingress-nginx",
            Self::Nginx => "nginx",
            Self::NginxError => "nginx-error",
            Self::Klog => "klog",
            Self::Phoenix => "phoenix",
            Self::Json => "json",
            Self::LoggerJson => "logger_json",
            Self::Varnish => "varnish",
            Self::Fastly => "fastly",
            Self::Logfmt => "logfmt",
            Self::Raw => "raw",
        }
    }

    /// The format of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// The form of Logger's lines where no pattern says it: an event begins in the form of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With a date and a time.
    Dated,
    /// With a time of day.
    Timed,
    /// With its level only.
    Untimed,
}

/// What a line is to the event before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It is an event, and no line after it is part of it.
    Whole(Option<Form>),
    /// An event begins with it that may have more lines.
    Open(Option<Form>),
    /// It would begin an event, but for its form: a message quotes it, or the program was started anew with another one.
    Quoted(Form),
    /// No event begins with it: it goes on with the one before, if that is open.
    Nothing,
}

/// Why a line did not parse; becomes `meta.parse_error`. A fixed text: the line itself is in `body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError(pub &'static str);

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ParseError {}

/// Parses the lines of one source.
#[derive(Clone, Debug)]
pub struct Parser {
    format: Format,
    ingress: Vec<LogFormat>,
    ingress_old: Vec<LogFormat>,
    nginx: Vec<LogFormat>,
    elixir: Option<ElixirFormat>,
    secret_names: SecretNames,
    filter_parameters: Vec<String>,
    url_shapes: Option<UrlShapes>,
    /// Whether one of those names a secret.
    paths_hold_secrets: bool,
}

impl Parser {
    /// A parser for lines of that format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let compiled =
            |formats: &[&str]| formats.iter().filter_map(|text| LogFormat::parse(text).ok()).collect();
        Self {
            format,
            ingress: compiled(&nginx::access::INGRESS),
            ingress_old: compiled(&nginx::access::INGRESS_OLD),
            nginx: compiled(&nginx::access::NGINX),
            elixir: None,
            secret_names: SecretNames::default(),
            filter_parameters: Vec::new(),
            url_shapes: None,
            paths_hold_secrets: false,
        }
    }

    /// The same parser, for which [`Format::Phoenix`] means that Logger pattern alone.
    #[must_use]
    pub fn with_elixir_format(self, elixir_format: ElixirFormat) -> Self {
        Self { elixir: Some(elixir_format), ..self }
    }

    /// The same parser, for which those names tell secrets instead of ours.
    #[must_use]
    pub fn with_secret_names(self, secret_names: SecretNames) -> Self {
        Self { secret_names: secret_names.and_containing(&self.filter_parameters), ..self }.knowing_paths()
    }

    /// The same parser, for which a value is a secret, too, if its name contains one of these. An empty one counts for
    /// nothing.
    #[must_use]
    pub fn with_filter_parameters(mut self, filter_parameters: Vec<String>) -> Self {
        self.secret_names = self.secret_names.and_containing(&filter_parameters);
        self.filter_parameters.extend(filter_parameters);
        self.knowing_paths()
    }

    /// The same parser, for which requests have those shapes and parameters where they fit.
    #[must_use]
    pub fn with_url_shapes(self, url_shapes: UrlShapes) -> Self {
        Self { url_shapes: Some(url_shapes).filter(|shapes| !shapes.is_empty()), ..self }.knowing_paths()
    }

    fn knowing_paths(mut self) -> Self {
        let shapes = self.url_shapes.as_ref();
        self.paths_hold_secrets = shapes.is_some_and(|shapes| shapes.name_secrets(&self.secret_names));
        self
    }

    /// The format that it was made for.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The same parser, for which [`Format::Nginx`] means that log format alone.
    #[must_use]
    pub fn with_log_format(self, log_format: LogFormat) -> Self {
        Self { nginx: vec![log_format], ..self }
    }

    /// Appends the line's fields to `record` and answers the format that parsed it.
    ///
    /// # Errors
    /// The reason why no parser understood the line; the record then holds it raw and flagged.
    pub fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context<'_>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Format, ParseError> {
        self.parse_as(self.format, line, context, scratch, record)
    }

    /// The same for a line of which more is known than of the source's others.
    ///
    /// # Errors
    /// As [`Parser::parse`].
    pub fn parse_as<'a>(
        &self,
        format: Format,
        line: &'a [u8],
        context: &Context<'_>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Format, ParseError> {
        let first = record.fields().len();
        let context =
            &Context { secret_names: &self.secret_names, url_shapes: self.url_shapes.as_ref(), ..*context };
        let result = if format == Format::Auto {
            self.detect(line, context, scratch, record)
        } else {
            self.attempt(format, true, line, context, scratch, record).map(|()| format)
        };
        self.clean(line, first, result, scratch, record);
        match result {
            Ok(format) => {
                record.keep_inner(first);
                record.set("log.format", Value::text(format.name()));
            }
            Err(error) => {
                let text = secrets::text(line, &self.secret_names, scratch);
                record.set("body", Value::Text(text));
                record.set("meta.parse_error", Value::text(error.0));
            }
        }
        if let Some(shapes) = self.url_shapes.as_ref().filter(|_| self.paths_hold_secrets) {
            shapes.clean(record.fields_mut(), &self.secret_names, scratch);
        }
        result
    }

    /// Takes the secrets out of what the line became, which is behind the `first` fields, and out of those, its envelope's.
    fn clean<'a>(
        &self,
        line: &[u8],
        first: usize,
        result: Result<Format, ParseError>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) {
        let (outer, own) = record.fields_mut().split_at_mut(first);
        let names = &self.secret_names;
        secrets::clean(outer, names, scratch);
        let is_ingress = result == Ok(Format::IngressNginx);
        let told = if is_ingress { nginx::access::quoted(line) } else { line };
        match result {
            // Theirs are taken out of the text before it is parsed.
            Ok(Format::Phoenix | Format::LoggerJson) | Err(_) => {}
            Ok(_) if secrets::may_stand_in(told, names) => secrets::clean(own, names, scratch),
            // The names are the log format's, not the line's.
            Ok(Format::Nginx) => secrets::clean_by_name(own, names),
            Ok(_) => {}
        }
    }

    /// What the line is to the event before it, which is `open` or has ended with its line; `form` is that of the lane's
    /// events so far. Cheap: most lines are told by how they begin. `record` is left as it was.
    #[must_use]
    pub fn starts<'a>(
        &self,
        line: &'a [u8],
        open: bool,
        form: Option<Form>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Start {
        let phoenix = match (self.format, &self.elixir) {
            (Format::Phoenix, Some(pattern)) => return phoenix::start::start_with(pattern, line, scratch),
            (Format::Phoenix, None) => return phoenix::start::start(line, true, form),
            (Format::Auto, _) => phoenix::start::start(line, false, form),
            _ => return Start::Whole(None),
        };
        match phoenix {
            Start::Nothing | Start::Quoted(_) if !open => Start::Whole(form),
            Start::Nothing if self.is_whole(line, scratch, record) => Start::Whole(form),
            told => told,
        }
    }

    /// Whether that is a line of one of the formats that can't be taken for anything else.
    fn is_whole<'a>(&self, line: &'a [u8], scratch: &'a Scratch, record: &mut Record<'a>) -> bool {
        let strict = [Format::Json, Format::IngressNginx, Format::Nginx, Format::NginxError, Format::Klog];
        let mark = record.mark();
        let any = strict
            .into_iter()
            .any(|format| self.attempt(format, false, line, &Context::default(), scratch, record).is_ok());
        record.rewind(mark);
        any
    }

    fn detect<'a>(
        &self,
        line: &'a [u8],
        context: &Context<'_>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Format, ParseError> {
        let strict_first = [
            Format::Json,
            Format::IngressNginx,
            Format::Nginx,
            Format::NginxError,
            Format::Klog,
            Format::Phoenix,
            Format::Logfmt,
        ];
        let others = strict_first.into_iter().filter(|format| context.prefer != Some(*format));
        context
            .prefer
            .into_iter()
            .chain(others)
            .find(|format| self.attempt(*format, false, line, context, scratch, record).is_ok())
            .ok_or(ParseError("no known format"))
    }

    /// One format's try; `told` says that configuration names it. On failure the record is as it was before.
    fn attempt<'a>(
        &self,
        format: Format,
        told: bool,
        line: &'a [u8],
        context: &Context<'_>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<(), ParseError> {
        let mark = record.mark();
        let result = match format {
            Format::IngressNginx if nginx::access::tells_address_twice(line) => {
                nginx::access::parse(&self.ingress_old, line, context, scratch, record)
            }
            Format::IngressNginx => nginx::access::parse(&self.ingress, line, context, scratch, record),
            Format::Nginx => nginx::access::parse(&self.nginx, line, context, scratch, record),
            Format::NginxError => nginx::error::parse(line, context, scratch, record),
            Format::Klog => klog::parse(line, context, scratch, record),
            Format::Phoenix => self.phoenix(told, line, context, scratch, record),
            Format::Json => json::parse(line, context, scratch, record),
            Format::LoggerJson => logger_json::parse(line, context, scratch, record),
            Format::Varnish | Format::Fastly => cdn::parse(line, context, scratch, record),
            Format::Logfmt if told => logfmt::parse_told(line, context, scratch, record),
            Format::Logfmt => logfmt::parse(line, context, scratch, record),
            Format::Auto | Format::Raw => {
                record.set("body", Value::Text(line));
                Ok(())
            }
        };
        if result.is_err() {
            record.rewind(mark);
        }
        result
    }
}

impl Parser {
    /// A Logger line, in the pattern that was given or one of the usual ones. One without a time counts for what it is
    /// where the source is known to be Phoenix; elsewhere other programs write `[error] …`, too.
    fn phoenix<'a>(
        &self,
        told: bool,
        line: &'a [u8],
        context: &Context<'_>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<(), ParseError> {
        match &self.elixir {
            Some(pattern) => phoenix::line::parse_with(pattern, line, context, scratch, record),
            None if told => phoenix::line::parse_told(line, context, scratch, record),
            None => phoenix::line::parse(line, context, scratch, record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats_of(lines: &[&str]) -> Vec<Result<Format, ParseError>> {
        let parser = Parser::new(Format::Auto);
        let mut prefer = None;
        let mut formats = Vec::new();
        for line in lines {
            let scratch = Scratch::new();
            let mut record = Record::new();
            let context = Context { prefer, ..Context::default() };
            let parsed = parser.parse(line.as_bytes(), &context, &scratch, &mut record);
            prefer = parsed.ok().or(prefer);
            formats.push(parsed);
        }
        formats
    }

    #[test]
    fn auto_decides_line_by_line_and_raw_is_never_preferred() {
        let formats = formats_of(&[
            "NGINX Ingress controller",
            r#"1.2.3.4 - - [21/Nov/2026:20:52:42 +0000] "GET / HTTP/1.1" 200 2 "-" "curl""#,
            "garbage",
            r#"{"msg":"x"}"#,
            "14:03:11.497 [info] Sent 200 in 15ms",
            r#"1.2.3.4 - - [21/Nov/2026:20:52:42 +0000] "GET / HTTP/1.1" 200 2 "-" "curl" 1 0.000 [] [] - - - - x"#,
        ]);
        let unknown = Err(ParseError("no known format"));
        assert_eq!(
            formats,
            [
                unknown,
                Ok(Format::Nginx),
                unknown,
                Ok(Format::Json),
                Ok(Format::Phoenix),
                Ok(Format::IngressNginx)
            ]
        );
    }

    #[test]
    fn an_unparsed_line_keeps_its_text_and_says_why() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let parsed = Parser::new(Format::Json).parse(b"{\"a\":1", &Context::default(), &scratch, &mut record);
        assert!(parsed.is_err());
        assert_eq!(record.get("body"), Some(Value::Text(b"{\"a\":1")));
        assert!(record.get("meta.parse_error").is_some());
        assert_eq!(record.get("a"), None, "a half parsed line must leave nothing behind");
    }
}
