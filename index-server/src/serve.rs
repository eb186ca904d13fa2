//! TCP connections and HTTP/1.1 on them.
//!
//! `axum::serve` has no time limit for headers, so that a few thousand silent connections would stop it. Here
//!
//! - a connection needs a permit before a byte of it is read; without one it is closed at once;
//! - the TLS handshake, each header, and each whole request have a time limit, and a reader that stalls is given up;
//! - when the index stops, idle connections close, busy ones finish their request.

mod patience;
pub(crate) mod tls;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

pub(crate) use crate::admission::ConnectionPermit;
use crate::admission::Doorkeeper;
use crate::origin::{Connected, Origin, Proxies};
use crate::settings::PortChoice;
use patience::Patient;

/// As many connections may wait to be accepted as the kernel lets (`net.core.somaxconn`, 4,096 on Linux).
const BACKLOG: i32 = 4096;

/// Two round trips and some arithmetic.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// Lost packets are sent again within seconds, even on the worst of lines.
const STALLED: Duration = Duration::from_secs(30);

/// Pause after the kernel refused to accept: it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Requests are at most this long before their body: our longest has 2 KB. Also hyper's least.
const HEADER_BYTES: usize = 16 * 1024;

/// A bound address, with the way it speaks.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds `wished`, or a free port if the wished one is taken and was nobody's order.
    pub(crate) fn bind(wished: SocketAddr, choice: PortChoice) -> Result<Self, BindError> {
        let failed = |source| BindError { address: wished, source };
        let socket = match bind(wished) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && choice == PortChoice::Default => {
                bind(SocketAddr::new(wished.ip(), 0))
            }
            other => other,
        };
        let socket = socket.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, tls: None })
    }

    pub(crate) fn encrypted(self, tls: Option<TlsAcceptor>) -> Self {
        Self { tls, ..self }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 as well, whatever this machine's default is.
        socket.set_only_v6(false)?;
    }
    // A restarted index must not wait for its old connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    pub address: SocketAddr,
    pub source: io::Error,
}

/// What all listeners share.
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) doorkeeper: Arc<Doorkeeper>,
    pub(crate) proxies: Proxies,
    pub(crate) header_time: Duration,
    pub(crate) connections: TaskTracker,
    /// Stop accepting, finish what runs.
    pub(crate) stopping: CancellationToken,
    /// Give up what still runs.
    pub(crate) giving_up: CancellationToken,
}

impl Server {
    /// Accepts until the index stops. Each connection is a task of [`Self::connections`].
    pub(crate) async fn accept(self: Arc<Self>, listener: Listener) {
        let stopping = self.stopping.clone();
        while let Some(accepted) = stopping.run_until_cancelled(listener.socket.accept()).await {
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, listener.tls.clone()),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, tls: Option<TlsAcceptor>) {
        let network = Origin::of(address.ip()).counted().filter(|_| !self.proxies.contains(address.ip()));
        if let Some(permit) = self.doorkeeper.admit(network) {
            let connected = Connected { address, permit: Arc::new(permit) };
            let server = Arc::clone(self);
            self.connections.spawn(async move {
                let giving_up = server.giving_up.clone();
                giving_up.run_until_cancelled(server.attend(stream, connected, tls)).await;
            });
        }
    }

    async fn attend(self: Arc<Self>, stream: TcpStream, connected: Connected, tls: Option<TlsAcceptor>) {
        // Small answers must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.speak(stream, connected).await,
            Some(tls) => match tokio::time::timeout(TLS_HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream, connected).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, connected: Connected) {
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(connected.clone());
            self.router.clone().oneshot(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_time)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream, STALLED)), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_default_port_is_a_wish_and_a_chosen_one_an_order() {
        let taken = Listener::bind("127.0.0.1:0".parse().unwrap(), PortChoice::Operator).unwrap();
        let elsewhere = Listener::bind(taken.address(), PortChoice::Default).unwrap();
        assert_ne!(elsewhere.address().port(), taken.address().port());
        let error = Listener::bind(taken.address(), PortChoice::Operator).err().unwrap();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }
}
