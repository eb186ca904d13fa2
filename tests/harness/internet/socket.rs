//! quinn's socket over the simulated internet.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::Shared;
use super::traffic::HostId;

/// As Linux has it, so that quinn sends in the same bursts.
const SEGMENTS: usize = 10;

/// What the kernel keeps for a socket that nobody reads: as much as `choir` asks for.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams that have arrived at a socket.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    datagrams: VecDeque<(SocketAddr, Bytes)>,
    bytes: usize,
    reader: Option<Waker>,
}

impl Inbox {
    /// Keeps the datagram if there is room, and returns whoever waits for one.
    pub(super) fn put(&mut self, from: SocketAddr, bytes: Bytes) -> Option<Waker> {
        if self.bytes + bytes.len() <= RECEIVE_BUFFER {
            self.bytes += bytes.len();
            self.datagrams.push_back((from, bytes));
        }
        self.reader.take()
    }

    fn take(&mut self) -> Option<(SocketAddr, Bytes)> {
        let datagram = self.datagrams.pop_front()?;
        self.bytes -= datagram.1.len();
        Some(datagram)
    }
}

/// A bound UDP socket of one host.
pub struct Socket {
    pub(super) shared: Arc<Shared>,
    pub(super) host: HostId,
    pub(super) address: SocketAddr,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let bytes = Bytes::copy_from_slice(transmit.contents);
        let segment = transmit.segment_size.unwrap_or(bytes.len()).max(1);
        let datagrams =
            (0..bytes.len()).step_by(segment).map(|start| bytes.slice(start..bytes.len().min(start + segment)));
        self.shared.send(self.host, self.address, transmit.destination, datagrams);
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.state();
        let inbox = state.inboxes.entry((self.host, self.address)).or_default();
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some((from, bytes)) = inbox.take() else { break };
            // What does not fit the reader's buffer is cut off, as every kernel does.
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            *meta = RecvMeta { addr: from, len: length, stride: length, ecn: None, dst_ip: Some(self.address.ip()) };
            count += 1;
        }
        if count == 0 {
            inbox.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn max_transmit_segments(&self) -> usize {
        SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Socket").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What a line cannot take is dropped by the router before it, not held back by the socket.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
