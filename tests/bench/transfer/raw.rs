//! The bound by QUIC: quinn with our TLS and the same windows, and nothing else.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use choir_peer::connectivity::tls::{Expected, client_config, server_config};
use choir_shared::identity::SecretKey;
use choir_shared::wire;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig};

use crate::usage::{Run, Usage};

/// One connection, one stream, both ends in this process, with our TLS and the same windows.
pub(crate) fn transfer(datagram: u16, bytes: usize) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (sender, receiver) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let mut server =
            ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server_config(&sender, wire::ALPN)?)?));
        server.transport_config(Arc::new(transport(datagram)));
        let serving = endpoint(Some(server))?;
        let address = serving.local_addr()?;
        let serve = tokio::spawn(async move {
            let connection = serving.accept().await.context("a connection")?.await?;
            let mut stream = connection.open_uni().await?;
            let piece = bytes::Bytes::from(vec![7; 1 << 20]);
            for _ in 0..bytes / piece.len() {
                stream.write_chunk(piece.clone()).await?;
            }
            stream.finish()?;
            connection.closed().await;
            anyhow::Ok(())
        });

        let expected = Expected::Peer(sender.peer_id());
        let mut client =
            ClientConfig::new(Arc::new(QuicClientConfig::try_from(client_config(&receiver, expected, wire::ALPN)?)?));
        client.transport_config(Arc::new(transport(datagram)));
        let dialling = endpoint(None)?;
        let (start, before) = (Instant::now(), Usage::of(std::process::id())?);
        let connection = dialling.connect_with(client, address, "choir.invalid")?.await?;
        let mut stream = connection.accept_uni().await?;
        let mut received = 0;
        while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
            received += chunk.bytes.len();
        }
        let seconds = start.elapsed().as_secs_f64();
        ensure!(received == bytes, "all bytes arrived");
        connection.close(0u32.into(), b"");
        serve.await??;
        // Both ends in one process: half for each, as far as can be told.
        let both = Usage::of(std::process::id())?.since(before);
        let each = Usage { cpu_seconds: both.cpu_seconds / 2.0, peak_bytes: 0 };
        Ok(Run { seconds, receiving: each, sending: each })
    })
}

fn endpoint(server: Option<ServerConfig>) -> anyhow::Result<Endpoint> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.set_send_buffer_size(4 << 20)?;
    socket.set_nonblocking(true)?;
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(6500)?;
    Ok(Endpoint::new(config, server, socket.into(), Arc::new(quinn::TokioRuntime))?)
}

fn transport(datagram: u16) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(datagram);
    let mut config = TransportConfig::default();
    config
        .stream_receive_window((8u32 << 20).into())
        .receive_window((32u32 << 20).into())
        .send_window(12 << 20)
        .mtu_discovery_config(Some(discovery));
    config
}
