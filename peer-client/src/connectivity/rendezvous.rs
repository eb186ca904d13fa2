//! Keeps one connection to the rendezvous of an index, from our one socket, and learns where it sees us.

use std::net::SocketAddr;
use std::time::Duration;

use choir_shared::identity::IndexKey;
use choir_shared::rendezvous::Observed;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::endpoint::Endpoint;
use super::tls::Expected;
use crate::session::framing::ReceiveHalf;

/// After a failure; doubled up to the longest, so that an index that is down is not hammered.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs until cancelled. `observed` is `None` while there is no connection.
pub async fn keep(
    endpoint: Endpoint,
    index: IndexKey,
    address: SocketAddr,
    observed: watch::Sender<Option<SocketAddr>>,
    cancel: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = tokio::select! {
            () = cancel.cancelled() => return,
            ended = listen(&endpoint, index, address, &observed) => ended,
        };
        tracing::debug!(reason = %ended, "the rendezvous connection ended");
        if observed.send_replace(None).is_some() {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// Returns why it ended; it never ends by itself.
async fn listen(
    endpoint: &Endpoint,
    index: IndexKey,
    address: SocketAddr,
    observed: &watch::Sender<Option<SocketAddr>>,
) -> String {
    let connecting = match endpoint.dial(address, Expected::Index(index)) {
        Ok(connecting) => connecting,
        Err(error) => return error.to_string(),
    };
    let connection = match connecting.await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    let mut stream = match connection.accept_uni().await {
        Ok(stream) => ReceiveHalf::new(stream),
        Err(error) => return error.to_string(),
    };
    loop {
        match stream.message::<Observed>().await {
            Ok(seen) => drop(observed.send_replace(Some(seen.address))),
            Err(error) => return error.to_string(),
        }
    }
}
