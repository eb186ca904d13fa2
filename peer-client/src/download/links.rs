//! One connection and one place in the upload queue for each peer, however many downloads want something of it.
//!
//! A [`Link`] lives as long as some job holds it. With it go the place or the slot at the sharer, so that nobody
//! waits behind someone who no longer wants anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use choir_shared::wire::{CloseCode, Enter, Reason};
use choir_shared::{FileId, PeerId};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{Finder, NoSession};
use crate::clock::now;
use crate::rate::Rate;
use crate::session::Session;
use crate::session::asking::QueueNews;

/// Before a place is asked for again after it was refused or lost while the connection lives.
const ENTER_AGAIN: Duration = Duration::from_secs(2);

/// A sharer says at once where one stands; its line may lose a packet or two.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Where one stands with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In its upload queue.
    Waiting { ahead: u32, eta_ms: Option<u32> },
    /// It serves us now.
    Granted,
    /// It will not serve us.
    Refused(Reason),
    /// The connection is gone.
    Lost,
}

/// A connection with a place in the peer's queue.
pub struct Link {
    pub session: Session,
    standing: watch::Receiver<Standing>,
    rate: Mutex<Rate>,
    _keeper: AbortOnDropHandle<()>,
}

impl Link {
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Verified bytes came over it.
    pub fn delivered(&self, bytes: u64, now: Instant) {
        self.rate().add(bytes, now);
    }

    /// Bytes per second that came of late, of whatever file: what the next one may begin with.
    pub fn bytes_per_second(&self, now: Instant) -> f64 {
        self.rate().per_second(now)
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All links of this peer.
pub struct Links {
    finder: Arc<dyn Finder>,
    links: Mutex<HashMap<PeerId, Slot>>,
}

/// The lock is held while connecting, so that two jobs make one connection.
type Slot = Arc<tokio::sync::Mutex<Weak<Link>>>;

impl Links {
    pub fn new(finder: Arc<dyn Finder>) -> Self {
        Self { finder, links: Mutex::default() }
    }

    /// Whether there is a link with `peer`, and a slot at its other end.
    pub fn serves(&self, peer: &PeerId) -> bool {
        let slot = self.links.lock().unwrap_or_else(PoisonError::into_inner).get(peer).cloned();
        let link = slot.and_then(|slot| slot.try_lock().ok()?.upgrade());
        link.is_some_and(|link| link.session.is_alive() && *link.standing.borrow() == Standing::Granted)
    }

    /// The link with `peer`, made now if there is none.
    pub async fn join(&self, peer: PeerId, file: FileId) -> Result<Arc<Link>, NoSession> {
        let slot = {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            // Slots that nobody uses have no other owner and no link.
            links.retain(|_, slot| {
                Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|link| link.strong_count() > 0)
            });
            Arc::clone(links.entry(peer).or_default())
        };
        let mut known = slot.lock().await;
        if let Some(link) = known.upgrade().filter(|link| link.session.is_alive()) {
            return Ok(link);
        }
        let session = self.finder.connect(peer, file).await?;
        let (sender, standing) = watch::channel(Standing::Waiting { ahead: 0, eta_ms: None });
        let keeper = tokio::spawn(keep_place(session.clone(), file, sender));
        let link = Arc::new(Link {
            session,
            standing,
            rate: Mutex::new(Rate::new(now())),
            _keeper: AbortOnDropHandle::new(keeper),
        });
        *known = Arc::downgrade(&link);
        Ok(link)
    }
}

/// Stays in the queue, and returns to it after a slot ended, until the connection is lost or the peer refuses.
async fn keep_place(session: Session, file: FileId, standing: watch::Sender<Standing>) {
    loop {
        let ended = wait_in_queue(&session, file, &standing).await;
        if let Err(Refusal(reason)) = ended {
            let _ = standing.send(Standing::Refused(reason));
            return;
        }
        if let Some(ended) = session.ended() {
            let _ = standing.send(match ended {
                Some(CloseCode::Banned | CloseCode::NotAMember) => Standing::Refused(Reason::Refused),
                _ => Standing::Lost,
            });
            return;
        }
        let _ = standing.send(Standing::Waiting { ahead: 0, eta_ms: None });
        tokio::select! {
            _ = session.closed() => {}
            () = tokio::time::sleep(ENTER_AGAIN) => {}
        }
    }
}

struct Refusal(Reason);

/// Until the place or slot is lost.
async fn wait_in_queue(session: &Session, file: FileId, standing: &watch::Sender<Standing>) -> Result<(), Refusal> {
    let enter = Enter { files: 1, bytes: file.length().bytes() };
    let mut place = match session.enter(&enter).await {
        Ok(place) => place,
        Err(_lost) => return Ok(()),
    };
    let Some(mut told) = session.within(ANSWER_WITHIN, place.next()).await else { return Ok(()) };
    loop {
        let news = match told {
            Ok(news) => news,
            Err(_over) => return Ok(()),
        };
        let now = match news {
            QueueNews::Place(place) => Standing::Waiting { ahead: place.ahead, eta_ms: place.eta_ms },
            QueueNews::Granted(_) => Standing::Granted,
            QueueNews::No(no) if no.reason == Reason::Busy => return Ok(()),
            QueueNews::No(no) => return Err(Refusal(no.reason)),
        };
        let _ = standing.send(now);
        told = place.next().await;
    }
}
