//! What each peer is told of us.
//!
//! A ticket tells that we are a member somewhere. So a peer is shown the tickets of those indexes alone that told us
//! of it: that listed it as a source, introduced us to it, or said that it was introduced to us. When one more does, or
//! a ticket was renewed meanwhile, we say hello again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use choir_shared::PeerId;
use choir_shared::identity::IndexKey;
use choir_shared::ticket::Ticket;
use choir_shared::wire::message::MAX_TICKETS;
use choir_shared::wire::{Hello, MINOR};
use tokio::sync::watch;

/// Peers that are remembered, before those without a session are dropped; a search for sources tells them again.
const MAX_REMEMBERED: usize = 10_000;

pub(super) struct Greetings {
    features: u32,
    /// Our ticket of an index, while we are logged in there.
    ticket: Box<dyn Fn(&IndexKey) -> Option<Ticket> + Send + Sync>,
    peers: Mutex<HashMap<PeerId, Acquaintance>>,
}

struct Acquaintance {
    /// The indexes that told us of the peer.
    through: Vec<IndexKey>,
    hello: watch::Sender<Hello>,
}

impl Greetings {
    /// `features` as in [`Hello`].
    pub(super) fn new(features: u32, ticket: impl Fn(&IndexKey) -> Option<Ticket> + Send + Sync + 'static) -> Self {
        Self { features, ticket: Box::new(ticket), peers: Mutex::default() }
    }

    /// This index told us of that peer.
    pub(super) fn told_of(&self, peer: PeerId, index: IndexKey) {
        self.with(peer, |known| {
            if !known.through.contains(&index) {
                known.through.push(index);
            }
        });
    }

    /// The indexes that told us of the peer.
    pub(super) fn through(&self, peer: &PeerId) -> Vec<IndexKey> {
        self.peers().get(peer).map(|known| known.through.clone()).unwrap_or_default()
    }

    /// What to say to the peer, now and whenever it changes.
    pub(super) fn hello_to(&self, peer: PeerId) -> watch::Receiver<Hello> {
        self.with(peer, |known| known.hello.subscribe())
    }

    /// Shows `look` the peer, and brings what it is told up to date.
    fn with<T>(&self, peer: PeerId, look: impl FnOnce(&mut Acquaintance) -> T) -> T {
        let mut peers = self.peers();
        if peers.len() >= MAX_REMEMBERED && !peers.contains_key(&peer) {
            peers.retain(|_, known| known.hello.receiver_count() > 0);
        }
        let known = peers
            .entry(peer)
            .or_insert_with(|| Acquaintance { through: Vec::new(), hello: watch::Sender::new(self.hello(Vec::new())) });
        let seen = look(known);
        let tickets = known.through.iter().filter_map(&self.ticket).take(MAX_TICKETS).collect();
        let now = self.hello(tickets);
        known.hello.send_if_modified(|said| (*said != now).then(|| *said = now).is_some());
        seen
    }

    fn hello(&self, tickets: Vec<Ticket>) -> Hello {
        let agent = concat!("choir ", env!("CARGO_PKG_VERSION")).to_owned();
        Hello { minor: MINOR, features: self.features, agent, tickets }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<PeerId, Acquaintance>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use choir_shared::identity::SecretKey;

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn peer(number: u64) -> PeerId {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        SecretKey::from_seed(&seed).peer_id()
    }

    /// We are a member of the indexes 1 and 2, until the time that the counter says.
    fn greetings() -> (Greetings, Arc<AtomicU64>) {
        let expiry = Arc::new(AtomicU64::new(1000));
        let until = Arc::clone(&expiry);
        let ticket = move |index: &IndexKey| {
            let ours = [1, 2].map(key).into_iter().find(|ours| ours.index_key() == *index)?;
            Some(Ticket::issue(&ours, peer(0), until.load(Ordering::Relaxed)))
        };
        (Greetings::new(0, ticket), expiry)
    }

    fn shown(hello: &watch::Receiver<Hello>) -> Vec<IndexKey> {
        hello.borrow().tickets.iter().map(|ticket| ticket.index).collect()
    }

    #[test]
    fn a_peer_sees_the_tickets_of_the_indexes_that_told_us_of_it_and_no_other() {
        let (greetings, _) = greetings();
        let [one, two, left] = [1, 2, 3].map(|seed| key(seed).index_key());
        greetings.told_of(peer(7), one);
        greetings.told_of(peer(7), left);
        assert_eq!(shown(&greetings.hello_to(peer(7))), [one]);
        assert_eq!(shown(&greetings.hello_to(peer(8))), []);
        greetings.told_of(peer(8), two);
        assert_eq!(shown(&greetings.hello_to(peer(8))), [two]);
        assert_eq!((greetings.through(&peer(7)), greetings.through(&peer(9))), (vec![one, left], vec![]));
    }

    #[test]
    fn hello_is_said_again_when_a_ticket_becomes_useful_or_was_renewed_and_not_else() {
        let (greetings, expiry) = greetings();
        let [one, two] = [1, 2].map(|seed| key(seed).index_key());
        let mut hello = greetings.hello_to(peer(7));
        greetings.told_of(peer(8), one);
        assert!(!hello.has_changed().unwrap());
        greetings.told_of(peer(7), one);
        assert!(hello.has_changed().unwrap());
        hello.mark_unchanged();
        greetings.told_of(peer(7), one);
        assert!(!hello.has_changed().unwrap());
        greetings.told_of(peer(7), two);
        assert_eq!(shown(&hello), [one, two]);
        hello.mark_unchanged();
        expiry.store(2000, Ordering::Relaxed);
        greetings.told_of(peer(7), two);
        assert!(hello.has_changed().unwrap());
    }

    #[test]
    fn strangers_without_end_take_no_room_from_who_is_connected() {
        let (greetings, _) = greetings();
        let one = key(1).index_key();
        let hello = greetings.hello_to(peer(1));
        for number in 2..MAX_REMEMBERED as u64 + 10 {
            drop(greetings.hello_to(peer(number)));
        }
        assert!(greetings.peers().len() <= MAX_REMEMBERED);
        greetings.told_of(peer(1), one);
        assert_eq!(shown(&hello), [one]);
    }
}
