//! What the other parts of the index hold to speak to one peer.

use choir_shared::control::FromIndex;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::origin::Origin;

/// Messages that wait to be written. Introductions and news fill it, a few a second at the worst; a peer that has
/// not read so many is not reading at all, and is hung up on.
const QUEUE: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Boxed, because a channel has room for 32 of them from the start.
    messages: mpsc::Sender<Box<FromIndex>>,
    hung_up: CancellationToken,
    origin: Origin,
}

impl Line {
    pub(crate) fn new(origin: Origin) -> (Self, mpsc::Receiver<Box<FromIndex>>) {
        let (messages, said) = mpsc::channel(QUEUE);
        (Self { messages, hung_up: CancellationToken::new(), origin }, said)
    }

    /// Queues a message. Whether it was: the connection may be at its end.
    pub(crate) fn say(&self, message: FromIndex) -> bool {
        match self.messages.try_send(Box::new(message)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.hang_up();
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// Where the connection comes from.
    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    /// Ends the connection without another word.
    pub(crate) fn hang_up(&self) {
        self.hung_up.cancel();
    }

    pub(super) const fn hung_up(&self) -> &CancellationToken {
        &self.hung_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_does_not_read_is_hung_up_on() {
        let (line, mut said) = Line::new(Origin::of([127, 0, 0, 1].into()));
        for _ in 0..QUEUE {
            assert!(line.say(FromIndex::Superseded));
        }
        assert!(!line.hung_up().is_cancelled());
        assert!(!line.say(FromIndex::Superseded));
        assert!(line.hung_up().is_cancelled());
        assert_eq!(said.recv().await.as_deref(), Some(&FromIndex::Superseded));
    }
}
