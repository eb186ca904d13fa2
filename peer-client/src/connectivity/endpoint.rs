//! The socket and what a connection may cost.
//!
//! quinn's defaults let one stranger pin 250 MB (a hundred streams of 1.25 MB and no limit for the connection), and
//! never send a keep-alive. The numbers here are ours, each with its reason.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use choir_shared::address::Scope;
use choir_shared::identity::SecretKey;
use choir_shared::{rendezvous, wire};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AsyncUdpSocket, ClientConfig, EndpointConfig, MtuDiscoveryConfig, Runtime, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;
use socket2::{Domain, Protocol, Socket, Type};

use super::congestion;
use super::farewell::YieldingConfig;
use super::surroundings::attached_subnets;
use super::tls::{self, Expected};
use crate::config::Congestion;

/// What one stream may have under way. 8 MiB fill a 100 ms line at 640 Mbit/s.
const STREAM_WINDOW: u32 = 8 << 20;

/// What a stranger who connected may make us buffer, until we ourselves download from it.
const STRANGER_WINDOW: u32 = 256 << 10;

/// What a peer that we download from may have under way over all streams; also bounds memory for each source.
const DOWNLOAD_WINDOW: u32 = 32 << 20;

/// How much a sender buffers for one connection: enough for a gigabit at 100 ms.
const SEND_WINDOW: u64 = 12 << 20;

/// Packets that later ones may overtake before they count as lost. Time tells as well, an eighth of a round trip later
/// (RFC 9002 section 6.1.2); with the three of section 6.1.1 a millisecond of disorder at 100 Mbit/s looked like a
/// storm of losses, and a song took four times as long (measured).
const OVERTAKING: u32 = 64;

/// Streams that the other side may have open. A downloader uses few: more only avoid gaps between ranges.
const BIDIRECTIONAL_STREAMS: u32 = 16;

/// Hello and complaints.
pub(crate) const UNIDIRECTIONAL_STREAMS: u32 = 4;

/// Home routers forget a UDP mapping after 30 s; half of that survives one lost packet.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A peer that said nothing for so long is gone (RFC 9000 section 10.1).
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest datagram the endpoint takes. Ten of them, which is what quinn hands to one segmented send call,
/// stay below the 65,507 bytes that UDP allows; with 8,900 bytes a transfer collapsed to 4 MB/s (measured).
const MAX_DATAGRAM: u16 = 6500;

/// What fits an Ethernet frame on any path, less room for tunnels.
const INTERNET_DATAGRAM: u16 = 1452;

/// The kernel's default of 208 KiB drops packets at a gigabit.
const SOCKET_BUFFER: usize = 4 << 20;

/// Handshakes under way before strangers must prove their address first (QUIC Retry).
const RETRY_ABOVE: usize = 64;

/// How long leaving takes at most.
const FAREWELL: Duration = Duration::from_millis(20);

/// A key for one purpose. These are the same after a restart, so that a peer that was killed can tell those who still
/// send to it that their connection is no more (RFC 9000 section 10.3); otherwise they would wait for
/// [`IDLE_TIMEOUT`]. One home has one running peer, and no other shares its key.
fn derived(secret: &SecretKey, purpose: &str) -> hmac::Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.seed()), purpose.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
}

/// A number that nobody else can guess.
fn derived_number(secret: &SecretKey, purpose: &str) -> u64 {
    let tag = hmac::sign(&derived(secret, purpose), b"");
    tag.as_ref().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// How an endpoint is made.
#[derive(Clone, Debug)]
pub struct EndpointOptions {
    pub listen: SocketAddr,
    /// Whether another port will do if the wished one is taken.
    pub any_port_will_do: bool,
    /// The largest datagram to send, for measurements and odd networks; `None` lets path MTU discovery find it.
    pub datagram_limit: Option<u16>,
    /// How it is found out what a path carries.
    pub congestion: Congestion,
    /// Connections that others opened, in all.
    pub max_incoming: usize,
}

impl EndpointOptions {
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            any_port_will_do: false,
            datagram_limit: None,
            congestion: Congestion::Discerning,
            max_incoming: 256,
        }
    }
}

/// The peer's one QUIC endpoint, server and client at once.
#[derive(Clone, Debug)]
pub struct Endpoint {
    quic: quinn::Endpoint,
    secret: Arc<SecretKey>,
    options: EndpointOptions,
    server: ServerConfigs,
}

/// One for each size of datagram.
#[derive(Clone, Debug)]
struct ServerConfigs {
    near: Arc<ServerConfig>,
    far: Arc<ServerConfig>,
}

impl Endpoint {
    /// Binds a UDP socket. Must be called within a tokio runtime.
    pub fn bind(secret: SecretKey, options: EndpointOptions) -> Result<Self, BindError> {
        let socket = match bind(options.listen) {
            Err(error) if options.any_port_will_do && error.kind() == std::io::ErrorKind::AddrInUse => {
                let free = SocketAddr::new(options.listen.ip(), 0);
                tracing::warn!(wished = %options.listen, "the UDP port is taken; using a free one");
                bind(free)
            }
            other => other,
        }
        .and_then(|socket| TokioRuntime.wrap_udp_socket(socket))
        .map_err(|source| BindError::Socket { address: options.listen, source })?;
        Self::over(secret, options, socket, Arc::new(TokioRuntime))
    }

    /// Over a socket of any make, such as one of a simulated network. Its address counts, not that of the options.
    pub fn over(
        secret: SecretKey,
        options: EndpointOptions,
        socket: Arc<dyn AsyncUdpSocket>,
        runtime: Arc<dyn Runtime>,
    ) -> Result<Self, BindError> {
        let crypto = Arc::new(QuicServerConfig::try_from(tls::server_config(&secret, wire::ALPN)?)?);
        let server_config = |nearness| {
            let mut config = ServerConfig::with_crypto(Arc::clone(&crypto) as _);
            config.transport_config(Arc::new(transport(Role::Accepted, nearness, &options)));
            config.max_incoming(options.max_incoming);
            Arc::new(config)
        };
        let server = ServerConfigs { near: server_config(Nearness::Near), far: server_config(Nearness::Far) };

        let mut config = EndpointConfig::new(Arc::new(derived(&secret, "choir stateless reset")));
        let connection_ids = derived_number(&secret, "choir connection ids");
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_ids)));
        config.max_udp_payload_size(MAX_DATAGRAM)?;
        let default_server = ServerConfig::clone(&server.far);
        let quic = quinn::Endpoint::new_with_abstract_socket(config, Some(default_server), socket, runtime)
            .map_err(|source| BindError::Socket { address: options.listen, source })?;
        Ok(Self { quic, secret: Arc::new(secret), options, server })
    }

    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.quic.local_addr()
    }

    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// Dials a peer, or the rendezvous of an index: the expected key decides which protocol is spoken.
    pub fn dial(&self, address: SocketAddr, expected: Expected) -> Result<quinn::Connecting, DialError> {
        let alpn = match expected {
            Expected::Peer(_) => wire::ALPN,
            Expected::Index(_) => rendezvous::ALPN,
        };
        let crypto = QuicClientConfig::try_from(tls::client_config(&self.secret, expected, alpn)?)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        let nearness = match expected {
            Expected::Peer(_) => nearness(address.ip()),
            Expected::Index(_) => Nearness::Far,
        };
        config.transport_config(Arc::new(transport(Role::Dialled, nearness, &self.options)));
        Ok(self.quic.connect_with(config, self.for_socket(address), tls::SERVER_NAME)?)
    }

    /// The next connection that somebody opens; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Result<quinn::Connecting, quinn::ConnectionError>> {
        loop {
            let incoming = self.quic.accept().await?;
            if self.quic.open_connections() >= self.options.max_incoming {
                incoming.refuse();
            } else if !incoming.remote_address_validated() && self.quic.open_connections() > RETRY_ABOVE {
                // Fails only for validated addresses.
                let _ = incoming.retry();
            } else {
                let config = match nearness(incoming.remote_address().ip()) {
                    Nearness::Near => &self.server.near,
                    Nearness::Far => &self.server.far,
                };
                return Some(incoming.accept_with(Arc::clone(config)));
            }
        }
    }

    /// Tells everyone that we leave, and waits until that is on its way.
    pub async fn close(&self) {
        self.quic.close(VarInt::from_u32(wire::CloseCode::Leaving.code()), b"");
        // Idle it is only after three probe timeouts, in which it would say so again to whoever still sends (RFC 9000
        // section 10.2): at least 80 ms, at the end of every command.
        let _ = tokio::time::timeout(FAREWELL, self.quic.wait_idle()).await;
    }

    /// A dual-stack socket reaches IPv4 through mapped addresses; an IPv4 socket knows only the plain ones.
    fn for_socket(&self, address: SocketAddr) -> SocketAddr {
        match (self.quic.local_addr().map(|local| local.ip()), address.ip().to_canonical()) {
            (Ok(IpAddr::V6(_)), IpAddr::V4(v4)) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
            (_, canonical) => SocketAddr::new(canonical, address.port()),
        }
    }
}

/// A downloader may let its source send much; someone who merely connected to us may not.
pub(crate) fn expect_downloads(connection: &quinn::Connection) {
    connection.set_receive_window(VarInt::from_u32(DOWNLOAD_WINDOW));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Dialled,
    Accepted,
}

/// Whether large datagrams can be expected to get through whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nearness {
    Near,
    Far,
}

fn nearness(address: IpAddr) -> Nearness {
    let attached = || attached_subnets().iter().any(|subnet| subnet.contains(address));
    if Scope::of(address) == Scope::Loopback || attached() { Nearness::Near } else { Nearness::Far }
}

fn transport(role: Role, nearness: Nearness, options: &EndpointOptions) -> TransportConfig {
    let discover_up_to = match nearness {
        Nearness::Near => MAX_DATAGRAM,
        Nearness::Far => INTERNET_DATAGRAM,
    };
    let mut mtu_discovery = MtuDiscoveryConfig::default();
    mtu_discovery.upper_bound(options.datagram_limit.map_or(discover_up_to, |limit| limit.min(discover_up_to)));
    let receive_window = match role {
        Role::Dialled => DOWNLOAD_WINDOW,
        Role::Accepted => STRANGER_WINDOW,
    };
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(receive_window))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDIRECTIONAL_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(UNIDIRECTIONAL_STREAMS))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .mtu_discovery_config(Some(mtu_discovery))
        .congestion_controller_factory(Arc::new(YieldingConfig(congestion::controller(options.congestion))))
        .packet_threshold(OVERTAKING)
        // The ranges of one file are asked for in the order in which they are wanted.
        .send_fairness(false);
    if let Ok(idle) = IDLE_TIMEOUT.try_into() {
        config.max_idle_timeout(Some(idle));
    }
    config
}

/// IPv6 sockets take IPv4 as well; where IPv6 is off, the wildcard address falls back to IPv4.
fn bind(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    match bind_exactly(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != std::io::ErrorKind::AddrInUse => {
            bind_exactly(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        other => other,
    }
}

fn bind_exactly(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    for (result, direction) in
        [(socket.set_recv_buffer_size(SOCKET_BUFFER), "receive"), (socket.set_send_buffer_size(SOCKET_BUFFER), "send")]
    {
        if let Err(error) = result {
            tracing::debug!(%error, direction, "the socket keeps its small buffer");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Why the endpoint could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on UDP {address}: {source}")]
    Socket { address: SocketAddr, source: std::io::Error },
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("QUIC: {0}")]
    Cipher(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    #[error("QUIC: {0}")]
    Config(#[from] quinn::ConfigError),
}

/// Why a dial could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("QUIC: {0}")]
    Cipher(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    #[error("{0}")]
    Connect(#[from] quinn::ConnectError),
}

#[cfg(test)]
mod tests {
    use quinn::ConnectionError;
    use tokio::runtime::Runtime;

    use super::*;

    /// Ends a peer without a word, as `kill -9` does: what it runs on is gone before it could say any.
    fn kill(runtime: Runtime) {
        drop(runtime);
    }

    #[test]
    fn a_peer_that_was_killed_and_is_back_tells_who_still_sends_to_it() {
        let [secret, ours] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let [first, second, alive] = [(); 3].map(|()| Runtime::new().unwrap());
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let address = first.block_on(async {
            let endpoint = Endpoint::bind(secret.clone(), EndpointOptions::new(local)).unwrap();
            let address = endpoint.local_address().unwrap();
            tokio::spawn(async move {
                let _connection = endpoint.accept().await.unwrap().unwrap().await.unwrap();
                std::future::pending::<()>().await;
            });
            address
        });
        let connection = alive.block_on(async {
            let endpoint = Endpoint::bind(ours, EndpointOptions::new(local)).unwrap();
            endpoint.dial(address, Expected::Peer(secret.peer_id())).unwrap().await.unwrap()
        });
        kill(first);
        let _back = second.block_on(async { Endpoint::bind(secret, EndpointOptions::new(address)).unwrap() });
        let ended = alive.block_on(async {
            // Fails if an acknowledgement was on its way to it: that is answered as well.
            if let Ok((mut send, _receive)) = connection.open_bi().await {
                let _ = send.write_all(b"are you there?").await;
            }
            tokio::time::timeout(IDLE_TIMEOUT / 2, connection.closed()).await
        });
        assert!(matches!(ended, Ok(ConnectionError::Reset)), "{ended:?}");
    }
}
