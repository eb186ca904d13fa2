//! One request on one stream: reads, verifies, writes, and tells the job.
//!
//! Leaves are checked in batches, soon after they came and before they touch the disk. The stream has one sender, so
//! a wrong leaf names its sender exactly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use choir_shared::leaf::{LEAF_BYTES, LeafRange, LeafSet};
use choir_shared::merkle::{LeafHashMismatch, TreeLayer, verify_leaves};
use choir_shared::wire::{Get, Reason};
use choir_shared::{Digest, FileId, PeerId};
use tokio::sync::mpsc;

use super::Throttle;
use super::scheduler::{RequestId, SourceId};
use super::writes::{Begun, Stopped, Writes};
use crate::session::asking::{Answer, Arrivals, Delivery};
use crate::session::{Session, SessionError};
use crate::store::{Part, StoreError};

/// Leaves that are verified and written together: as many as the widest hashing kernel takes at once, and writes
/// large enough for any disk.
const BATCH_LEAVES: u32 = 16;

/// How long a whole leaf waits for others to be verified with. Fast lines fill a batch sooner; on slow ones neither a
/// listener nor whoever judges the source need wait for sixteen leaves.
const BATCH_TIME: Duration = Duration::from_millis(5);

/// Writes that one fetch has under way while it reads on; all of a download have a limit of their own.
const WRITES_AHEAD: usize = 8;

/// A batch under a limit is a quarter of a second's.
const PARTS_OF_BATCH: u32 = 16;

/// What a download has in common with its fetches.
#[derive(Clone)]
pub struct Target {
    pub part: Arc<Part>,
    pub layer: Arc<TreeLayer>,
    pub writes: Arc<Writes>,
    /// What fetches tell the job. The job only does bookkeeping between two messages, so a full channel empties
    /// within microseconds; until then fetches wait, and through flow control so do the senders.
    pub news: mpsc::Sender<News>,
    pub throttle: Arc<Throttle>,
    /// See [`Get::priority`].
    pub priority: u8,
}

/// What a fetch tells its job.
#[derive(Debug)]
pub enum News {
    Verified {
        id: RequestId,
        source: SourceId,
        leaves: LeafRange,
    },
    /// A source that has not all of the file, or knows others, said so.
    Stock {
        source: SourceId,
        stock: Stock,
    },
    Ended {
        id: RequestId,
        source: SourceId,
        end: FetchEnd,
    },
}

/// What a source has of the file, and who else has some.
#[derive(Debug)]
pub struct Stock {
    pub has: LeafSet,
    pub more_sources: Vec<PeerId>,
}

impl Stock {
    fn of(delivery: &mut Delivery) -> Self {
        Self { has: delivery.leaves.clone(), more_sources: std::mem::take(&mut delivery.more_sources) }
    }
}

/// Why a fetch is over.
#[derive(Debug, thiserror::Error)]
pub enum FetchEnd {
    #[error("done")]
    Complete,
    /// The source has not all of what it was asked for.
    #[error("lacks some of it")]
    Lacks,
    /// The sharer serves nothing of it now, or ever.
    #[error("{reason}")]
    No { reason: Reason, retry_after_ms: u32 },
    /// Leaf `leaf` is wrong, or hashes are.
    #[error("sent wrong bytes")]
    BadData { leaf: u32 },
    /// Fewer or more bytes than were asked for.
    #[error("sent too few or too many bytes")]
    WrongLength,
    /// Said nothing for too long.
    #[error("silent")]
    Silent,
    #[error("{0}")]
    Session(SessionError),
    #[error("{0}")]
    Disk(StoreError),
}

impl From<SessionError> for FetchEnd {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::CutShort => Self::WrongLength,
            error => Self::Session(error),
        }
    }
}

impl From<Stopped> for FetchEnd {
    fn from(_: Stopped) -> Self {
        Self::Session(SessionError::Ended(None))
    }
}

impl From<StoreError> for FetchEnd {
    fn from(error: StoreError) -> Self {
        Self::Disk(error)
    }
}

/// One request under way.
pub struct Fetch {
    pub id: RequestId,
    pub source: SourceId,
    pub session: Session,
    pub range: LeafRange,
    /// To be sent before what was asked for earlier.
    pub is_urgent: bool,
    /// Where to stop; moved forward when another source takes the tail.
    pub end: Arc<AtomicU32>,
    pub arrivals: Arrivals,
}

impl Fetch {
    pub async fn run(self, target: Target) {
        let end = match self.transfer(&target).await {
            Ok(()) => FetchEnd::Complete,
            Err(end) => end,
        };
        let _ = target.news.send(News::Ended { id: self.id, source: self.source, end }).await;
    }

    async fn transfer(&self, target: &Target) -> Result<(), FetchEnd> {
        let file = target.layer.id();
        let get = Get {
            file,
            first_leaf: self.range.first(),
            leaf_count: self.range.count(),
            want_layer: false,
            priority: if self.is_urgent { u8::MAX } else { target.priority },
        };
        let mut delivery = deliver(self.session.get(&get).await?, &self.arrivals)?;
        let lacks = !delivery.leaves.contains_range(self.range);
        if !delivery.leaves.is_full() || !delivery.more_sources.is_empty() {
            let stock = Stock::of(&mut delivery);
            let _ = target.news.send(News::Stock { source: self.source, stock }).await;
        }
        if lacks {
            return Err(FetchEnd::Lacks);
        }
        let hashes = leaf_hashes(&mut delivery, &target.layer, self.range).await?;
        let (begun, writing) = mpsc::channel(WRITES_AHEAD);
        // Whatever ends the reading, what was read before counts. That the disk failed is nobody's fault.
        let (read, reported) = tokio::join!(self.read(target, delivery, &hashes, begun), self.report(target, writing));
        reported.and(read)
    }

    /// Has everything verified that comes, and lines it up to be written.
    async fn read(
        &self,
        target: &Target,
        mut delivery: Box<Delivery>,
        hashes: &[Digest],
        begun: mpsc::Sender<(LeafRange, Begun)>,
    ) -> Result<(), FetchEnd> {
        let mut batches = Batches::new(target.layer.id(), self.range);
        while let Some((batch, data)) = batches.next(&mut delivery, self.end(target, batches.next)).await? {
            check(&data, batch, self.range, hashes)?;
            self.wait_for_limit(data.len(), target).await;
            let Some(first) = batch.leaves().next() else { continue };
            let write = target.writes.begin(first, data).await?;
            if begun.send((batch, write)).await.is_err() {
                break;
            }
        }
        if batches.is_at_end() {
            return batches.expect_end(&mut delivery).await;
        }
        delivery.stop();
        Ok(())
    }

    /// Tells the job what is written.
    async fn report(&self, target: &Target, mut writing: mpsc::Receiver<(LeafRange, Begun)>) -> Result<(), FetchEnd> {
        while let Some((leaves, write)) = writing.recv().await {
            write.written().await??;
            let news = News::Verified { id: self.id, source: self.source, leaves };
            if target.news.send(news).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Where the batch ends at the latest that begins with leaf number `next`. Under a limit, what it takes long to be
    /// allowed is not collected first.
    fn end(&self, target: &Target, next: u32) -> u32 {
        let end = self.end.load(Ordering::Relaxed);
        let at_once = |part| (PARTS_OF_BATCH * part as u32 / LEAF_BYTES).max(1);
        target.throttle.part().map_or(end, |part| end.min(next.saturating_add(at_once(part))))
    }

    /// Until so many bytes may have come. What is not read meanwhile, flow control keeps from being sent.
    async fn wait_for_limit(&self, bytes: usize, target: &Target) {
        let _held_back = self.arrivals.hold_back();
        let mut left = bytes;
        while left > 0 {
            left -= target.throttle.take(target.layer.id(), (), left).await;
        }
    }
}

/// What the first request of a download has brought when its first leaf is here. From then on nobody needs to be
/// believed.
pub struct Opening {
    pub layer: TreeLayer,
    pub stock: Stock,
    /// The first leaf, and its verified bytes, if the source has what was asked for.
    pub first: Option<(LeafRange, Vec<u8>)>,
    rest: Option<Box<Rest>>,
}

/// What the first request of a download brings.
pub struct Start {
    pub layer: TreeLayer,
    pub stock: Stock,
    /// The first leaves, and their verified bytes, if the source has them.
    pub first: Option<(LeafRange, Vec<u8>)>,
}

/// What is still to come of the first request.
struct Rest {
    patience: Patience,
    range: LeafRange,
    hashes: Vec<Digest>,
    batches: Batches,
    delivery: Box<Delivery>,
}

/// Asks for the tree layer and the first leaves at once. Gives up when nothing came for `patience`, or twice that; so
/// does [`Opening::rest`].
pub async fn open(
    session: Session,
    file: FileId,
    leaves: u32,
    patience: Duration,
    arrivals: Arrivals,
) -> Result<Opening, FetchEnd> {
    let patience = Patience { session, time: patience, arrivals };
    patience.wait_for(begin(&patience, file, leaves)).await
}

async fn begin(patience: &Patience, file: FileId, leaves: u32) -> Result<Opening, FetchEnd> {
    let length = file.length();
    // Whole nodes; where one has more leaves than are to be asked for, none.
    let leaves = leaves / (1 << TreeLayer::height(length)) * (1 << TreeLayer::height(length));
    let range = length.range(0, leaves.min(length.leaf_count()));
    let leaf_count = range.map_or(0, LeafRange::count);
    let get = Get { file, first_leaf: 0, leaf_count, want_layer: true, priority: u8::MAX };
    let mut delivery = deliver(patience.session.get(&get).await?, &patience.arrivals)?;
    let nodes = delivery.read_layer(file).await?;
    let layer = TreeLayer::verify(file, nodes).map_err(|_not_the_files| FetchEnd::BadData { leaf: 0 })?;
    let stock = Stock::of(&mut delivery);
    let Some(range) = range.filter(|range| stock.has.contains_range(*range)) else {
        return Ok(Opening { layer, stock, first: None, rest: None });
    };
    let hashes = leaf_hashes(&mut delivery, &layer, range).await?;
    let batches = Batches::new(file, range);
    let mut rest = Rest { patience: patience.clone(), range, hashes, batches, delivery };
    let first = rest.next(range.first() + 1).await?;
    Ok(Opening { layer, stock, first, rest: Some(Box::new(rest)) })
}

impl Opening {
    /// Waits for the other leaves.
    pub async fn rest(self) -> Result<Start, FetchEnd> {
        let Self { layer, stock, first, rest } = self;
        let (Some(mut rest), Some((_, mut data))) = (rest, first) else {
            return Ok(Start { layer, stock, first: None });
        };
        rest.patience.clone().wait_for(rest.read_into(&mut data)).await?;
        Ok(Start { layer, stock, first: Some((rest.range, data)) })
    }
}

impl Rest {
    async fn read_into(&mut self, data: &mut Vec<u8>) -> Result<(), FetchEnd> {
        while let Some((_, bytes)) = self.next(self.range.end()).await? {
            data.extend_from_slice(&bytes);
        }
        self.batches.expect_end(&mut self.delivery).await
    }

    /// The next leaves, verified, and none from number `end` on.
    async fn next(&mut self, end: u32) -> Result<Option<(LeafRange, Vec<u8>)>, FetchEnd> {
        let next = self.batches.next(&mut self.delivery, end).await?;
        if let Some((batch, bytes)) = &next {
            check(bytes, *batch, self.range, &self.hashes)?;
        }
        Ok(next)
    }
}

/// With a source that says nothing.
#[derive(Clone)]
struct Patience {
    session: Session,
    time: Duration,
    arrivals: Arrivals,
}

impl Patience {
    /// Until nothing came for its time, or twice that.
    async fn wait_for<T>(&self, answer: impl Future<Output = Result<T, FetchEnd>>) -> Result<T, FetchEnd> {
        let mut answer = std::pin::pin!(answer);
        let mut before = self.arrivals.bytes();
        loop {
            if let Some(answered) = self.session.within(self.time, answer.as_mut()).await {
                return answered;
            }
            let arrived = self.arrivals.bytes();
            if arrived == before {
                return Err(FetchEnd::Silent);
            }
            before = arrived;
        }
    }
}

/// Asks what a source has, and for nothing of it.
pub async fn look(session: &Session, file: FileId) -> Result<Stock, FetchEnd> {
    let get = Get { file, first_leaf: 0, leaf_count: 0, want_layer: false, priority: u8::MAX };
    Ok(Stock::of(&mut *deliver(session.get(&get).await?, &Arrivals::default())?))
}

fn deliver(answer: Answer, arrivals: &Arrivals) -> Result<Box<Delivery>, FetchEnd> {
    match answer {
        Answer::Have(mut delivery) => {
            delivery.arrivals = arrivals.clone();
            Ok(delivery)
        }
        Answer::No(no) => Err(FetchEnd::No { reason: no.reason, retry_after_ms: no.retry_after_ms }),
    }
}

/// The proved hashes of the leaves of `range`: from the layer, or sent ahead of the bytes and checked against it.
async fn leaf_hashes(delivery: &mut Delivery, layer: &TreeLayer, range: LeafRange) -> Result<Vec<Digest>, FetchEnd> {
    if let Some(hashes) = layer.leaf_hashes(range) {
        return Ok(hashes.to_vec());
    }
    let hashes = delivery.read_leaf_hashes(range).await?;
    match layer.check_leaf_hashes(range, &hashes) {
        Ok(()) => Ok(hashes),
        Err(LeafHashMismatch::Node { first_leaf }) => Err(FetchEnd::BadData { leaf: first_leaf }),
        Err(LeafHashMismatch::Unaligned | LeafHashMismatch::Count { .. }) => Err(FetchEnd::WrongLength),
    }
}

fn check(data: &[u8], batch: LeafRange, range: LeafRange, hashes: &[Digest]) -> Result<(), FetchEnd> {
    let first = (batch.first() - range.first()) as usize;
    let expected = hashes.get(first..first + batch.count() as usize).unwrap_or_default();
    verify_leaves(data, expected).map_err(|wrong| FetchEnd::BadData { leaf: batch.first() + wrong.position as u32 })
}

/// Cuts a range into batches, and the stream of bytes into them.
struct Batches {
    file: FileId,
    range: LeafRange,
    next: u32,
    /// What was read of the stream past the batch before.
    rest: bytes::Bytes,
}

impl Batches {
    fn new(file: FileId, range: LeafRange) -> Self {
        Self { file, range, next: range.first(), rest: bytes::Bytes::new() }
    }

    /// The next leaves, as many as come soon after one another, and none from number `end` on.
    async fn next(&mut self, delivery: &mut Delivery, end: u32) -> Result<Option<(LeafRange, Vec<u8>)>, FetchEnd> {
        let length = self.file.length();
        let most = BATCH_LEAVES.min(end.min(self.range.end()).saturating_sub(self.next));
        let Some(batch) = length.range(self.next, most) else { return Ok(None) };
        let wanted = length.range_len(batch) as usize;
        let mut data = Vec::with_capacity(wanted);
        let mut deadline = None;
        while data.len() < wanted {
            if self.rest.is_empty() {
                match deadline {
                    None => self.more(delivery).await?,
                    Some(deadline) => match tokio::time::timeout_at(deadline, self.more(delivery)).await {
                        Ok(more) => more?,
                        Err(_) => break,
                    },
                }
            }
            let take = (wanted - data.len()).min(self.rest.len());
            data.extend_from_slice(&self.rest.split_to(take));
            if deadline.is_none() && data.len() >= LEAF_BYTES as usize {
                deadline = Some(tokio::time::Instant::now() + BATCH_TIME);
            }
        }
        if data.len() < wanted {
            let whole = data.len() as u32 / LEAF_BYTES;
            self.rest = data.split_off((whole * LEAF_BYTES) as usize).into();
            self.next += whole;
            return Ok(length.range(batch.first(), whole).map(|batch| (batch, data)));
        }
        self.next = batch.end();
        Ok(Some((batch, data)))
    }

    /// Waits for more bytes. Nothing is lost when it is dropped while it waits.
    async fn more(&mut self, delivery: &mut Delivery) -> Result<(), FetchEnd> {
        let most = (BATCH_LEAVES * LEAF_BYTES) as usize;
        self.rest = delivery.read(most).await?.ok_or(FetchEnd::WrongLength)?;
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        self.next == self.range.end()
    }

    /// After the range the stream must end: more bytes would be a sender that does not know what it serves.
    async fn expect_end(&mut self, delivery: &mut Delivery) -> Result<(), FetchEnd> {
        if !self.rest.is_empty() || delivery.read(1).await?.is_some() {
            return Err(FetchEnd::WrongLength);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::leaf::FileLength;
    use choir_shared::wire::{Have, LeavesHeld, encode};

    use super::*;
    use crate::session::fixture::Pair;

    const WHILE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn an_answer_that_ends_too_early_costs_its_source_the_file_and_not_the_connection() {
        let pair = Pair::connect().await;
        let file = FileId::new(Digest::of(&[0; 5]), FileLength::new(5).unwrap());
        let have = encode(&Have { leaves: LeavesHeld::All, more_sources: vec![] });
        let ask = async || open(pair.ours.clone(), file, 4, WHILE, Arrivals::default()).await?.rest().await;
        let whole = [&have, &file.root().as_bytes()[..], &[0; 5]].concat();
        for cut in [0, 3, have.len(), have.len() + 7, whole.len() - 1] {
            let (started, ()) = tokio::join!(ask(), pair.they_answer(&whole[..cut]));
            assert!(matches!(started, Err(FetchEnd::WrongLength)), "{cut}");
        }
        let (started, ()) = tokio::join!(ask(), pair.they_answer(&whole));
        assert_eq!(started.unwrap().first.unwrap().1, [0; 5]);
    }
}
