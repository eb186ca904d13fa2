//! The least of a WebSocket client (RFC 6455): short text messages.

use choir_shared::control::{FromIndex, FromPeer};
use choir_shared::index_api::PREFIX;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{PATIENCE, Peer};

pub(crate) struct Control(TcpStream);

/// What arrives.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Message(FromIndex),
    Pong,
    Closed(Option<u16>),
}

impl Control {
    /// Connects without a word.
    pub(crate) async fn silent(peer: &Peer) -> Self {
        let mut stream = TcpStream::connect(peer.address).await.unwrap();
        let request = format!(
            "GET {PREFIX}/control HTTP/1.1\r\nHost: index\r\nAuthorization: {}\r\nConnection: upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            peer.bearer()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a whole head"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    /// Connects and says hello with these collections. Returns the welcome as well.
    pub(crate) async fn open(peer: &Peer, hello: &FromPeer) -> (Self, FromIndex) {
        let mut control = Self::silent(peer).await;
        control.say(hello).await;
        let welcome = control.message().await;
        (control, welcome)
    }

    /// Online with nothing to tell.
    pub(crate) async fn online(peer: &Peer) -> Self {
        Self::open(peer, &hello(Vec::new())).await.0
    }

    pub(crate) async fn say(&mut self, message: &FromPeer) {
        self.say_text(&serde_json::to_string(message).unwrap()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap();
        // Final, text; masked with zeros, which leaves it as it is.
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.0.write_all(&frame).await.unwrap();
    }

    /// Asks whether the other side is there, as far as WebSockets go.
    pub(crate) async fn ping(&mut self) {
        self.0.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
    }

    pub(crate) async fn message(&mut self) -> FromIndex {
        match self.hear().await {
            Heard::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        tokio::time::timeout(PATIENCE, self.frame()).await.expect("a word in time")
    }

    async fn frame(&mut self) -> Heard {
        loop {
            let Ok(first) = self.0.read_u8().await else { return Heard::Closed(None) };
            let length = match self.0.read_u8().await.unwrap() {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            match first {
                // The index asks at any moment.
                0x89 => self.0.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap(),
                0x8a => return Heard::Pong,
                0x81 => return Heard::Message(serde_json::from_slice(&payload).unwrap()),
                0x88 => return Heard::Closed(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
                other => panic!("an unexpected frame {other:#x}"),
            }
        }
    }
}

pub(crate) fn hello(collections: Vec<choir_shared::control::CollectionState>) -> FromPeer {
    FromPeer::Hello { agent: "test".into(), collections }
}
