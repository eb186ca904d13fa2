//! A peer that fetches.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use choir_shared::FileId;
use choir_shared::identity::SecretKey;
use choir_shared::leaf::LeafRange;
use choir_shared::ticket::Ticket;
use choir_shared::wire::{Enter, Get, Hello, No, Reason};
use tokio::sync::{mpsc, watch};

use super::sharer::MIB;
use crate::connectivity::{Endpoint, EndpointOptions, Reach};
use crate::session::asking::{Answer, Delivery, QueueNews, QueuePlace};
use crate::session::{Session, SessionError};

pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn peer(seed: u8, tickets: Vec<Ticket>) -> (Reach, mpsc::Receiver<Session>, watch::Sender<Hello>) {
    let options = EndpointOptions::new(SocketAddr::new(LOOPBACK, 0));
    let endpoint = Endpoint::bind(SecretKey::from_seed(&[seed; 32]), options).unwrap();
    let (begun, sessions) = mpsc::channel(16);
    let hello = watch::Sender::new(hello(tickets));
    let said = hello.clone();
    (Reach::new(endpoint, move |_| said.subscribe(), |_| false, begun), sessions, hello)
}

pub(super) fn hello(tickets: Vec<Ticket>) -> Hello {
    Hello { minor: 0, features: 0, agent: "test".into(), tickets }
}

pub(super) struct Visitor {
    pub(super) session: Session,
    pub(super) reach: Reach,
    /// What it says of itself.
    pub(super) hello: watch::Sender<Hello>,
    pub(super) _sessions: mpsc::Receiver<Session>,
}

impl Visitor {
    pub(super) async fn ask(&self, file: FileId, range: Option<LeafRange>, want_layer: bool) -> Answer {
        let (first_leaf, leaf_count) = range.map_or((0, 0), |range| (range.first(), range.count()));
        self.session.get(&Get { file, first_leaf, leaf_count, want_layer, priority: 0 }).await.unwrap()
    }

    pub(super) async fn have(&self, file: FileId, range: LeafRange) -> Delivery {
        match self.ask(file, Some(range), false).await {
            Answer::Have(delivery) => *delivery,
            Answer::No(no) => panic!("{no:?}"),
        }
    }

    pub(super) async fn refused(&self, file: FileId, range: LeafRange) -> Reason {
        match self.ask(file, Some(range), false).await {
            Answer::Have(_) => panic!("served"),
            Answer::No(No { reason, .. }) => reason,
        }
    }

    pub(super) async fn enter(&self) -> QueuePlace {
        self.session.enter(&Enter { files: 1, bytes: 1 }).await.unwrap()
    }

    /// Takes a place that becomes a slot at once.
    pub(super) async fn slot(&self) -> QueuePlace {
        let mut place = self.enter().await;
        granted(&mut place).await;
        place
    }
}

pub(super) async fn granted(place: &mut QueuePlace) {
    let news = place.next().await.unwrap();
    assert!(matches!(&news, QueueNews::Granted(granted) if granted.idle_ms == 10_000), "{news:?}");
}

pub(super) async fn read_all(mut delivery: Delivery) -> Result<Vec<u8>, SessionError> {
    let mut bytes = Vec::new();
    while let Some(some) = delivery.read(MIB).await? {
        bytes.extend_from_slice(&some);
    }
    Ok(bytes)
}

pub(super) fn whole(file: FileId) -> LeafRange {
    file.length().whole()
}

pub(super) fn leaves(file: FileId, first: u32, count: u32) -> LeafRange {
    file.length().range(first, count).unwrap()
}
