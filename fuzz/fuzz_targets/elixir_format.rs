//! Any Logger pattern, and any line of it.

#![no_main]

use hivetail_fuzz::laws;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    laws::of_elixir_format(data);
});
