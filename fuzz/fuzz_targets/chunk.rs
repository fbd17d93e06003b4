//! Any chunk of any source.

#![no_main]

use hivetail_fuzz::chunk;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chunk::of_chunk(data);
});
