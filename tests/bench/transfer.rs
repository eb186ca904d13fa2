//! `cargo bench-transfer`: one 1 GiB file from one source, whole processes, verified and on disk, against raw quinn
//! moving as many bytes into memory in the same run. Both ends share this machine, as in every row of the table.
//!
//! The candidates alternate and the medians are compared, because machines are shared and noisy.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use choir_peer::connectivity::tls::{Expected, client_config, server_config};
use choir_shared::identity::SecretKey;
use choir_shared::merkle::TreeHasher;
use choir_shared::wire;
use harness::{TestIndex, TestPeer, eventually, fixtures};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig};

const FILE_BYTES: usize = 1 << 30;
const ROUNDS: usize = 5;

/// What crosses the internet whole, and the most that the endpoint takes (DESIGN: path MTU discovery on loopback).
const DATAGRAMS: [u16; 2] = [1452, 6500];

fn main() -> anyhow::Result<()> {
    choir_peer::index_client::install_crypto();
    let index = TestIndex::start();
    let sharer = TestPeer::new("sharer", &index);
    println!("making a file of {FILE_BYTES} bytes…");
    let song = fixtures::noise("Long Song", "Bench", FILE_BYTES, 1);
    let mut hasher = TreeHasher::new();
    hasher.update(&song);
    let file = hasher.finish()?.id.to_string();
    sharer.add_music("Bench - Long Song.wav", &song);
    drop(song);

    println!("| datagrams | raw quinn, into memory | choir get, verified, on disk | choir ÷ raw |\n|---|---|---|---|");
    for datagram in DATAGRAMS {
        let limit = datagram.to_string();
        let daemon = sharer.daemon_with_environment(&[("CHOIR_DATAGRAM_BYTES", &limit)]);
        ensure!(sharer.share().code == 0 || datagram != DATAGRAMS[0], "the file is shared");
        let (mut raw, mut choir) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raw.push(raw_quinn(datagram)?);
            choir.push(choir_get(&index, &file, &limit)?);
        }
        let (raw, choir) = (median(&mut raw), median(&mut choir));
        let rate = |seconds: f64| FILE_BYTES as f64 / seconds / 1e6;
        println!(
            "| {datagram} | {:.0} MB/s ({raw:.2} s) | {:.0} MB/s ({choir:.2} s) | {:.2} |",
            rate(raw),
            rate(choir),
            raw / choir
        );
        drop(daemon);
    }
    Ok(())
}

/// A new person downloads the file: the whole process, from typing the command to its end.
fn choir_get(index: &TestIndex, file: &str, datagram: &str) -> anyhow::Result<f64> {
    let downloader = TestPeer::new("downloader", index);
    // A daemon that restarted is found again a moment later.
    eventually("the file has a source", || (!downloader.search(&["--artist", "Bench"]).is_empty()).then_some(()));
    let start = Instant::now();
    let mut command = downloader.command();
    command.env("CHOIR_DATAGRAM_BYTES", datagram).args(["-q", "get", file, "-o"]).arg(downloader.downloads());
    let output = command.output()?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(output.status.success(), "choir get failed: {}", String::from_utf8_lossy(&output.stderr));
    ensure!(has_bytes(&downloader.downloads()), "the file is there and whole");
    Ok(seconds)
}

fn has_bytes(folder: &Path) -> bool {
    let files = harness::peer::files_below(folder);
    files.iter().any(|path| path.metadata().is_ok_and(|found| found.len() as usize >= FILE_BYTES))
}

/// One connection, one stream, both ends in this process, with our TLS and the same windows.
fn raw_quinn(datagram: u16) -> anyhow::Result<f64> {
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
            for _ in 0..FILE_BYTES / piece.len() {
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
        let start = Instant::now();
        let connection = dialling.connect_with(client, address, "choir.invalid")?.await?;
        let mut stream = connection.accept_uni().await?;
        let mut received = 0;
        while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
            received += chunk.bytes.len();
        }
        let seconds = start.elapsed().as_secs_f64();
        ensure!(received == FILE_BYTES, "all bytes arrived");
        connection.close(0u32.into(), b"");
        serve.await??;
        Ok(seconds)
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

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
