//! The loop over one session: takes streams and notices, gives each stream a task, ends them all at the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use choir_shared::PeerId;
use choir_shared::address::NetworkPrefix;
use choir_shared::ticket::Ticket;
use choir_shared::wire::CloseCode;
use tokio::task::{JoinError, JoinSet};

use super::Shared;
use super::admit::{Admission, Refusal, Rules, Until, Visitor};
use crate::config::UploadRate;
use crate::session::Session;
use crate::session::answering::{Opened, Request};
use crate::session::notices::Notice;

/// As many streams as the transport lets the other side open; more would be a mistake of ours.
const MAX_STREAMS: usize = 16;

/// What a stream is for is said in one packet, right after it was opened; ten seconds see it resent several times.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// A hello is sent before what needs it, and only a lost packet can delay it.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);

/// One session being served.
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Session,
    pub(super) peer: PeerId,
    pub(super) network: NetworkPrefix,
    is_near: bool,
}

impl Visit {
    pub(super) fn begin(shared: Arc<Shared>, session: Session) -> Arc<Self> {
        let (peer, network) = (session.peer(), NetworkPrefix::of(session.remote_address().ip()));
        shared.desk.arrived(peer, session.path_kind());
        let is_near = session.is_near();
        if !is_near {
            shared.lines.add(&session);
        }
        Arc::new(Self { shared, session, peer, network, is_near })
    }

    pub(super) async fn run(self: Arc<Self>) {
        // At most as many as the loop lets in.
        let mut streams = JoinSet::new();
        // One future for all notices: dropped halfway it would lose the one being read.
        let mut notices = std::pin::pin!(self.listen());
        let mut rules = self.shared.rules.subscribe();
        let farewell = loop {
            if rules.borrow_and_update().banned.contains(&self.peer) {
                break Some(CloseCode::Banned);
            }
            tokio::select! {
                () = self.shared.cancel.cancelled() => break Some(CloseCode::Leaving),
                () = &mut notices => break None,
                _ = rules.changed() => {}
                opened = self.session.next_stream(), if streams.len() < MAX_STREAMS => match opened {
                    Ok(opened) => drop(streams.spawn(Arc::clone(&self).answer(opened))),
                    Err(_lost) => break None,
                },
                Some(ended) = streams.join_next(), if !streams.is_empty() => report(ended),
            }
        };
        if let Some(code) = farewell {
            self.session.close(code);
        }
        streams.shutdown().await;
    }

    /// Waits until some of `wanted` bytes may be sent, and says how many.
    pub(super) async fn pace(&self, wanted: usize) -> usize {
        // Whoever is near does not use the line that `auto` keeps free.
        if self.is_near && *self.shared.limit.borrow() == UploadRate::Auto {
            return wanted;
        }
        self.shared.pacer.take(self.network, self.peer, wanted).await
    }

    async fn answer(self: Arc<Self>, opened: Opened) {
        let served = match opened.request(OPENING_TIMEOUT).await {
            Ok(Some(Request::Get(get, reply))) => self.get(get, reply).await,
            Ok(Some(Request::Enter(enter, reply))) => self.line_up(enter, reply).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::debug!(peer = %self.peer.short(), %error, "a request was not served to its end");
        }
    }

    /// Takes hellos and complaints until the connection ends.
    async fn listen(&self) {
        let mut notices = self.session.notices(OPENING_TIMEOUT);
        while let Ok(notice) = notices.next().await {
            match notice {
                Notice::Hello => {
                    let features = self.session.hello().borrow().as_ref().map_or(0, |hello| hello.features);
                    self.shared.desk.introduced(self.peer, features);
                }
                Notice::BadLeaf(bad) => {
                    if bad.file.length().leaf(bad.leaf).is_some() && self.shared.desk.heeds(self.peer, bad.file) {
                        tracing::info!(peer = %self.peer.short(), file = %bad.file.short(), "told that a leaf was wrong");
                        self.shared.shelf.recheck(bad.file);
                    }
                }
            }
        }
    }

    /// Asks the rules. Where a ticket decides and none that came is good, it waits a moment for a hello: streams
    /// overtake each other, and who has just learnt that we share an index says hello again before it asks.
    pub(super) async fn judge(&self, verdict: impl Fn(&Rules, &Visitor<'_>) -> Admission) -> Admission {
        let ask = |tickets: Option<&[Ticket]>| {
            let now_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let rules = Arc::clone(&self.shared.rules.borrow());
            verdict(&rules, &Visitor { peer: self.peer, tickets, now_unix_s })
        };
        let mut hello = self.session.hello();
        let patience = tokio::time::sleep(HELLO_TIMEOUT);
        tokio::pin!(patience);
        loop {
            let tickets = hello.borrow_and_update().as_ref().map(|hello| hello.tickets.clone());
            match ask(tickets.as_deref()) {
                Admission::Wait(Until::Hello) | Admission::No(Refusal::NotAMember) => {}
                admission => return admission,
            }
            let changed = tokio::select! {
                () = &mut patience => false,
                changed = hello.changed() => changed.is_ok(),
            };
            if !changed {
                return ask(Some(&tickets.unwrap_or_default()));
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.desk.departed(self.peer);
        self.shared.lines.remove(&self.session);
    }
}

/// A panic is a mistake of ours; it must not go unseen, nor end the session.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of an upload stream failed");
    }
}
