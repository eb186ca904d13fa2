//! Being online: the control connection to one index.
//!
//! - **Online means welcomed.** Opening the socket proves nothing; the index has to answer our hello.
//! - **A lost connection comes back by itself**, after a wait that doubles and is drawn at random ([`Backoff`]); an
//!   index that says that it shuts down names the spread itself. Only a connection that lasted resets the wait, so
//!   that an index which crashes on every welcome is not crashed ten times a second.
//! - **Where the index has replicas**, the next one is tried after each failure.
//! - **A connection that was superseded does not come back**: another program uses the same key, and two that took
//!   turns in throwing each other out would never end.
//! - **A refusal that people must settle** (ban, changed key) is asked about again rarely: bans end, keys do not.
//! - **Silence is an end**: routers drop connections without telling either side.
//! - What this peer waits for and fetches is said again after every welcome; the index keeps it no longer than the
//!   connection.

mod link;
mod messages;

use std::sync::Arc;
use std::time::{Duration, Instant};

use choir_shared::control::{CollectionState, FromPeer, MAX_FETCHING, MAX_WATCHED};
use choir_shared::identity::IndexKey;
use choir_shared::index_api::Candidate;
use choir_shared::{FileId, PeerId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::backoff::{Backoff, fraction, random};
use super::error::IndexError;
use super::http::IndexHttp;
use super::publish::Notice;
use link::Link;
use messages::Heard;

/// How this peer stands with an index.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkState {
    Connecting,
    Online {
        since: Instant,
    },
    /// It tries again by itself.
    Offline {
        reason: String,
    },
    /// Somebody has to do something first.
    Refused {
        reason: String,
    },
}

/// What an index tells this peer.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEvent {
    pub index: IndexKey,
    pub what: Told,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It can be asked now.
    Online,
    /// Somebody was told how to reach this peer.
    Introduced { peer: PeerId, name: Option<String>, file: FileId, candidates: Vec<Candidate> },
    /// Watched files that now have a source online, one more, or one back that was lost.
    Available { files: Vec<FileId> },
    /// Files of this peer that nobody can find there any more: some of `count`, and why, fit to be printed.
    Blocked { files: Vec<FileId>, count: u64, reason: String },
}

/// What this peer wants the index to know while it is online.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Files waited for.
    pub(crate) watch: Vec<FileId>,
    /// Files whose verified parts are served.
    pub(crate) fetching: Vec<FileId>,
}

impl Wanted {
    fn watch_message(&self) -> FromPeer {
        FromPeer::Watch { files: self.watch.iter().take(MAX_WATCHED).copied().collect() }
    }

    fn fetching_message(&self) -> FromPeer {
        FromPeer::Fetching { files: self.fetching.iter().take(MAX_FETCHING).copied().collect() }
    }
}

/// The clockwork of a control connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How often this side pings, and so keeps the routers between awake.
    pub(crate) ping: Duration,
    /// After so much silence the connection is dead.
    pub(crate) silence: Duration,
    /// For the answer to our hello.
    pub(crate) welcome: Duration,
    /// A connection that lasted so long was a good one.
    pub(crate) stable: Duration,
    /// Between two questions to an index that refused us.
    pub(crate) refused: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // Home routers forget idle TCP connections after minutes; some carriers' after 30 s.
            ping: Duration::from_secs(25),
            // Three pings and some.
            silence: Duration::from_secs(80),
            // An index may be starting up, with ten thousand peers returning.
            welcome: Duration::from_secs(15),
            stable: Duration::from_secs(30),
            refused: Duration::from_secs(300),
        }
    }
}

/// Tells what collections to report in a hello.
pub(crate) trait Reported: Send + Sync + 'static {
    fn states(&self) -> impl Future<Output = Result<Vec<CollectionState>, IndexError>> + Send;
}

/// The task that keeps this peer online at one index.
pub(crate) struct Control<R> {
    pub(crate) http: Arc<IndexHttp>,
    pub(crate) reported: R,
    pub(crate) wanted: watch::Receiver<Wanted>,
    pub(crate) state: watch::Sender<LinkState>,
    /// To the daemon. Bounded: if it does not keep up, introductions are dropped, and whoever asked asks again.
    pub(crate) events: mpsc::Sender<IndexEvent>,
    /// To the publisher. Bounded: one welcome for each connection and rare notices; sending waits.
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) timing: Timing,
    pub(crate) stop: CancellationToken,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    Stopped,
    Superseded,
    Closing { spread: Duration },
    Failed(IndexError),
}

impl<R: Reported> Control<R> {
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let index = self.http.url().clone();
        let mut backoff = Backoff::default();
        loop {
            self.state.send_replace(LinkState::Connecting);
            let (begun, at) = (Instant::now(), self.http.at());
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                end = self.connection() => end,
            };
            if begun.elapsed() >= self.timing.stable {
                backoff.reset();
            }
            if matches!(
                &end,
                End::Closing { .. } | End::Failed(IndexError::Unreachable { .. } | IndexError::Busy { .. })
            ) {
                self.http.turn_from(&at);
            }
            let (state, pause) = match end {
                End::Stopped => return,
                End::Superseded => {
                    warn!(%index, "another program with this peer's key has come online; this one stays offline");
                    let reason = "another program uses this peer's key; stop one of them".to_owned();
                    self.state.send_replace(LinkState::Refused { reason });
                    return;
                }
                End::Closing { spread } => {
                    (LinkState::Offline { reason: "the index is restarting".to_owned() }, fraction(spread, random()))
                }
                End::Failed(error) => {
                    let reason = error.to_string();
                    match error {
                        error if error.needs_people() => (LinkState::Refused { reason }, self.timing.refused),
                        IndexError::RateLimited { retry_after } | IndexError::Busy { retry_after } => {
                            (LinkState::Offline { reason }, retry_after + backoff.wait(random()))
                        }
                        _ => (LinkState::Offline { reason }, backoff.wait(random())),
                    }
                }
            };
            info!(%index, ?state, ?pause, "not online");
            self.state.send_replace(state);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One connection, from the first question to its end.
    async fn connection(&mut self) -> End {
        match self.talk().await {
            Ok(end) => end,
            Err(error) => End::Failed(error),
        }
    }

    async fn talk(&mut self) -> Result<End, IndexError> {
        self.http.info().await?;
        let mut link = Link::open(&self.http).await?;
        let said = self.reported.states().await?;
        link.say(&messages::hello(said.clone())).await?;
        let resync = match tokio::time::timeout(self.timing.welcome, self.welcome(&mut link)).await {
            Ok(Ok(resync)) => resync,
            Ok(Err(end)) => return end,
            Err(_) => return Err(IndexError::nonsense("no welcome on the control connection")),
        };
        let _ = self.notices.send(Notice::Welcomed { said, resync }).await;

        let mut told = self.wanted.borrow_and_update().clone();
        if !told.watch.is_empty() {
            link.say(&told.watch_message()).await?;
        }
        if !told.fetching.is_empty() {
            link.say(&told.fetching_message()).await?;
        }
        self.state.send_replace(LinkState::Online { since: Instant::now() });
        let _ = self.act_on(Heard::Told(Told::Online)).await;

        let mut ping = tokio::time::interval(self.timing.ping);
        ping.reset();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => {
                    link.close().await;
                    return Ok(End::Stopped);
                }
                heard = tokio::time::timeout(self.timing.silence, link.hear()) => {
                    let heard = heard.map_err(|_| link.lost("it has fallen silent"))??;
                    if let Some(end) = self.act_on(heard).await {
                        return Ok(end);
                    }
                }
                Ok(()) = self.wanted.changed() => {
                    let wanted = self.wanted.borrow_and_update().clone();
                    if wanted.watch != told.watch {
                        link.say(&wanted.watch_message()).await?;
                    }
                    if wanted.fetching != told.fetching {
                        link.say(&wanted.fetching_message()).await?;
                    }
                    told = wanted;
                }
                _ = ping.tick() => link.ping().await?,
            }
        }
    }

    /// Waits for the welcome; whatever else the index says before is acted on as ever.
    async fn welcome(&self, link: &mut Link) -> Result<Vec<CollectionState>, Result<End, IndexError>> {
        loop {
            match link.hear().await.map_err(Err)? {
                Heard::Welcome { resync } => return Ok(resync),
                heard => {
                    if let Some(end) = self.act_on(heard).await {
                        return Err(Ok(end));
                    }
                }
            }
        }
    }

    async fn act_on(&self, heard: Heard) -> Option<End> {
        match heard {
            Heard::Told(what) => {
                if self.events.try_send(IndexEvent { index: self.http.key(), what }).is_err() {
                    debug!(index = %self.http.url(), "nobody had time for an event");
                }
            }
            Heard::Resync(state) => {
                let _ = self.notices.send(Notice::Resync(state)).await;
            }
            Heard::Welcome { .. } | Heard::Nothing => {}
            Heard::Superseded => return Some(End::Superseded),
            Heard::Closing { spread } => return Some(End::Closing { spread }),
        }
        None
    }
}

#[cfg(test)]
mod tests;
