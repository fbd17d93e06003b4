//! Any line in that envelope, with any format inside.

#![no_main]

use hivetail_fuzz::laws;
use hivetail_parsers::envelope::Envelope;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    laws::of_envelope(Envelope::Journald, data);
});
