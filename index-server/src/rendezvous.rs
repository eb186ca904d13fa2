//! Where peers learn their own address, and the index learns it too.
//!
//! 1. The address of a peer is where its QUIC handshake completed from, and nothing that anybody says. So nobody can
//!    list a victim, and the port is proved to speak QUIC.
//! 2. Both sides prove their keys in the handshake; only members are let in.
//! 3. Addresses are canonical: IPv4 as IPv4, however the socket saw it.
//! 4. Each connection is told its address once at the start and again when it changes (a rebound NAT, another Wi-Fi).
//! 5. A peer can open no stream and send no datagram here; the connection carries nothing of its own.
//! 6. When handshakes pile up, those to come must first prove that they receive at their address (RFC 9000 retry).

pub(crate) mod address_book;
mod tls;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use choir_shared::PeerId;
use choir_shared::rendezvous::{KEEP_ALIVE_S, Observed};
use choir_shared::wire::{CloseCode, encode};
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Doorkeeper;
use crate::auth::roster::Roster;
use crate::keys::IndexKeys;
use crate::origin::Origin;
use crate::settings::PortChoice;
use crate::store::StoreError;
use address_book::AddressBook;

/// How often a connection's address is looked at. A new one is of use within seconds, and a look costs nothing.
const LOOK: Duration = Duration::from_secs(5);

/// A peer that has been silent for three keep-alives is gone.
const IDLE_S: u64 = 3 * KEEP_ALIVE_S;

/// A handshake is two round trips; a retry makes it three.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// From so many unfinished handshakes on, addresses must be proved first.
const HANDSHAKES_UNPROVED: usize = 128;

/// So many handshakes may run at once; quinn's own default of 65,536 would be 100 MB.
const HANDSHAKES: usize = 2048;

/// A peer has nothing to send but the acknowledgement of our few bytes.
const WINDOW_BYTES: u32 = 1024;

/// The bound endpoint, with what it needs to know.
pub(crate) struct Rendezvous {
    endpoint: Endpoint,
    roster: Arc<Roster>,
    book: Arc<AddressBook>,
    doorkeeper: Arc<Doorkeeper>,
    connections: TaskTracker,
}

impl Rendezvous {
    /// Binds `wished`, or a free port if the wished one is taken and was nobody's order.
    pub(crate) fn bind(
        wished: SocketAddr,
        choice: PortChoice,
        keys: &IndexKeys,
        roster: Arc<Roster>,
        book: Arc<AddressBook>,
        doorkeeper: Arc<Doorkeeper>,
    ) -> Result<Self, RendezvousError> {
        let failed = |source| RendezvousError::Bind { address: wished, source };
        let socket = match bind(wished) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && choice == PortChoice::Default => {
                bind(SocketAddr::new(wished.ip(), 0))
            }
            other => other,
        };
        let server = server_config(keys)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint =
            Endpoint::new(EndpointConfig::default(), Some(server), socket.map_err(failed)?, runtime).map_err(failed)?;
        Ok(Self { endpoint, roster, book, doorkeeper, connections: TaskTracker::new() })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Accepts until the index stops; then tells everybody, and returns when they know.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        let me = Arc::new(self);
        while let Some(Some(incoming)) = stopping.run_until_cancelled(me.endpoint.accept()).await {
            me.admit(incoming);
        }
        me.endpoint.close(VarInt::from_u32(CloseCode::Leaving.code()), b"");
        me.connections.close();
        me.connections.wait().await;
        me.endpoint.wait_idle().await;
    }

    fn admit(self: &Arc<Self>, incoming: Incoming) {
        let unfinished = self.endpoint.open_connections().saturating_sub(self.book.len());
        if unfinished >= HANDSHAKES_UNPROVED && incoming.may_retry() {
            metrics::counter!("choir_index_rendezvous_retries_total").increment(1);
            // Fails only where may_retry is false.
            let _ = incoming.retry();
            return;
        }
        let Some(permit) = self.doorkeeper.admit(Origin::of(incoming.remote_address().ip()).counted()) else {
            incoming.refuse();
            return;
        };
        let me = Arc::clone(self);
        self.connections.spawn(async move {
            let _permit = permit;
            match me.greet(incoming).await {
                Ok((peer, connection)) => me.attend(peer, connection).await,
                Err(reason) => tracing::debug!(%reason, "no rendezvous"),
            }
        });
    }

    async fn greet(&self, incoming: Incoming) -> Result<(PeerId, Connection), NoRendezvous> {
        let connection = tokio::time::timeout(HANDSHAKE, incoming.accept()?).await??;
        let peer = peer_id(&connection).ok_or(NoRendezvous::NoKey)?;
        let banned = self.roster.is_network_banned(Origin::of(connection.remote_address().ip()));
        match self.roster.member(&peer).await? {
            Some(_) if !banned => Ok((peer, connection)),
            _ => {
                connection.close(VarInt::from_u32(CloseCode::NotAMember.code()), b"");
                Err(NoRendezvous::NotAMember)
            }
        }
    }

    /// Tells the peer its address for as long as it stays.
    async fn attend(&self, peer: PeerId, connection: Connection) {
        let Ok(mut stream) = connection.open_uni().await else { return };
        let mut entry = None;
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                _ = connection.closed() => return,
            }
            let address = canonical(connection.remote_address());
            if entry.as_ref().is_some_and(|entry: &address_book::Entry| entry.address() == address) {
                continue;
            }
            entry = Some(self.book.enter(peer, address, &connection));
            if stream.write_all(&encode(&Observed { address })).await.is_err() {
                return;
            }
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn peer_id(connection: &Connection) -> Option<PeerId> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    PeerId::from_spki_der(identity.first()?).ok()
}

fn server_config(keys: &IndexKeys) -> Result<ServerConfig, RendezvousError> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .max_idle_timeout(Some(VarInt::from_u32(1000 * IDLE_S as u32).into()))
        // Nothing large is ever sent: probing for larger packets would be noise.
        .mtu_discovery_config(None);
    let mut config = ServerConfig::with_crypto(Arc::new(tls::server(&keys.secret)?));
    config.transport_config(Arc::new(transport)).max_incoming(HANDSHAKES);
    Ok(config)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
enum NoRendezvous {
    #[error("the handshake failed: {0}")]
    Handshake(#[from] quinn::ConnectionError),
    #[error("the handshake took too long")]
    TooSlow(#[from] tokio::time::error::Elapsed),
    #[error("it proved no key")]
    NoKey,
    #[error("the key is no member's")]
    NotAMember,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum RendezvousError {
    #[error("cannot listen on {address} (UDP)")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the index's key does not serve for QUIC")]
    Tls(#[from] rustls::Error),
}
