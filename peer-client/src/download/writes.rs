//! The writes of one download, one after the other, beside the reading from the network.
//!
//! A file system lets one writer at a time into a file; more would only stand in each other's way (measured: 4 % of
//! what receiving costs was spinning on that lock). And whoever waits for each write before it reads on lets the line
//! stand idle meanwhile.
//!
//! There is no thread of its own: whoever finds none at work sends one, which goes on while there is anything to write.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use choir_shared::leaf::LeafIndex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::store::{Part, StoreError};

/// Batches that wait or are written: 2 MiB, which is what may have come for nothing when the program is killed.
const MAX_WRITES: u32 = 8;

pub struct Writes {
    part: Arc<Part>,
    /// One for each write; whoever has all of them knows that nothing is being written.
    room: Arc<Semaphore>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Write>,
    is_at_work: bool,
}

struct Write {
    first: LeafIndex,
    data: Vec<u8>,
    done: oneshot::Sender<Result<(), StoreError>>,
    room: OwnedSemaphorePermit,
}

/// A write that has its place in the line. It goes on if this is dropped.
pub struct Begun(oneshot::Receiver<Result<(), StoreError>>);

/// The program is ending.
#[derive(Debug)]
pub struct Stopped;

impl Writes {
    pub fn new(part: Arc<Part>) -> Arc<Self> {
        Arc::new(Self { part, room: Arc::new(Semaphore::new(MAX_WRITES as usize)), queue: Mutex::default() })
    }

    /// Lines up verified leaves, `first` and those after it; waits while too much is waiting already.
    pub async fn begin(self: &Arc<Self>, first: LeafIndex, data: Vec<u8>) -> Result<Begun, Stopped> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_closed| Stopped)?;
        let (done, begun) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push_back(Write { first, data, done, room });
        let is_first = !std::mem::replace(&mut queue.is_at_work, true);
        drop(queue);
        if is_first {
            let writes = Arc::clone(self);
            tokio::task::spawn_blocking(move || writes.work());
        }
        Ok(Begun(begun))
    }

    /// Waits until nothing is being written. Nothing may be lined up any more.
    pub async fn finish(&self) {
        let all = self.room.acquire_many(MAX_WRITES).await;
        drop(all);
    }

    fn work(self: Arc<Self>) {
        while let Some(Write { first, data, done, room }) = self.next() {
            let written = self.part.write(first, &data);
            let is_sync_due = written.is_ok() && self.part.is_sync_due();
            // Nobody may be waiting for it any more.
            let _ = done.send(written);
            if is_sync_due {
                self.sync(room);
            }
        }
    }

    /// Beside the writes that follow, and like a write: it keeps the room of the one before it, so it ends before the
    /// file is finished. If it fails, so does every write after it.
    fn sync(&self, room: OwnedSemaphorePermit) {
        let part = Arc::clone(&self.part);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = part.sync() {
                tracing::error!(%error, "a part of a download was lost on its way to the disk");
            }
            drop(room);
        });
    }

    fn next(&self) -> Option<Write> {
        let mut queue = self.queue();
        let next = queue.waiting.pop_front();
        queue.is_at_work = next.is_some();
        next
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// Waits until the leaves are written, as far as a crash of this program goes.
    pub async fn written(self) -> Result<Result<(), StoreError>, Stopped> {
        self.0.await.map_err(|_dropped| Stopped)
    }
}
