//! Packing: a sealed batch → a compressed parcel, and a parcel → a smaller one when only some of its events have
//! to be sent again.
//!
//! Invariant: all parcels share one compressor, one output and one decompression buffer; a parcel holds exactly
//! its compressed bytes, and as many flow bytes as those and its events' ends take.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    compress::{Compression, Compressor},
    verdict::Verdict,
};
use crate::{
    ack::Claim,
    batch::{Batch, Run},
    budget::{Reservation, Sealed},
    spare::Spares,
};

/// A sealed batch, compressed.
#[derive(Debug)]
pub struct Parcel {
    /// Where it goes.
    pub dataset: Arc<str>,
    /// Whether its events' input can be read again.
    pub replayable: bool,
    /// The body as it will be sent.
    pub body: Bytes,
    /// Where each event ends in the uncompressed body, its separator included.
    pub ends: Vec<u32>,
    /// The spans its events came from, in the events' order.
    pub claims: Vec<Claim>,
    reservation: Reservation,
    _sealed: Sealed,
}

impl Parcel {
    /// Gives back the flow bytes that it no longer needs.
    fn shrink_reservation(&mut self) {
        let claims: usize = self.claims.iter().map(Claim::cost).sum();
        self.reservation.shrink_to(Run::cost(self.body.len(), self.ends.len()) + claims);
    }
}

/// Packs all parcels of a process.
#[derive(Debug)]
pub struct Packer {
    buffers: Mutex<Buffers>,
}

#[derive(Debug)]
struct Buffers {
    compressor: Compressor,
    body: Vec<u8>,
}

impl Packer {
    /// A packer that compresses that way.
    ///
    /// # Errors
    /// When the compressor can't have its working memory.
    pub fn new(compression: Compression) -> io::Result<Self> {
        let buffers = Buffers { compressor: Compressor::new(compression)?, body: Vec::new() };
        Ok(Self { buffers: Mutex::new(buffers) })
    }

    /// Compresses a sealed batch; the flow bytes that this saves go back, the body's buffer to `spares`.
    ///
    /// # Errors
    /// What the compressor fails with.
    pub fn pack(
        &self,
        batch: Batch,
        dataset: Arc<str>,
        sealed: Sealed,
        spares: &Spares,
    ) -> io::Result<Parcel> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let body = buffers.compressor.compress(&batch.body)?;
        drop(buffers);
        spares.give(batch.body);
        let (ends, claims, reservation) = (batch.ends, batch.claims, batch.reservation);
        let replayable = batch.key.replayable;
        let mut parcel = Parcel { dataset, replayable, body, ends, claims, reservation, _sealed: sealed };
        parcel.shrink_reservation();
        Ok(parcel)
    }

    /// Keeps, of the parcel's events, those whose verdict is to retry. The claims are the caller's to adjust.
    ///
    /// # Errors
    /// What the compressor fails with.
    pub fn keep_retries(&self, parcel: &mut Parcel, verdicts: &[Verdict]) -> io::Result<()> {
        let mut locked = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let Buffers { compressor, body } = &mut *locked;
        compressor.decompress(&parcel.body, body)?;
        let (mut start, mut written) = (1, 1);
        let mut ends = Vec::new();
        for (end, verdict) in parcel.ends.iter().zip(verdicts) {
            let end = *end as usize;
            if *verdict == Verdict::Retry {
                body.copy_within(start..end, written);
                written += end - start;
                body[written - 1] = b',';
                ends.push(u32::try_from(written).unwrap_or(u32::MAX));
            }
            start = end;
        }
        body[written - 1] = b']';
        parcel.body = compressor.compress(&body[..written])?;
        parcel.ends = ends;
        parcel.shrink_reservation();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ack::{Ledger, Passed},
        batch::{Batcher, Key, Run},
        budget::Flow,
        dataset::Datasets,
    };

    /// A batch of four events.
    fn batch() -> Batch {
        let mut ledger = Ledger::default();
        let stream = ledger.open_stream(crate::ack::End::default());
        let span = ledger.open_span(stream, 1, Passed { lines: 4, blank: 0 }, &[]);
        let run = Run {
            key: Key { dataset: Datasets::default().id("d"), replayable: true },
            events: b"{\"a\":1},{\"b\":22},{\"c\":3},{\"d\":4},".to_vec(),
            ends: vec![8, 17, 25, 33],
            claims: vec![Claim { span, events: 4, lines: 1, held: Box::default() }].into(),
            reservation: Reservation::default(),
        };
        let mut batcher = Batcher::new(1_000, std::time::Duration::from_secs(1), Spares::default());
        batcher.add(run, tokio::time::Instant::now(), |_| panic!("it is not full"));
        batcher.seal_largest().unwrap()
    }

    #[test]
    fn what_is_packed_again_is_a_body_of_the_events_to_retry() {
        use Verdict::{Accepted, Refused, Retry};
        for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
            let packer = Packer::new(compression).unwrap();
            let mut parcel =
                packer.pack(batch(), "d".into(), Flow::new(1).sealed(), &Spares::default()).unwrap();
            packer.keep_retries(&mut parcel, &[Accepted, Retry, Refused, Retry]).unwrap();
            let mut body = Vec::new();
            Compressor::new(compression).unwrap().decompress(&parcel.body, &mut body).unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), "[{\"b\":22},{\"d\":4}]");
            packer.keep_retries(&mut parcel, &[Retry, Accepted]).unwrap();
            assert_eq!(parcel.ends, [10]);
        }
    }
}
