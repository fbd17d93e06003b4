//! Compression of a batch's body, and back again when only some of its events have to be sent once more.
//!
//! Invariant: one output buffer and one input buffer, whatever the number of batches; what is kept of a batch is
//! an exact copy of its compressed bytes.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::{read::GzDecoder, write::GzEncoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// zstd's fastest ordinary level: logs shrink ten times at a quarter of the cost of gzip's.
const ZSTD_LEVEL: i32 = 1;

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard, level 1.
    #[default]
    Zstd,
    /// gzip, level 1, for proxies that know nothing newer.
    Gzip,
    /// As it is.
    None,
}

impl Compression {
    /// The `Content-Encoding`; `None` for a body as it is.
    #[must_use]
    pub const fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Zstd => Some("zstd"),
            Self::Gzip => Some("gzip"),
            Self::None => None,
        }
    }
}

/// Compresses bodies one after the other.
pub struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    kind: Compression,
    out: Vec<u8>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor of that kind.
    ///
    /// # Errors
    /// When zstd can't have its working memory.
    pub fn new(kind: Compression) -> io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?, kind, out: Vec::new() })
    }

    /// The body as it will be sent.
    ///
    /// # Errors
    /// When the compressor fails, which only lack of memory can bring about.
    pub fn compress(&mut self, body: &[u8]) -> io::Result<Bytes> {
        self.out.clear();
        match self.kind {
            Compression::Zstd => {
                self.out.reserve_exact(zstd::zstd_safe::compress_bound(body.len()));
                self.zstd.compress_to_buffer(body, &mut self.out)?;
            }
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(&mut self.out, flate2::Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()?;
            }
            Compression::None => self.out.extend_from_slice(body),
        }
        Ok(Bytes::copy_from_slice(&self.out))
    }

    /// How it compresses.
    #[must_use]
    pub const fn kind(&self) -> Compression {
        self.kind
    }
}

impl Compression {
    /// Undoes [`Compressor::compress`], into `body`, which takes as much room as that needs and no more.
    ///
    /// # Errors
    /// When the bytes are not what such a compressor made.
    pub fn decompress(self, compressed: &[u8], bytes: usize, body: &mut Vec<u8>) -> io::Result<()> {
        body.clear();
        body.reserve_exact(bytes);
        match self {
            Self::Zstd => zstd::stream::copy_decode(compressed, body),
            Self::Gzip => GzDecoder::new(compressed).read_to_end(body).map(|_| ()),
            Self::None => {
                body.extend_from_slice(compressed);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_comes_back_whole() {
        let body = b"[{\"a\":1}]".repeat(1000);
        for kind in [Compression::Zstd, Compression::Gzip, Compression::None] {
            let mut compressor = Compressor::new(kind).unwrap();
            let compressed = compressor.compress(&body).unwrap();
            assert_eq!(compressed.len() < body.len() / 10, kind != Compression::None);
            let mut back = Vec::new();
            kind.decompress(&compressed, body.len(), &mut back).unwrap();
            assert_eq!(back, body);
        }
    }
}
