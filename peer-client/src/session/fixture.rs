//! A session on loopback whose other end says whatever a test wants.

use std::net::{Ipv4Addr, SocketAddr};

use choir_shared::identity::SecretKey;
use choir_shared::wire::Hello;
use tokio::sync::watch;

use super::Session;
use crate::connectivity::tls::Expected;
use crate::connectivity::{Endpoint, EndpointOptions};

/// Ours is a session, theirs a bare connection.
pub(crate) struct Pair {
    pub(crate) ours: Session,
    pub(crate) theirs: quinn::Connection,
    /// What ours says of itself.
    pub(crate) hello: watch::Sender<Hello>,
    _endpoints: [Endpoint; 2],
}

impl Pair {
    pub(crate) async fn connect() -> Self {
        Self::connect_with(2).await
    }

    /// With a peer whose key is made of `seed`; ours is made of 1.
    pub(crate) async fn connect_with(seed: u8) -> Self {
        let [here, there] = [1, seed].map(|seed| {
            let options = EndpointOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            Endpoint::bind(SecretKey::from_seed(&[seed; 32]), options).unwrap()
        });
        let expected = Expected::Peer(here.secret().peer_id());
        let dialled = async { there.dial(here.local_address().unwrap(), expected).unwrap().await.unwrap() };
        let accepted = async { here.accept().await.unwrap().unwrap().await.unwrap() };
        let (theirs, accepted) = tokio::join!(dialled, accepted);
        let hello = watch::Sender::new(Hello { minor: 0, features: 0, agent: "ours".into(), tickets: vec![] });
        let ours = Session::begin(accepted, there.secret().peer_id(), hello.subscribe());
        Self { ours, theirs, hello, _endpoints: [here, there] }
    }

    /// A stream on which they have said `bytes`.
    pub(crate) async fn they_open(&self, bytes: &[u8]) -> (quinn::SendStream, quinn::RecvStream) {
        let (mut send, receive) = self.theirs.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        (send, receive)
    }

    /// A notice of which they have said `bytes`.
    pub(crate) async fn they_notify(&self, bytes: &[u8]) -> quinn::SendStream {
        let mut send = self.theirs.open_uni().await.unwrap();
        send.write_all(bytes).await.unwrap();
        send
    }

    /// They take the next request, say `bytes`, and finish the stream.
    pub(crate) async fn they_answer(&self, bytes: &[u8]) {
        let (mut send, _receive) = self.theirs.accept_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        send.finish().unwrap();
        let _ = send.stopped().await;
    }
}
