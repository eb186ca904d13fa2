//! The programs that serve one index together: who lives, who is online where, and what has changed of that which each
//! of them keeps in memory. On PostgreSQL only.
//!
//! - **A [`Beat`] is one transaction** in the accounts' turn: it renews the lease, tells who came and went, and hears
//!   what the others told since the last one. Whoever writes has heard all that was written before, so the order of
//!   beats decides where a member's newest connection is.
//! - **Leases end by the server's clock.** A replica is asked for introductions while its lease lasts; what it held is
//!   forgotten [`FORGOTTEN_S`] later, when those who were connected to it have come back elsewhere.
//! - **What is counted in `versions`** is loaded anew by everybody when its count has grown ([`count`]).

use choir_shared::PeerId;
use choir_shared::identity::IndexKey;

use super::Store;
use super::columns::{json, peer, time};
use super::error::StoreError;
use super::numbers::MemberNo;
use super::sql::{Connection, Row, query};

/// Ten beats that are missed in a row.
const LEASE_S: u32 = 10;

/// As long after its lease as makes, with it, the lease of a peer whose connection broke.
const FORGOTTEN_S: u32 = 20;

/// One program's life. Never given twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ReplicaNo(u64);

/// A program that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub no: ReplicaNo,
    pub url: String,
}

/// What one program has to say.
#[derive(Clone, Debug, Default)]
pub struct Beat {
    /// `None` at the start.
    pub replica: Option<ReplicaNo>,
    pub url: String,
    pub indexed_revision: u64,
    /// The last change of presence that it has heard of; 0 for none.
    pub heard: u64,
    /// Who has come to it, who has left it, and who shares something else.
    pub came: Vec<MemberNo>,
    pub left: Vec<MemberNo>,
    pub changed: Vec<MemberNo>,
}

/// What it hears.
#[derive(Clone, Debug)]
pub struct Pulse {
    /// Another one than before if the others took this program for dead.
    pub replica: ReplicaNo,
    /// In the order of their starts.
    pub living: Vec<Replica>,
    /// Now also of what was said here.
    pub heard: u64,
    /// What others said, before what was said here.
    pub moved: Vec<Moved>,
    pub versions: Versions,
}

/// Where a member is now, and that what it shares may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub member: MemberNo,
    /// `None` if it was erased.
    pub peer: Option<PeerId>,
    pub at: Option<ReplicaNo>,
}

/// How often each was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    pub bans: u64,
    pub blocks: u64,
    /// Only those that were erased, or got a quota of their own.
    pub members: u64,
    pub texts: u64,
}

/// What programs keep in memory, beside presence.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Bans,
    Blocks,
    Members,
    Texts,
}

impl Store {
    /// Whether the databases are those of the index with this key. Whoever comes first owns them.
    pub async fn belongs_to(&self, key: &IndexKey) -> Result<bool, StoreError> {
        let key = key.as_bytes().to_vec();
        self.accounts.writer.run(move |db| Box::pin(async move { belongs_to(db, key).await })).await
    }

    pub async fn beat(&self, beat: Beat) -> Result<Pulse, StoreError> {
        self.accounts.writer.run(move |db| Box::pin(async move { pulse(db, &beat).await })).await
    }
}

/// Notes that something which every program keeps in memory has changed.
pub(super) async fn count(accounts: &mut Connection, what: Kept) -> Result<(), StoreError> {
    if matches!(accounts, Connection::Sqlite(_)) {
        return Ok(());
    }
    let what = match what {
        Kept::Bans => "bans",
        Kept::Blocks => "blocks",
        Kept::Members => "members",
        Kept::Texts => "texts",
    };
    query("UPDATE versions SET version = version + 1 WHERE what = $1").bind(what).execute(accounts).await.map(drop)
}

/// The last revision that every program has in its search index, where there may be several: those that are starting
/// have none.
pub(super) async fn indexed_everywhere(catalogue: &mut Connection) -> Result<Option<u64>, StoreError> {
    if matches!(catalogue, Connection::Sqlite(_)) {
        return Ok(None);
    }
    let row: Row = query("SELECT min(indexed_revision) AS least FROM accounts.replicas").fetch_one(catalogue).await?;
    row.get("least")
}

/// Whether a member has its place at a program that lives, or did a moment ago.
pub(super) async fn has_place(catalogue: &mut Connection, member: MemberNo) -> Result<bool, StoreError> {
    query(
        "SELECT count(*) > 0 FROM accounts.online o CROSS JOIN accounts.replicas r WHERE o.member = $1
         AND r.no = o.replica AND r.lease_until > clock_timestamp() - CAST($2 AS BIGINT) * interval '1 second'",
    )
    .bind(member.0)
    .bind(FORGOTTEN_S)
    .fetch_one(catalogue)
    .await
}

async fn belongs_to(database: &mut Connection, key: Vec<u8>) -> Result<bool, StoreError> {
    if matches!(database, Connection::Sqlite(_)) {
        return Ok(true);
    }
    query("INSERT INTO owner (one, key) VALUES (1, $1) ON CONFLICT DO NOTHING")
        .bind(key.clone())
        .execute(&mut *database)
        .await?;
    let owner: Row = query("SELECT key FROM owner").fetch_one(database).await?;
    Ok(owner.get::<Vec<u8>>("key")? == key)
}

async fn pulse(database: &mut Connection, beat: &Beat) -> Result<Pulse, StoreError> {
    let replica = renew(database, beat).await?;
    let dead: Vec<u64> =
        query("DELETE FROM replicas WHERE lease_until < clock_timestamp() - CAST($1 AS BIGINT) * interval '1 second' RETURNING no")
            .bind(FORGOTTEN_S)
            .fetch_all(&mut *database)
            .await?;
    let is_news = !(dead.is_empty() && beat.came.is_empty() && beat.left.is_empty() && beat.changed.is_empty());
    let now: u64 = query("UPDATE versions SET version = version + $1 WHERE what = 'online' RETURNING version")
        .bind(i64::from(is_news))
        .fetch_one(&mut *database)
        .await?;
    if !dead.is_empty() {
        query(
            "UPDATE online SET replica = NULL, change = $2
             WHERE replica IN (SELECT CAST(value AS BIGINT) FROM json_each($1))",
        )
        .bind(json(&dead))
        .bind(time(now))
        .execute(&mut *database)
        .await?;
    }
    let moved = moved_since(database, beat.heard).await?;
    tell(database, beat, replica, now).await?;
    let living: Vec<(u64, String)> =
        query("SELECT no, url FROM replicas WHERE lease_until > clock_timestamp() ORDER BY no")
            .fetch_all(&mut *database)
            .await?;
    let living = living.into_iter().map(|(no, url)| Replica { no: ReplicaNo(no), url }).collect();
    Ok(Pulse { replica, living, heard: now, moved, versions: versions(database).await? })
}

/// Renews the lease, or begins one.
async fn renew(database: &mut Connection, beat: &Beat) -> Result<ReplicaNo, StoreError> {
    if let Some(replica) = beat.replica {
        let renewed = query(
            "UPDATE replicas SET lease_until = clock_timestamp() + CAST($2 AS BIGINT) * interval '1 second',
             indexed_revision = $3 WHERE no = $1",
        )
        .bind(time(replica.0))
        .bind(LEASE_S)
        .bind(time(beat.indexed_revision))
        .execute(&mut *database)
        .await?;
        if renewed > 0 {
            return Ok(replica);
        }
    }
    let no = query(
        "INSERT INTO replicas (url, lease_until, indexed_revision)
         VALUES ($1, clock_timestamp() + CAST($2 AS BIGINT) * interval '1 second', $3) RETURNING no",
    )
    .bind(beat.url.as_str())
    .bind(LEASE_S)
    .bind(time(beat.indexed_revision))
    .fetch_one(database)
    .await?;
    Ok(ReplicaNo(no))
}

async fn moved_since(database: &mut Connection, heard: u64) -> Result<Vec<Moved>, StoreError> {
    let rows: Vec<Row> = query(
        "SELECT o.member, o.replica, m.peer FROM online o LEFT JOIN members m ON m.no = o.member
         WHERE o.change > $1 AND ($1 > 0 OR o.replica IS NOT NULL)",
    )
    .bind(time(heard))
    .fetch_all(database)
    .await?;
    let read = |row: &Row| {
        let key: Option<Vec<u8>> = row.get("peer")?;
        let at: Option<u64> = row.get("replica")?;
        Ok(Moved {
            member: MemberNo(row.get("member")?),
            peer: key.map(|key| peer(&key)).transpose()?,
            at: at.map(ReplicaNo),
        })
    };
    rows.iter().map(read).collect()
}

async fn tell(database: &mut Connection, beat: &Beat, replica: ReplicaNo, now: u64) -> Result<(), StoreError> {
    let statements = [
        (
            &beat.left,
            "UPDATE online SET replica = NULL, change = $2
             WHERE member IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) AND replica = $3",
        ),
        (
            &beat.changed,
            "UPDATE online SET change = $2 WHERE member IN (SELECT CAST(value AS BIGINT) FROM json_each($1))
             AND replica IS NOT NULL AND $3 > 0",
        ),
        (
            &beat.came,
            "INSERT INTO online (member, change, replica) SELECT CAST(value AS BIGINT), $2, $3 FROM json_each($1)
             ON CONFLICT (member) DO UPDATE SET replica = excluded.replica, change = excluded.change",
        ),
    ];
    for (members, statement) in statements {
        if !members.is_empty() {
            let statement = query(statement).bind(json(members)).bind(time(now)).bind(time(replica.0));
            statement.execute(&mut *database).await?;
        }
    }
    Ok(())
}

async fn versions(database: &mut Connection) -> Result<Versions, StoreError> {
    let counted: Vec<(String, u64)> = query("SELECT what, version FROM versions").fetch_all(database).await?;
    let of = |what: &str| counted.iter().find(|(counted, _)| counted == what).map_or(0, |(_, version)| *version);
    Ok(Versions { bans: of("bans"), blocks: of("blocks"), members: of("members"), texts: of("texts") })
}

#[cfg(test)]
mod tests;
