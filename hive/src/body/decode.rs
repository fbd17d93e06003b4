//! Decoders: take the chunks of a body in its `Content-Encoding`, give the bytes it stands for.
//!
//! A decoder never holds more than [`BODY_BYTES_MAX`] bytes of output plus one chunk of work: a small body that
//! stands for a large one (a "bomb") is refused when its output passes the cap, whatever its size in full.
//! Truncated input is refused too.

use std::io::{self, Write};

use axum::http::{HeaderMap, StatusCode, header};
use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{DParameter, InBuffer, Operation as _, OutBuffer};

use crate::limits::{BODY_BYTES_MAX, ZSTD_WINDOW_LOG_MAX};
use crate::refusal::Refusal;

/// First allocation for decompressed output, in bytes; it doubles from there up to the cap.
const OUTPUT_BYTES_START: usize = 64 * 1024;

/// A body being decoded.
pub(crate) enum Decoder {
    Identity(Output),
    Gzip(Box<MultiGzDecoder<Output>>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// The decoder that the headers of a request ask for.
    pub(crate) fn for_headers(headers: &HeaderMap) -> Result<Decoder, Refusal> {
        let encoding = headers.get(header::CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes());
        match encoding.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Decoder::Identity(Output::default())),
            b"gzip" => Ok(Decoder::Gzip(Box::new(MultiGzDecoder::new(Output::default())))),
            b"zstd" => Zstd::new().map(|zstd| Decoder::Zstd(Box::new(zstd))),
            other => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("unsupported content encoding: {}", other.escape_ascii()),
            )),
        }
    }

    /// Takes the next chunk.
    pub(crate) fn push(self, chunk: &[u8]) -> Result<Decoder, Refusal> {
        match self {
            Decoder::Identity(mut output) => match output.write_all(chunk) {
                Ok(()) => Ok(Decoder::Identity(output)),
                Err(_) => Err(output.refusal()),
            },
            Decoder::Gzip(mut gzip) => match gzip.write_all(chunk) {
                Ok(()) => Ok(Decoder::Gzip(gzip)),
                Err(_) => Err(gzip.get_ref().refusal()),
            },
            Decoder::Zstd(mut zstd) => zstd.push(chunk).map(|()| Decoder::Zstd(zstd)),
        }
    }

    /// All bytes, once the last chunk was taken.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Refusal> {
        match self {
            Decoder::Identity(output) => Ok(output.bytes),
            Decoder::Gzip(mut gzip) => match gzip.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut gzip.get_mut().bytes)),
                Err(_) => Err(gzip.get_ref().refusal()),
            },
            Decoder::Zstd(zstd) if zstd.frame_finished => Ok(zstd.bytes),
            Decoder::Zstd(_) => Err(Refusal::body_malformed()),
        }
    }
}

/// Decoded bytes up to the cap; writing beyond it fails.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl Output {
    /// Why a decoder that writes here failed.
    fn refusal(&self) -> Refusal {
        if self.overflowed { Refusal::body_too_large() } else { Refusal::body_malformed() }
    }
}

impl Write for Output {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if chunk.len() > BODY_BYTES_MAX - self.bytes.len() {
            self.overflowed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A zstd decoder that writes into its output directly and knows whether its last frame is complete.
pub(crate) struct Zstd {
    decoder: zstd::stream::raw::Decoder<'static>,
    bytes: Vec<u8>,
    frame_finished: bool,
}

impl Zstd {
    fn new() -> Result<Zstd, Refusal> {
        let unavailable = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "zstd is not available");
        let mut decoder = zstd::stream::raw::Decoder::new().map_err(unavailable)?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(unavailable)?;
        Ok(Zstd { decoder, bytes: Vec::new(), frame_finished: true })
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        let mut input = InBuffer::around(chunk);
        while input.pos() < chunk.len() || !self.has_room() {
            self.make_room();
            let start = self.bytes.len();
            let mut output = OutBuffer::around_pos(&mut self.bytes, start);
            let missing_bytes =
                self.decoder.run(&mut input, &mut output).map_err(|_| Refusal::body_malformed())?;
            self.frame_finished = missing_bytes == 0;
            if self.bytes.len() > BODY_BYTES_MAX {
                return Err(Refusal::body_too_large());
            }
            // Running on without input would announce a next frame that never comes.
            if self.frame_finished && input.pos() == chunk.len() {
                break;
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.bytes.len() < self.bytes.capacity()
    }

    /// Grows a full output. One byte above the cap is enough to tell a body that fits from one that does not.
    fn make_room(&mut self) {
        if !self.has_room() {
            let capacity = (self.bytes.len() * 2).clamp(OUTPUT_BYTES_START, BODY_BYTES_MAX + 1);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: &str, body: &[u8], chunk_bytes: usize) -> Result<Vec<u8>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        let decoder = Decoder::for_headers(&headers)?;
        body.chunks(chunk_bytes).try_fold(decoder, Decoder::push)?.finish()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).unwrap()
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    const COMPRESSORS: [(&str, Compress); 3] = [("identity", <[u8]>::to_vec), ("gzip", gzip), ("zstd", zstd)];

    #[test]
    fn every_encoding_in_every_chunking_gives_the_body_back() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for (encoding, compress) in COMPRESSORS {
            for (text, chunk_sizes) in
                [(&text[..], &[1_000, usize::MAX][..]), (b"[{}]", &[1, 3]), (b"", &[1])]
            {
                for &chunk_bytes in chunk_sizes {
                    let decoded = decode(encoding, &compress(text), chunk_bytes).unwrap();
                    assert!(decoded == text, "{encoding} of {} bytes by {chunk_bytes}", text.len());
                }
            }
        }
    }

    #[test]
    fn several_members_and_frames_are_one_body() {
        for (encoding, compress) in COMPRESSORS {
            let body = [compress(b"[{}"), compress(b",{}]")].concat();
            for chunk_bytes in [1, body.len()] {
                assert_eq!(decode(encoding, &body, chunk_bytes).unwrap(), b"[{},{}]", "{encoding}");
            }
        }
    }

    #[test]
    fn the_cap_is_exact_in_every_encoding() {
        for (encoding, compress) in COMPRESSORS {
            let full = compress(&vec![b' '; BODY_BYTES_MAX]);
            assert_eq!(decode(encoding, &full, 16_384).unwrap().len(), BODY_BYTES_MAX, "{encoding}");

            let over = compress(&vec![b' '; BODY_BYTES_MAX + 1]);
            assert_eq!(decode(encoding, &over, 16_384), Err(Refusal::body_too_large()), "{encoding}");
        }
    }

    #[test]
    fn a_bomb_is_refused_within_the_memory_of_one_body() {
        let bomb = zstd(&vec![0; 512 * 1024 * 1024]);
        assert!(bomb.len() < 100_000);

        let mut decoder = Zstd::new().unwrap();
        assert_eq!(decoder.push(&bomb), Err(Refusal::body_too_large()));
        assert_eq!(decoder.bytes.capacity(), BODY_BYTES_MAX + 1);
    }

    #[test]
    fn truncated_and_foreign_bytes_are_malformed() {
        for (encoding, compress) in &COMPRESSORS[1..] {
            let whole = compress(b"[{\"data\":{\"a\":1}}]");
            for kept_bytes in 1..whole.len() {
                let outcome = decode(encoding, &whole[..kept_bytes], usize::MAX);
                assert_eq!(outcome, Err(Refusal::body_malformed()), "{encoding} cut at {kept_bytes}");
            }
            assert_eq!(decode(encoding, b"[{}]", usize::MAX), Err(Refusal::body_malformed()), "{encoding}");
        }
    }

    #[test]
    fn other_encodings_are_not_supported() {
        for encoding in ["br", "zst", "gzip, zstd", "deflate"] {
            let refusal = decode(encoding, b"[]", 1).unwrap_err();
            assert_eq!(refusal.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
        }
    }

    #[test]
    fn a_window_beyond_any_body_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(ZSTD_WINDOW_LOG_MAX + 1).unwrap();
        encoder.write_all(b"[{}]").unwrap();
        let body = encoder.finish().unwrap();
        assert_eq!(decode("zstd", &body, usize::MAX), Err(Refusal::body_malformed()));
    }
}
