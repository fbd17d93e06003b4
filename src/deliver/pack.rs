//! Packing: a sealed batch → a compressed parcel, and a parcel → smaller ones when only some of its events have to be
//! sent again, or not all of them at once.
//!
//! Invariant: all parcels share one compressor, one output and one decompression buffer; a parcel holds exactly
//! its compressed bytes, and as many flow bytes as those and its events' ends take.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use super::{
    compress::{Compression, Compressor},
    queue::Spooled,
    retry::Backoff,
    trim,
    verdict::Verdict,
};
use crate::{
    ack::Claim,
    batch::{Batch, Run},
    budget::{Reservation, Sealed},
    lock::lock,
    spare::Spares,
    spool::{Header, Item, Owner, Stored},
};

/// A sealed batch, compressed.
#[derive(Debug)]
pub struct Parcel {
    /// Where it goes.
    pub dataset: Arc<str>,
    /// Whether its events' input can be read again.
    pub replayable: bool,
    /// Whether it was taken from the spool: its events have no claims then, each is one line.
    pub from_spool: bool,
    /// Its file in the spool, if it has one.
    pub spooled: Option<Item>,
    /// How the body is compressed.
    pub compression: Compression,
    /// The body as it will be sent.
    pub body: Bytes,
    /// Where each event ends in the uncompressed body, its separator included.
    pub ends: Vec<u32>,
    /// The spans its events came from, in the events' order.
    pub claims: Vec<Claim>,
    /// Its place in the queue.
    pub number: u64,
    /// How long to wait before it is sent again.
    pub backoff: Backoff,
    /// Whether events of it were trimmed already.
    pub trimmed: bool,
    /// Whether it is no longer what its file in the spool has.
    pub changed: bool,
    reservation: Reservation,
    sealed: Sealed,
}

impl Parcel {
    /// The flow bytes that it takes.
    #[must_use]
    pub fn cost(&self) -> usize {
        let claims: usize = self.claims.iter().map(Claim::cost).sum();
        Run::cost(self.body.len(), self.ends.len()) + claims
    }

    /// Gives back the flow bytes that it no longer needs.
    fn shrink_reservation(&mut self) {
        self.reservation.shrink_to(self.cost());
    }

    /// One that was taken from the spool.
    #[must_use]
    pub fn of_spool(
        Spooled { item, number, backoff, trimmed }: Spooled,
        stored: Stored,
        sealed: Sealed,
    ) -> Self {
        let Stored { header, body } = stored;
        Self {
            dataset: Arc::clone(&item.dataset),
            replayable: false,
            from_spool: true,
            spooled: Some(item),
            compression: header.compression,
            body,
            ends: header.ends,
            claims: Vec::new(),
            number,
            backoff,
            trimmed,
            changed: false,
            reservation: Reservation::default(),
            sealed,
        }
    }

    /// As it is kept in the spool.
    #[must_use]
    pub fn stored(&self, api_url: &str, owner: Option<Owner>) -> Stored {
        let header = Header {
            api_url: api_url.to_owned(),
            owner,
            dataset: self.dataset.to_string(),
            compression: self.compression,
            ends: self.ends.clone(),
            body_bytes: self.body.len() as u64,
            body_crc: crc32fast::hash(&self.body),
        };
        Stored { header, body: self.body.clone() }
    }

    /// Decompresses its body.
    fn unpack(&self, body: &mut Vec<u8>) -> io::Result<()> {
        let bytes = self.ends.last().map_or(0, |end| *end as usize);
        self.compression.decompress(&self.body, bytes, body)?;
        if body.len() == bytes {
            Ok(())
        } else {
            Err(io::Error::other("a body of another length than its events have"))
        }
    }

    /// One without events.
    #[cfg(test)]
    pub(super) fn empty(dataset: Arc<str>) -> Self {
        Self {
            dataset,
            replayable: true,
            from_spool: false,
            spooled: None,
            compression: Compression::None,
            body: Bytes::new(),
            ends: Vec::new(),
            claims: Vec::new(),
            number: 0,
            backoff: Backoff::default(),
            trimmed: false,
            changed: false,
            reservation: Reservation::default(),
            sealed: crate::budget::Flow::new(0).sealed(),
        }
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
        let mut buffers = lock(&self.buffers);
        let (body, compression) = (buffers.compressor.compress(&batch.body)?, buffers.compressor.kind());
        drop(buffers);
        spares.give(batch.body);
        let (ends, claims, reservation) = (batch.ends, batch.claims, batch.reservation);
        let replayable = batch.key.replayable;
        let mut parcel = Parcel {
            dataset,
            replayable,
            from_spool: false,
            spooled: None,
            compression,
            body,
            ends,
            claims,
            number: 0,
            backoff: Backoff::default(),
            trimmed: false,
            changed: false,
            reservation,
            sealed,
        };
        parcel.shrink_reservation();
        Ok(parcel)
    }

    /// Keeps, of the parcel's events, those that have to be sent again, trimmed where that is asked for. The claims are
    /// the caller's to adjust.
    ///
    /// # Errors
    /// What the compressor fails with.
    pub fn keep(&self, parcel: &mut Parcel, verdicts: &[Verdict]) -> io::Result<()> {
        let mut locked = lock(&self.buffers);
        let Buffers { compressor, body } = &mut *locked;
        parcel.unpack(body)?;
        let trims = verdicts.contains(&Verdict::Trim);
        let ends =
            if trims { trimmed(body, &parcel.ends, verdicts) } else { thinned(body, &parcel.ends, verdicts) };
        parcel.body = compressor.compress(body)?;
        parcel.ends = ends;
        parcel.trimmed |= trims;
        parcel.changed = true;
        parcel.compression = compressor.kind();
        parcel.shrink_reservation();
        Ok(())
    }

    /// Makes two of a parcel of several events.
    ///
    /// # Errors
    /// What the compressor fails with; the parcel is as it was then.
    pub fn split(&self, parcel: &mut Parcel) -> io::Result<Parcel> {
        let mut locked = lock(&self.buffers);
        let Buffers { compressor, body } = &mut *locked;
        parcel.unpack(body)?;
        let half = parcel.ends.len() / 2;
        // The comma between the halves ends the one and then begins the other.
        let cut = half.checked_sub(1).map_or(0, |last| parcel.ends[last] as usize);
        let between = cut.saturating_sub(1);
        body[between] = b']';
        let first_body = compressor.compress(&body[..cut])?;
        body[between] = b'[';
        let body = compressor.compress(&body[between..])?;
        let mut first_ends = std::mem::take(&mut parcel.ends);
        let ends: Vec<u32> = first_ends.drain(half..).map(|end| end - as_offset(between)).collect();
        let claims = split_off(&mut parcel.claims, half);
        (parcel.body, parcel.ends) = (first_body, first_ends);
        parcel.changed = true;
        parcel.compression = compressor.kind();
        let mut rest = Parcel {
            dataset: Arc::clone(&parcel.dataset),
            replayable: parcel.replayable,
            from_spool: parcel.from_spool,
            spooled: None,
            compression: parcel.compression,
            body,
            ends,
            claims,
            number: parcel.number,
            backoff: Backoff::default(),
            trimmed: parcel.trimmed,
            changed: true,
            reservation: Reservation::default(),
            sealed: parcel.sealed.another(),
        };
        rest.reservation = parcel.reservation.split(rest.cost());
        parcel.shrink_reservation();
        Ok(rest)
    }

    /// Shows each of a parcel's events.
    ///
    /// # Errors
    /// When the body is not what this packer made.
    pub fn each(&self, parcel: &Parcel, mut show: impl FnMut(usize, &[u8])) -> io::Result<()> {
        let mut locked = lock(&self.buffers);
        let body = &mut locked.body;
        parcel.unpack(body)?;
        events(body, &parcel.ends).enumerate().for_each(|(index, event)| show(index, event));
        Ok(())
    }
}

/// The events of a body, without what stands between them.
fn events<'b>(body: &'b [u8], ends: &'b [u32]) -> impl Iterator<Item = &'b [u8]> {
    let mut start = 1;
    ends.iter().map(move |end| {
        let event = &body[start..*end as usize - 1];
        start = *end as usize;
        event
    })
}

/// Leaves those events in a body that have to be sent again; gives their ends. Needs no memory but the body's.
fn thinned(body: &mut Vec<u8>, ends: &[u32], verdicts: &[Verdict]) -> Vec<u32> {
    let (mut kept, mut to, mut from) = (Vec::new(), 1, 1);
    for (&end, verdict) in ends.iter().zip(verdicts) {
        let end = end as usize;
        if *verdict == Verdict::Retry {
            // With what stands after it.
            body.copy_within(from..end, to);
            to += end - from;
            kept.push(as_offset(to));
        }
        from = end;
    }
    body.truncate(to);
    close(body);
    kept
}

/// The same, with events that are trimmed. That may make one longer, and is rare: it has memory of its own.
fn trimmed(body: &mut Vec<u8>, ends: &[u32], verdicts: &[Verdict]) -> Vec<u32> {
    let (mut kept, mut out) = (Vec::new(), b"[".to_vec());
    for (event, verdict) in events(body, ends).zip(verdicts) {
        match verdict {
            Verdict::Retry => out.extend_from_slice(event),
            Verdict::Trim => out.extend_from_slice(&trim::event(event)),
            Verdict::Accepted | Verdict::Refused(_) => continue,
        }
        out.push(b',');
        kept.push(as_offset(out.len()));
    }
    close(&mut out);
    *body = out;
    kept
}

/// What stands after the last event ends the body.
fn close(body: &mut [u8]) {
    if let Some(last) = body.last_mut() {
        *last = b']';
    }
}

fn as_offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Takes the claims of all but the first `events`.
fn split_off(claims: &mut Vec<Claim>, events: usize) -> Vec<Claim> {
    let mut left = u32::try_from(events).unwrap_or(u32::MAX);
    let whole = |claim: &&Claim| {
        let is_whole = claim.events <= left;
        left -= if is_whole { claim.events } else { 0 };
        is_whole
    };
    let count = claims.iter().take_while(whole).count();
    let mut rest = claims.split_off(count);
    if left > 0
        && let Some(shared) = rest.first_mut()
    {
        claims.push(Claim { events: left, ..shared.clone() });
        shared.events -= left;
    }
    rest
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
        let span = ledger.open_span(stream, 1, Passed { lines: 4, ..Passed::default() }, &[]);
        let run = Run {
            key: Key { dataset: Datasets::default().id("d"), replayable: true },
            events: b"{\"a\":1},{\"b\":22},{\"c\":3},{\"d\":4},".to_vec(),
            ends: vec![8, 17, 25, 33],
            claims: vec![Claim { span, events: 4, lines: 1, held: Box::default() }].into(),
            reservation: Reservation::default(),
        };
        let mut batcher = Batcher::new(1_000, Spares::default());
        batcher.add(run, tokio::time::Instant::now(), |_| panic!("it is not full"));
        batcher.seal_largest().unwrap()
    }

    fn text(compression: Compression, parcel: &Parcel) -> String {
        let mut body = Vec::new();
        compression.decompress(&parcel.body, 0, &mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn what_is_packed_again_is_a_body_of_the_events_to_retry() {
        use Verdict::{Accepted, Refused, Retry};
        for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
            let packer = Packer::new(compression).unwrap();
            let mut parcel =
                packer.pack(batch(), "d".into(), Flow::new(1).sealed(), &Spares::default()).unwrap();
            packer.keep(&mut parcel, &[Accepted, Retry, Refused(0), Retry]).unwrap();
            assert_eq!(text(compression, &parcel), "[{\"b\":22},{\"d\":4}]");
            packer.keep(&mut parcel, &[Retry, Accepted]).unwrap();
            assert_eq!(parcel.ends, [10]);
        }
    }

    #[test]
    fn a_parcel_is_split_with_its_claims_until_each_event_is_alone() {
        let packer = Packer::new(Compression::None).unwrap();
        let mut first = packer.pack(batch(), "d".into(), Flow::new(1).sealed(), &Spares::default()).unwrap();
        let mut second = packer.split(&mut first).unwrap();
        assert_eq!(text(Compression::None, &first), "[{\"a\":1},{\"b\":22}]");
        assert_eq!(text(Compression::None, &second), "[{\"c\":3},{\"d\":4}]");
        assert_eq!((first.claims[0].events, second.claims[0].events), (2, 2));
        let last = packer.split(&mut second).unwrap();
        assert_eq!((text(Compression::None, &last), last.ends.len()), ("[{\"d\":4}]".to_owned(), 1));
        let mut seen = Vec::new();
        packer.each(&first, |index, event| seen.push((index, event.to_vec()))).unwrap();
        assert_eq!(seen, [(0, b"{\"a\":1}".to_vec()), (1, b"{\"b\":22}".to_vec())]);
    }
}
