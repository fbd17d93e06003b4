//! A short hash of a text, to know texts again: agents, shapes, names of columns.
//!
//! Takes a text, gives 64 bits: sixteen bytes at a time are multiplied into 128 bits whose halves are folded. The standard
//! library's hash takes several times as long, more than all else that is done for a line's agent. [`Hashes`] keeps many of them.
//!
//! Invariant: every byte counts, and so does the length. The key is random, so that nobody can choose texts that are taken
//! for one another.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
};

/// As many bytes are taken at once.
const BLOCK_BYTES: usize = 16;

/// What the hash begins with, what each block is mixed with, and what it ends with.
#[derive(Clone, Debug)]
pub(crate) struct Key([u64; 3]);

impl Key {
    /// A key that nobody knows.
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        Self([1, 2, 3].map(|part: u64| random.hash_one(part)))
    }

    /// The text's hash.
    #[inline]
    pub(crate) fn hash(&self, text: &[u8]) -> u64 {
        let [first, each, last] = self.0;
        let (blocks, rest) = text.as_chunks::<BLOCK_BYTES>();
        // Folded, lest the length and the first byte make up for one another.
        let mut state = fold(first ^ text.len() as u64, each);
        for block in blocks {
            state = mix(state, each, block);
        }
        if !rest.is_empty() {
            let mut padded = [0; BLOCK_BYTES];
            // A copy of a known length is a few instructions: the last block overlaps the one before.
            match text.last_chunk() {
                Some(block) => padded = *block,
                None => padded[..rest.len()].copy_from_slice(rest),
            }
            state = mix(state, each, &padded);
        }
        fold(state, last)
    }
}

/// A set of texts, of which only the hashes are kept.
#[derive(Debug)]
pub(crate) struct Hashes {
    key: Key,
    hashes: HashSet<u64, BuildHasherDefault<AsItIs>>,
}

impl Hashes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { key: Key::new(), hashes: HashSet::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether a text is among them.
    #[inline]
    pub(crate) fn has(&self, text: &[u8]) -> bool {
        self.hashes.contains(&self.key.hash(text))
    }

    /// Adds a text.
    pub(crate) fn add(&mut self, text: &[u8]) {
        self.hashes.insert(self.key.hash(text));
    }
}

/// What is a hash already need not be hashed again.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

fn mix(state: u64, key: u64, block: &[u8; BLOCK_BYTES]) -> u64 {
    let both = u128::from_le_bytes(*block);
    fold(low(both) ^ state, low(both >> 64) ^ key)
}

/// The product's halves, one upon the other.
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    low(product) ^ low(product >> 64)
}

const fn low(value: u128) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_the_length_count() {
        let key = Key([0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb]);
        let mut hashes = HashSet::new();
        for len in 0..70 {
            let text = vec![0; len];
            assert_eq!(key.hash(&text), key.hash(&text.clone()));
            assert!(hashes.insert(key.hash(&text)), "{len}");
            for at in 0..len {
                for byte in [1, b' ', 0xff] {
                    let mut text = text.clone();
                    text[at] = byte;
                    assert!(hashes.insert(key.hash(&text)), "{byte} at {at} of {len}");
                }
            }
        }
        assert_ne!(key.hash(b"agent"), Key::new().hash(b"agent"));
    }

    #[test]
    fn texts_are_known_again() {
        let mut hashes = Hashes::new();
        for n in 0..1_000 {
            assert!(!hashes.has(format!("t{n}").as_bytes()), "{n}");
            hashes.add(format!("t{n}").as_bytes());
        }
        assert_eq!(hashes.len(), 1_000);
        assert!((0..1_000).all(|n| hashes.has(format!("t{n}").as_bytes())));
    }
}
