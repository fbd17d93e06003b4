//! A value's keyed hash: two values are the same if their hashes are, and nobody without the key finds the value by trying.
//!
//! Takes a key and a value, gives HMAC-SHA-256 in lower-case hexadecimal digits. Invariant: the key is in no output.

use std::fmt;

use aws_lc_rs::hmac;

const HEX_LEN: usize = 64;

/// The key of a hash; a large one, as it is kept ready for use.
#[derive(Clone)]
pub(crate) struct HashKey(Box<hmac::Key>);

impl HashKey {
    /// A shorter key can be found by trying.
    pub(crate) const BYTES_MIN: usize = 16;

    /// A key of those bytes.
    ///
    /// # Errors
    /// When there are fewer than 16.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.len() < Self::BYTES_MIN {
            return Err("the key has fewer than 16 bytes");
        }
        Ok(Self(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes))))
    }

    /// The value's hash.
    pub(super) fn hex(&self, value: &[u8]) -> [u8; HEX_LEN] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let tag = hmac::sign(&self.0, value);
        let mut hex = [0; HEX_LEN];
        for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(tag.as_ref()) {
            *pair = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
        }
        hex
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(key: &[u8], value: &[u8]) -> String {
        String::from_utf8(HashKey(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key))).hex(value).to_vec())
            .unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_4231_hold() {
        let counted: Vec<u8> = (1..=25).collect();
        let cases: [(&[u8], &[u8], &str); 6] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&counted, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size data. \
                  The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, value, expected) in cases {
            assert_eq!(hex(key, value), expected);
        }
    }

    #[test]
    fn a_key_is_long_and_never_shown() {
        assert!(HashKey::new(b"fifteen bytes..").is_err());
        let key = HashKey::new(b"sixteen bytes ok").unwrap();
        assert_eq!(format!("{key:?}"), "HashKey(…)");
    }
}
