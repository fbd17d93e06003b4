//! Any line as that format.

#![no_main]

use hivetail_fuzz::laws;
use hivetail_parsers::Format;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    laws::of_format(Format::LoggerJson, data);
});
