//! Events that share an id share their fate, here and in whatever else samples by the same rule.
//!
//! Takes an id, says whether it is kept: by the first four bytes of the SHA-1 of the id and a salt, as Refinery,
//! honeytail and the Beelines do, so that they keep and drop the same traces.
//!
//! Invariant: it depends on nothing but the id, the salt and the rate.

use aws_lc_rs::digest;

/// The salt that Refinery puts after each id. Honeytail and the Beelines put none.
pub const REFINERY_SALT: &str = "5VQ8l2jE5aJLPVqk";

/// Ids up to this length are put before the salt without asking for memory.
const TEXT_BYTES: usize = 192;

/// The rule.
#[derive(Debug)]
pub(super) struct Deterministic {
    rate: u32,
    salt: Box<[u8]>,
}

impl Deterministic {
    pub(super) fn new(rate: u32, salt: &str) -> Self {
        Self { rate: rate.max(1), salt: salt.as_bytes().into() }
    }

    pub(super) const fn rate(&self) -> u32 {
        self.rate
    }

    pub(super) fn keeps(&self, id: &[u8]) -> bool {
        self.rate <= 1 || self.number(id) <= u32::MAX / self.rate
    }

    fn number(&self, id: &[u8]) -> u32 {
        let algorithm = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let mut text = [0; TEXT_BYTES];
        let len = id.len() + self.salt.len();
        let digest = if let Some(text) = text.get_mut(..len) {
            let (start, end) = text.split_at_mut(id.len());
            start.copy_from_slice(id);
            end.copy_from_slice(&self.salt);
            digest::digest(algorithm, text)
        } else {
            let mut context = digest::Context::new(algorithm);
            context.update(id);
            context.update(&self.salt);
            context.finish()
        };
        digest.as_ref().iter().take(4).fold(0, |number, byte| (number << 8) | u32::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Python's hashlib: an id, its number and the largest of the rates at which it is kept, without and with the salt.
    #[test]
    fn it_keeps_what_others_keep() {
        let long = "x".repeat(300);
        for (id, plain, plain_rate, salted, salted_rate) in [
            ("", 0xda39_a3ee, 1, 0x96f6_9a1f, 1),
            ("a", 0x86f7_e437, 1, 0xd44a_75a6, 1),
            ("hello", 0xaaf4_c61d, 1, 0xb960_5229, 1),
            ("this5", 0x0ad4_a2f1, 17, 0x6749_052d, 2),
            ("f0e1d2c3b4a5968778695a4b3c2d1e0f", 0xc03c_5208, 1, 0xd4a3_8292, 1),
            ("0af7651916cd43dd8448eb211c80319c", 0x0a24_796d, 17, 0x287a_4c72, 3),
            ("4bf92f3577b34da6a3ce929d0e0e4736", 0x11d3_3efc, 10, 0x90fd_5826, 1),
            ("F7qzXk1mJ0gAAB9C", 0x54ba_1367, 3, 0xc7eb_c5c1, 1),
            ("1-5ababc0a-4df707925c1681932ea22a20", 0x6927_46a3, 2, 0x0e8d_dbe0, 17),
            ("req-000001", 0x49b3_5342, 3, 0x5bf3_fbab, 2),
            ("req-000002", 0x0bd4_eac8, 17, 0xfda8_e4ac, 1),
            ("req-000003", 0xc040_513b, 1, 0xd46d_e585, 1),
            ("req-000004", 0x1044_ce51, 10, 0x79db_7588, 2),
            ("req-000005", 0xd9a3_0086, 1, 0x664b_817d, 2),
            ("ü", 0x94a7_59fd, 1, 0xb23a_742f, 1),
            ("10.0.0.1", 0xed16_65c1, 1, 0x2eee_db40, 3),
            (&long, 0x02fd_6825, 17, 0x5d2f_a0b2, 2),
            ("trace-18", 0x001e_7805, 100, 0x67e1_4603, 2),
            ("trace-204", 0x002c_9676, 100, 0x87d9_bd24, 1),
            ("trace-248", 0xf302_df40, 1, 0x014f_e11b, 100),
            ("trace-587", 0x5763_5cda, 2, 0x0041_0a0d, 100),
        ] {
            for (salt, number, rate_max) in [("", plain, plain_rate), (REFINERY_SALT, salted, salted_rate)] {
                for rate in [0, 1, 2, 3, 10, 17, 100] {
                    let rule = Deterministic::new(rate, salt);
                    assert_eq!(rule.number(id.as_bytes()), number, "{id} {salt}");
                    assert_eq!(rule.keeps(id.as_bytes()), rate <= rate_max, "{id} {salt} {rate}");
                }
            }
        }
    }

    #[test]
    fn the_border_is_kept() {
        let id = b"trace-29433";
        let keeps = |rate| Deterministic::new(rate, "").keeps(id);
        assert_eq!(Deterministic::new(1, "").number(id), u32::MAX / 3_814_358);
        assert!(keeps(3_814_358) && !keeps(3_814_359) && !keeps(u32::MAX));
    }
}
