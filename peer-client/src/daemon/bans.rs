//! Whom this peer neither serves nor asks.
//!
//! The owner's bans last until he lifts them and are in the database. A peer that sent wrong bytes for two different
//! files is banned by itself for a day: one bad file may be a bad disk, two are a habit. Those bans live in memory,
//! for a restart is a fair time to give another chance.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use choir_shared::{FileId, PeerId};
use sqlx::{Row as _, SqlitePool};

/// Different files with wrong bytes until a key is banned by itself.
const FILES_UNTIL_BAN: usize = 2;
const BAN: Duration = Duration::from_secs(24 * 3600);

/// Misbehaving keys remembered; keys cost nothing, so the memory must not grow with them.
const MAX_REMEMBERED: usize = 10_000;

pub(super) struct Bans {
    database: SqlitePool,
    by_owner: Mutex<HashSet<PeerId>>,
    misbehaviour: Mutex<HashMap<PeerId, Record>>,
}

#[derive(Default)]
struct Record {
    files: HashSet<FileId>,
    banned_until: Option<Instant>,
}

impl Bans {
    pub(super) async fn load(database: SqlitePool) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query("SELECT peer FROM bans").fetch_all(&database).await?;
        let texts = rows.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
        let by_owner = texts.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(Self { database, by_owner: Mutex::new(by_owner), misbehaviour: Mutex::default() })
    }

    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.by_owner().contains(peer) || self.misbehaviour().get(peer).is_some_and(Record::is_banned)
    }

    /// Everyone who is banned now.
    pub(super) fn all(&self) -> HashSet<PeerId> {
        let by_themselves = self.misbehaviour();
        let banned = by_themselves.iter().filter(|(_, record)| record.is_banned()).map(|(peer, _)| *peer);
        self.by_owner().iter().copied().chain(banned).collect()
    }

    pub(super) async fn ban(&self, peer: PeerId) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT OR IGNORE INTO bans (peer) VALUES (?)")
            .bind(peer.to_string())
            .execute(&self.database)
            .await?;
        self.by_owner().insert(peer);
        Ok(())
    }

    pub(super) async fn unban(&self, peer: PeerId) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM bans WHERE peer = ?").bind(peer.to_string()).execute(&self.database).await?;
        self.by_owner().remove(&peer);
        self.misbehaviour().remove(&peer);
        Ok(())
    }

    /// Wrong bytes came from `peer`.
    pub(super) fn misbehaved(&self, peer: PeerId, file: FileId) {
        let mut records = self.misbehaviour();
        if records.len() >= MAX_REMEMBERED {
            records.retain(|_, record| record.is_banned());
        }
        let record = records.entry(peer).or_default();
        record.files.insert(file);
        if record.files.len() >= FILES_UNTIL_BAN && !record.is_banned() {
            tracing::warn!(peer = %peer.short(), "wrong bytes for {FILES_UNTIL_BAN} files: banned for a day");
            record.banned_until = Some(Instant::now() + BAN);
        }
    }

    fn by_owner(&self) -> MutexGuard<'_, HashSet<PeerId>> {
        self.by_owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn misbehaviour(&self) -> MutexGuard<'_, HashMap<PeerId, Record>> {
        self.misbehaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn is_banned(&self) -> bool {
        self.banned_until.is_some_and(|until| Instant::now() < until)
    }
}
