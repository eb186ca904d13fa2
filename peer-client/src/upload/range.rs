//! The answer to one request for bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use choir_shared::lanes::hash_leaves;
use choir_shared::leaf::{FileLength, LEAF_BYTES, LeafRange};
use choir_shared::merkle::TreeLayer;
use choir_shared::wire::{CloseCode, Get, Have, LeavesHeld, Reason, StreamCode};
use choir_shared::{Digest, FileId};
use futures_util::{StreamExt as _, stream};

use super::admit::Admission;
use super::desk::{Size, Transfer};
use super::serve::Visit;
use super::shelf::{CheckedFile, Contents, ShelvedFile, Unreadable};
use crate::session::SessionError;
use crate::session::answering::Reply;

/// Without a slot only leaves before this one are served: 64 KiB are the tags and some seconds of a song.
const TASTE_LEAVES: u32 = 64 * 1024 / LEAF_BYTES;

/// When to try again without a slot; who wants to know sooner takes a place in the queue.
const BUSY_RETRY_MS: u32 = 10_000;

/// When to try again after a change: most files are hashed anew by then, and many turn out to be the same.
const CHANGED_RETRY_MS: u32 = 30_000;

/// How much is read at once. Larger pieces measured no faster, and memory is held for each.
const PIECE_BYTES: u64 = 256 << 10;

/// Pieces read ahead of the network for each stream, so that the disk and the line work at the same time.
const PIECES_AHEAD: usize = 3;

/// Hashes written at once.
const HASHES_AT_ONCE: usize = 8192;

impl Visit {
    pub(super) async fn get(&self, get: Get, reply: Reply) -> Result<(), SessionError> {
        let Ok(range) = get.range() else {
            tracing::debug!(peer = %self.peer.short(), "asked for leaves that the file does not have");
            self.session.close(CloseCode::Malformed);
            return Ok(());
        };
        let Some(shelved) = self.shared.shelf.find(get.file).await else {
            return reply.no(Reason::NotShared, 0).await;
        };
        if range.is_some_and(|range| !is_aligned(get.file.length(), range)) {
            return reply.no(Reason::Refused, 0).await;
        }

        let desk = &self.shared.desk;
        let size = match range {
            None => Size::Nothing,
            Some(range) if range.end() <= TASTE_LEAVES => Size::Taste,
            Some(_) => Size::Full,
        };
        let footing = desk.footing(self.peer, size);
        let admission = self.judge(|rules, visitor| rules.admit(visitor, &shelved.visibility, footing)).await;
        let transfer = match admission {
            Admission::Serve => desk.begin(self.peer, get.file, size),
            Admission::Wait(_) => None,
            Admission::No(refusal) => {
                reply.no(refusal.reason(), 0).await?;
                if let Some(code) = refusal.close_code() {
                    self.session.close(code);
                }
                return Ok(());
            }
        };
        let Some(transfer) = transfer else { return reply.no(Reason::Busy, BUSY_RETRY_MS).await };

        match self.prepare(&get, range, shelved).await {
            Ok(goods) => self.send(&transfer, get, goods, reply).await,
            Err(error) => {
                self.doubt(get.file, &error);
                reply.no(Reason::Changed, CHANGED_RETRY_MS).await
            }
        }
    }

    /// Collects what will be sent, so that a file that cannot be read is told before anything is promised.
    async fn prepare(&self, get: &Get, range: Option<LeafRange>, shelved: ShelvedFile) -> Result<Goods, Unreadable> {
        let file = get.file;
        let (held, range) = match &shelved.contents {
            Contents::Whole => (LeavesHeld::All, range),
            Contents::Part { held, .. } => (LeavesHeld::of(held), range.filter(|range| held.contains_range(*range))),
        };
        let hashed_range = range.filter(|_| TreeLayer::height(file.length()) > 0);
        let leaves = match shelved.contents {
            Contents::Whole if get.want_layer || hashed_range.is_some() => {
                // The file was found a moment ago: if its hashes are gone, so is it.
                Some(self.shared.shelf.leaves(file).await.ok_or(Unreadable::Changed)?)
            }
            Contents::Whole | Contents::Part { .. } => None,
        };
        let (shared, want_layer) = (Arc::clone(&self.shared), get.want_layer);
        blocking(move || {
            let layer = match (&shelved.contents, &leaves) {
                (Contents::Part { layer, .. }, _) => Some(Arc::clone(layer)),
                (Contents::Whole, Some(leaves)) if want_layer => {
                    Some(shared.layers.above(file, leaves).map_err(|_| Unreadable::Changed)?)
                }
                (Contents::Whole, _) => None,
            };
            let bytes = match range {
                Some(range) => Some((Arc::new(shelved.open()?), file.length().byte_range(range))),
                None => None,
            };
            let leaf_hashes =
                hashed_range.map(|range| leaves.map_or(LeafHashes::OfBytes, |all| LeafHashes::Known(all, range)));
            Ok(Goods { held, layer: layer.filter(|_| want_layer), leaf_hashes, bytes })
        })
        .await
    }

    async fn send(
        &self,
        transfer: &Transfer<'_>,
        get: Get,
        goods: Goods,
        mut reply: Reply,
    ) -> Result<(), SessionError> {
        let outcome = tokio::select! {
            biased;
            code = transfer.revoked() => Err(Stopped::Revoked(code)),
            outcome = self.write(transfer, &get, goods, &mut reply) => outcome,
        };
        match outcome {
            Ok(()) => reply.finish(),
            Err(Stopped::Session(error)) => return Err(error),
            Err(Stopped::Revoked(code)) => reply.reset(code),
            Err(Stopped::Unreadable(error)) => {
                self.doubt(get.file, &error);
                reply.reset(match error {
                    Unreadable::Changed => StreamCode::Changed,
                    Unreadable::Io(_) => StreamCode::ReadFailed,
                });
            }
        }
        Ok(())
    }

    async fn write(&self, transfer: &Transfer<'_>, get: &Get, goods: Goods, reply: &mut Reply) -> Result<(), Stopped> {
        let more_sources = self.shared.desk.also_fetching(get.file, self.peer);
        reply.have(&Have { leaves: goods.held, more_sources }, get.priority).await?;
        if let Some(layer) = goods.layer {
            reply.hashes(layer.nodes()).await?;
        }
        let Some((file, bytes)) = goods.bytes else { return Ok(()) };
        match goods.leaf_hashes {
            Some(LeafHashes::Known(leaves, range)) => {
                let hashes = leaves.get(range.first() as usize..range.end() as usize).ok_or(Unreadable::Changed)?;
                for some in hashes.chunks(HASHES_AT_ONCE) {
                    reply.hashes(some).await?;
                }
            }
            Some(LeafHashes::OfBytes) => {
                for piece in cut(bytes.clone()) {
                    let mut hashes = Vec::new();
                    hash_leaves(&read(Arc::clone(&file), piece).await?, &mut hashes);
                    reply.hashes(&hashes).await?;
                }
            }
            None => {}
        }
        let mut pieces = stream::iter(cut(bytes)).map(|piece| read(Arc::clone(&file), piece)).buffered(PIECES_AHEAD);
        while let Some(piece) = pieces.next().await {
            let mut piece = piece?;
            while !piece.is_empty() {
                let allowed = self.pace(piece.len()).await;
                reply.bytes(piece.split_to(allowed)).await?;
                transfer.sent(allowed as u64);
            }
        }
        Ok(())
    }

    fn doubt(&self, file: FileId, error: &Unreadable) {
        tracing::warn!(file = %file.short(), %error, "a shared file is not sent");
        if self.shared.desk.may_recheck(file) {
            self.shared.shelf.recheck(file);
        }
    }
}

/// What one answer carries.
struct Goods {
    held: LeavesHeld,
    layer: Option<Arc<TreeLayer>>,
    /// Where the layer lies above the leaves.
    leaf_hashes: Option<LeafHashes>,
    bytes: Option<(Arc<CheckedFile>, Range<u64>)>,
}

/// Where the hashes of a range come from.
enum LeafHashes {
    /// The hashes of the whole file, and which of them.
    Known(Arc<[Digest]>, LeafRange),
    /// Nobody kept them: from the bytes, which are read twice.
    OfBytes,
}

/// Why a range did not come to its end.
enum Stopped {
    Session(SessionError),
    Unreadable(Unreadable),
    Revoked(StreamCode),
}

impl From<SessionError> for Stopped {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<Unreadable> for Stopped {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

/// Whether the range consists of whole nodes of the file's layer: nobody could check the leaf hashes of another.
fn is_aligned(length: FileLength, range: LeafRange) -> bool {
    let per_node = 1 << TreeLayer::height(length);
    range.first().is_multiple_of(per_node)
        && (range.end().is_multiple_of(per_node) || range.end() == length.leaf_count())
}

fn cut(bytes: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    bytes.clone().step_by(PIECE_BYTES as usize).map(move |start| start..bytes.end.min(start + PIECE_BYTES))
}

async fn read(file: Arc<CheckedFile>, piece: Range<u64>) -> Result<Bytes, Unreadable> {
    blocking(move || file.read(piece.start, (piece.end - piece.start) as usize)).await.map(Bytes::from)
}

/// Runs what may wait for the disk where it holds nobody up. Ends with the disk: such work cannot be cancelled.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Unreadable> + Send + 'static,
) -> Result<T, Unreadable> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| Err(Unreadable::Io(failed.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_range_once_and_in_order() {
        for (start, end) in [(0, 1), (5, PIECE_BYTES + 5), (3 * PIECE_BYTES, 5 * PIECE_BYTES + 1)] {
            let pieces: Vec<_> = cut(start..end).collect();
            assert_eq!((pieces[0].start, pieces.last().unwrap().end), (start, end));
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.end - piece.start <= PIECE_BYTES));
        }
    }

    #[test]
    fn ranges_of_large_files_consist_of_whole_nodes() {
        let small = FileLength::new(100 << 20).unwrap();
        assert!(is_aligned(small, small.range(1, 1).unwrap()));
        let large = FileLength::new((300 << 20) + 1).unwrap();
        assert!(is_aligned(large, large.range(4, 8).unwrap()));
        assert!(!is_aligned(large, large.range(2, 8).unwrap()));
        assert!(!is_aligned(large, large.range(4, 7).unwrap()));
        let last = large.leaf_count() - 1;
        assert!(is_aligned(large, large.range(last, 1).unwrap()));
    }
}
