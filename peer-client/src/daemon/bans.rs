//! Whom this peer neither serves nor asks.
//!
//! The owner's bans last until he lifts them and are in the database. A peer that sent wrong bytes of a file is not
//! asked for that file for a day, and one that did so for two different files is banned by itself for a day: one bad
//! file may be a bad disk, two are a habit. All that lives in memory, for a restart is a fair time to give another
//! chance.

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
    /// When it last sent wrong bytes of each.
    files: HashMap<FileId, Instant>,
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
        let now = Instant::now();
        self.by_owner().contains(peer) || self.misbehaviour().get(peer).is_some_and(|record| record.is_banned(now))
    }

    /// Whether this peer is not to be asked for this file.
    pub(super) fn distrusts(&self, peer: &PeerId, file: &FileId) -> bool {
        let now = Instant::now();
        self.misbehaviour().get(peer).is_some_and(|record| record.has_spoilt(file, now))
    }

    /// Everyone who is banned now.
    pub(super) fn all(&self) -> HashSet<PeerId> {
        let (by_themselves, now) = (self.misbehaviour(), Instant::now());
        let banned = by_themselves.iter().filter(|(_, record)| record.is_banned(now)).map(|(peer, _)| *peer);
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
        let (mut records, now) = (self.misbehaviour(), Instant::now());
        if records.len() >= MAX_REMEMBERED {
            records.retain(|_, record| record.is_banned(now));
        }
        let record = records.entry(peer).or_default();
        let was_banned = record.is_banned(now);
        record.add(file, now);
        if record.is_banned(now) && !was_banned {
            tracing::warn!(peer = %peer.short(), "wrong bytes for {FILES_UNTIL_BAN} files: banned for a day");
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
    fn add(&mut self, file: FileId, now: Instant) {
        self.files.insert(file, now);
        if self.files.len() >= FILES_UNTIL_BAN && !self.is_banned(now) {
            self.banned_until = Some(now + BAN);
        }
    }

    fn has_spoilt(&self, file: &FileId, now: Instant) -> bool {
        self.files.get(file).is_some_and(|at| now.saturating_duration_since(*at) < BAN)
    }

    fn is_banned(&self, now: Instant) -> bool {
        self.banned_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::Digest;
    use choir_shared::leaf::FileLength;

    use super::*;

    fn file(name: &str) -> FileId {
        FileId::new(Digest::of(name.as_bytes()), FileLength::new(1).unwrap())
    }

    #[test]
    fn one_bad_file_is_one_file_and_two_are_a_ban_and_both_end_after_a_day() {
        let (mut record, noon) = (Record::default(), Instant::now());
        let [first, second] = ["first", "second"].map(file);
        record.add(first, noon);
        record.add(first, noon);
        assert!(record.has_spoilt(&first, noon) && !record.has_spoilt(&second, noon));
        assert!(!record.is_banned(noon), "the same file twice is one file");

        let evening = noon + BAN / 4;
        record.add(second, evening);
        assert!(record.is_banned(evening) && record.is_banned(noon + BAN));
        assert!(!record.has_spoilt(&first, noon + BAN) && record.has_spoilt(&second, noon + BAN));
        assert!(!record.is_banned(evening + BAN));
    }
}
