//! Closing a connection so that the other side learns why.
//!
//! quinn-proto 0.11.19 lets congestion control hold a CONNECTION_CLOSE back while anything else waits to be sent,
//! although RFC 9002 (section 3) exempts it. A closed connection takes no acknowledgements, so room is never made and
//! the close never sent: the other side finds out by its idle timeout. (quinn-rs/quinn#2785, mended after that
//! version.) So the congestion controller of each of our connections stands aside once the connection is closed.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use choir_shared::wire::CloseCode;
use quinn::VarInt;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

/// The one way to close a connection with a peer.
pub(crate) fn close(connection: &quinn::Connection, code: CloseCode) {
    if let Ok(controller) = connection.congestion_state().into_any().downcast::<Yielding>() {
        controller.closing.store(true, Ordering::Relaxed);
    }
    connection.close(VarInt::from_u32(code.code()), b"");
}

/// Any controller, until the connection is closed.
pub(super) struct YieldingConfig(pub(super) Arc<dyn ControllerFactory + Send + Sync>);

impl ControllerFactory for YieldingConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::clone(&self.0).build(now, current_mtu);
        Box::new(Yielding { inner, closing: Arc::default() })
    }
}

struct Yielding {
    inner: Box<dyn Controller>,
    /// Shared with the copies that [`close`] and a change of path make.
    closing: Arc<AtomicBool>,
}

impl Controller for Yielding {
    fn window(&self) -> u64 {
        // The closed connection sends nothing but the close.
        if self.closing.load(Ordering::Relaxed) { u64::MAX } else { self.inner.window() }
    }

    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), closing: Arc::clone(&self.closing) })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use choir_shared::identity::SecretKey;
    use tokio::runtime::{Builder, Runtime};

    use super::super::tls::Expected;
    use super::super::{Endpoint, EndpointOptions};
    use super::*;

    fn endpoint(runtime: &Runtime, seed: u8) -> Endpoint {
        let options = EndpointOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let _entered = runtime.enter();
        Endpoint::bind(SecretKey::from_seed(&[seed; 32]), options).unwrap()
    }

    #[test]
    fn a_close_leaves_although_nothing_was_acknowledged_and_the_line_is_full() {
        let ours = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Runs only inside `block_on`; between two of them nothing is read or acknowledged.
        let theirs = Builder::new_current_thread().enable_all().build().unwrap();
        let (here, there) = (endpoint(&ours, 1), endpoint(&theirs, 2));
        let (address, expected) = (here.local_address().unwrap(), Expected::Peer(here.secret().peer_id()));
        let accepted = ours.spawn(async move { here.accept().await.unwrap().unwrap().await.unwrap() });
        let dialled = theirs.block_on(async { there.dial(address, expected).unwrap().await.unwrap() });

        let connection = ours.block_on(accepted).unwrap();
        ours.block_on(async {
            let mut stream = connection.open_uni().await.unwrap();
            stream.write_all(&vec![7; 1 << 20]).await.unwrap();
            let is_full = |stats: quinn::ConnectionStats| {
                stats.udp_tx.bytes + 2 * u64::from(stats.path.current_mtu) > stats.path.cwnd
            };
            while !is_full(connection.stats()) {
                tokio::task::yield_now().await;
            }
            close(&connection, CloseCode::Banned);
        });
        let closed = async { tokio::time::timeout(Duration::from_secs(10), dialled.closed()).await };
        match theirs.block_on(closed).unwrap() {
            quinn::ConnectionError::ApplicationClosed(close) => {
                assert_eq!(close.error_code, VarInt::from_u32(CloseCode::Banned.code()));
            }
            other => panic!("{other}"),
        }
    }
}
