//! Log formats that configuration names rather than spells out: they stand in nginx's own configuration.
//!
//! Takes the whole configuration, gives each place where such a format is to go and where it is found. Reading those
//! files is for whoever reads files.

use std::path::Path;

use super::{Config, NginxLogFormat};

/// A log format by its name in a file.
#[derive(Debug)]
pub struct NamedLogFormat<'c> {
    /// The key that named the file, and where its table begins, for errors.
    pub key: String,
    /// The offset of that table.
    pub start: usize,
    /// nginx's configuration.
    pub file: &'c Path,
    /// The format's name in it.
    pub name: &'c str,
    /// Where the format goes.
    pub format: &'c mut Option<NginxLogFormat>,
}

impl Config {
    /// All log formats that are named, of sources and of their routes.
    pub fn named_log_formats(&mut self) -> Vec<NamedLogFormat<'_>> {
        let mut all = Vec::new();
        for (index, source) in self.source.iter_mut().enumerate() {
            let (table, start) = (format!("source[{index}]"), source.span().start);
            let source = source.get_mut();
            if let (Some(file), Some(name)) = (&source.log_format_file, &source.log_format_name) {
                let (key, format) = (format!("{table}.log_format_file"), &mut source.log_format);
                all.push(NamedLogFormat { key, start, file, name, format });
            }
            for (index, route) in source.route.iter_mut().enumerate() {
                let start = route.span().start;
                let route = route.get_mut();
                if let (Some(file), Some(name)) = (&route.log_format_file, &route.log_format_name) {
                    let key = format!("{table}.route[{index}].log_format_file");
                    all.push(NamedLogFormat { key, start, file, name, format: &mut route.log_format });
                }
            }
        }
        all
    }
}
