//! What every command has: its home, its voice, and the way to the daemon.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::output::Output;
use crate::api::types::Within;
use crate::api::{Answer, ApiClient, ErrorKind, ServiceError, door};
use crate::config::{Flag, Home, Settings};
use crate::daemon::{self, RunningDaemon};

pub(super) struct Context {
    pub(super) home: Home,
    /// What `--index` says.
    pub(super) indexes: Vec<String>,
    pub(super) out: Output,
    /// Cancelled by the first Ctrl-C.
    pub(super) interrupt: CancellationToken,
}

/// A daemon to talk to: the one that runs, or one for as long as this command lasts.
pub(super) struct Peer {
    pub(super) client: ApiClient,
    own: Option<RunningDaemon>,
}

impl Peer {
    /// Whether the daemon goes on when this command has ended.
    pub(super) const fn outlives_the_command(&self) -> bool {
        self.own.is_none()
    }

    pub(super) async fn leave(self) {
        if let Some(daemon) = self.own {
            daemon.stop().await;
        }
    }
}

impl Context {
    pub(super) fn settings(&self, flags: &[Flag]) -> Answer<Settings> {
        Settings::load(&self.home, flags).map_err(|problems| {
            ServiceError::new(ErrorKind::Usage, problems.to_string()).hint("`choir config check` looks again")
        })
    }

    /// The daemon that runs for this home.
    pub(super) async fn attach(&self) -> Option<ApiClient> {
        let client = door::attach(&self.home.api_file()).await?;
        Some(client.within(Within(self.indexes.clone())))
    }

    pub(super) async fn reach(&self) -> Answer<Peer> {
        if let Some(client) = self.attach().await {
            return Ok(Peer { client, own: None });
        }
        let settings = self.settings(&[])?;
        let options = daemon::Options { home: self.home.clone(), settings, indexes: self.indexes.clone() };
        let daemon = daemon::start_in_process(options).await?;
        let client = daemon.client.clone().within(Within(self.indexes.clone()));
        Ok(Peer { client, own: Some(daemon) })
    }

    /// Does `work` with a daemon, which is left in good order whatever happens.
    pub(super) async fn with_peer<T>(&self, work: impl AsyncFnOnce(&Peer) -> Answer<T>) -> Answer<T> {
        let peer = self.interruptible(self.reach()).await?;
        let outcome = self.interruptible(work(&peer)).await;
        peer.leave().await;
        outcome
    }

    /// `work`, or the error that Ctrl-C is.
    pub(super) async fn interruptible<T>(&self, work: impl Future<Output = Answer<T>>) -> Answer<T> {
        let interrupted = || ServiceError::new(ErrorKind::Interrupted, "interrupted");
        self.interrupt.run_until_cancelled(work).await.unwrap_or_else(|| Err(interrupted()))
    }

    /// Where the rows of the last search are remembered for `@N`.
    pub(super) fn last_search(&self) -> PathBuf {
        self.home.api_file().with_file_name("last_search.json")
    }
}
