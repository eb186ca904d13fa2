//! What the index remembers: who may be here, and who shares what.
//!
//! Domain types go in and come out; statements live only below this module. Each method is one whole use case.
//!
//! - **Two databases**, as two SQLite files or as two schemas of PostgreSQL (`sql` has what differs). The accounts are
//!   precious; as a file they wait for the disk on every commit. The catalogue can be published again: as a file it
//!   does not wait, and one that is damaged is moved aside and begun anew.
//! - **One writer each** (`writer`): what has queued up is committed together, and one refused change spoils no
//!   other. Readers have connections of their own and never wait for the writer.
//! - **An answer is given after the commit**, so whoever reads next sees what was answered.
//! - **Members are numbered by the accounts, files by the catalogue.** A number is never given to another while its
//!   database lives; [`Store::catalogue_identity`] tells one catalogue from the next.
//! - **Whoever stays away for long** has the library forgotten, in small steps (`absence`).
//! - **What nobody shares any more** is swept out after a while, and what an erased member leaves behind at once
//!   (`sweep`).
//! - **Erasing a member** begins with the account. If the index stops in the middle, the next start finds a library
//!   without an owner and finishes: [`Store::open`] compares the two.
//!
//! Pure rules have their own files: `change_set` checks what needs no database, `ballot` and `election`
//! decide which claim is shown, `name` which names are fit to be shown.

mod absence;
mod accounts;
mod ballot;
mod bans;
mod blocks;
mod branches;
pub mod change_set;
mod check;
mod claims;
mod collections;
mod columns;
mod database;
mod edit;
mod election;
mod error;
mod export;
mod files;
mod folders;
mod invites;
mod library_page;
mod location;
mod name;
mod number_set;
mod numbers;
mod own_quota;
mod postgres;
mod publish;
mod replicas;
mod reports;
mod settle;
mod snapshot;
mod sql;
mod sweep;
mod texts;
mod upgrade;
mod writer;

#[cfg(test)]
pub(crate) mod testing;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use choir_shared::PeerId;
use tokio_util::task::TaskTracker;

use database::Database;
use postgres::Schema;

pub use absence::Forgotten;
pub use accounts::{EnrolError, Enrolment, Member, Named, RenameError};
pub use bans::{Ban, BanTarget, InvalidBanTarget};
pub use blocks::{Block, BlockTarget, InvalidBlockTarget};
pub use branches::Joined;
pub use check::{Finding, begin_anew, catalogue_mark, check_catalogue, recount};
pub use error::{OpenError, StoreError};
pub use export::Export;
pub use files::{CatalogueMark, Counts, FileRow, IndexedFile};
pub use invites::{AuditEntry, Invite, label as invite_label};
pub use location::{InvalidPostgresUrl, Location, PostgresUrl};
pub use name::{DisplayName, InvalidName};
pub use numbers::{FileNo, MemberNo};
pub use own_quota::OwnQuota;
pub use publish::{Applied, ChangeError, Quotas};
pub use replicas::{Beat, Moved, Pulse, Replica, ReplicaNo, Versions};
pub use reports::{QueueLimits, Report, ReportError, Which};
pub use snapshot::{snapshot, verify};
pub use sweep::{KEPT_S, Sweep, Swept};
pub use upgrade::{Upgrade, upgrades};

/// The databases of one index. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    accounts: Database,
    catalogue: Database,
    erased: Arc<Erased>,
    tracker: TaskTracker,
    /// Held as long as the store is open, so that a second index cannot open the same folder.
    _lock: Option<Arc<std::fs::File>>,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections that answer questions, for each database.
    pub readers: u32,
}

impl Default for Options {
    /// More readers than processors do not read faster; a few more hide one that waits for the disk.
    fn default() -> Self {
        Self { readers: 4 }
    }
}

impl Store {
    /// Opens the databases, or begins them. The writers run on `tracker` until [`Store::close`].
    pub async fn open(at: &Location, options: Options, tracker: &TaskTracker) -> Result<Self, OpenError> {
        let (accounts, catalogue, lock) = match at {
            Location::Folder(dir) => {
                let lock = database::lock(dir)?;
                let accounts = database::open_accounts(dir, options, tracker).await?;
                let catalogue = database::open_catalogue(dir, options, tracker).await;
                (accounts, catalogue, Some(Arc::new(lock)))
            }
            Location::Postgres(url) => {
                let accounts = postgres::open(url, Schema::Accounts, options, tracker).await?;
                let catalogue = postgres::open(url, Schema::Catalogue, options, tracker).await;
                (accounts, catalogue, None)
            }
        };
        let catalogue = match catalogue {
            Ok(catalogue) => catalogue,
            Err(error) => {
                accounts.close().await;
                return Err(error);
            }
        };
        let store = Self { accounts, catalogue, erased: Arc::default(), tracker: tracker.clone(), _lock: lock };
        if let Err(error) = store.drop_libraries_without_owner().await {
            store.close().await;
            return Err(error.into());
        }
        Ok(store)
    }

    /// Finishes what is queued, commits it, and closes both databases. Later calls fail.
    pub async fn close(&self) {
        self.accounts.close().await;
        self.catalogue.close().await;
    }

    /// Whether what is to be kept is kept: fails while changes are lost, as on a full disk.
    pub async fn check_writers(&self) -> Result<(), StoreError> {
        self.accounts.writer.check().await?;
        self.catalogue.writer.check().await
    }

    /// Removes a member, its name and its libraries. Returns the files it no longer holds.
    pub async fn erase(&self, peer: &PeerId) -> Result<Vec<FileNo>, StoreError> {
        let (store, peer) = (self.clone(), *peer);
        // A task, so that a caller who hangs up does not leave half a member behind.
        let erasing = self.tracker.spawn(async move {
            let Some(member) = store.erase_account(&peer).await? else { return Ok(Vec::new()) };
            store.erased.insert(member);
            store.erase_library(member).await
        });
        erasing.await.unwrap_or(Err(StoreError::Unavailable))
    }

    async fn drop_libraries_without_owner(&self) -> Result<(), StoreError> {
        let owners = self.owners().await?;
        for member in self.strangers_among(&owners).await? {
            tracing::warn!(member = member.0, "a library without an owner is dropped");
            self.erase_library(member).await?;
        }
        Ok(())
    }
}

/// Members erased since the start: a change set of theirs that was under way must not bring their library back.
#[derive(Default)]
struct Erased(Mutex<HashSet<MemberNo>>);

impl Erased {
    fn insert(&self, member: MemberNo) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(member);
    }

    fn contains(&self, member: MemberNo) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&member)
    }
}

#[cfg(test)]
mod differential;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod tests;
