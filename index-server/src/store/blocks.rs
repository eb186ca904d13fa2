//! What may not be found here. The caller keeps the list in memory; this is where it outlives a restart.

use std::fmt;

use choir_shared::text::tokens;
use choir_shared::{Digest, FileId};

use super::columns::{json, time};
use super::error::StoreError;
use super::invites::note;
use super::numbers::FileNo;
use super::replicas::{Kept, count};
use super::sql::{Connection, query};
use super::{IndexedFile, Store};

/// Digits of an album key.
const ALBUM_DIGITS: usize = 32;

/// A phrase is a few words; every file's words are compared with it.
const MAX_PHRASE_WORDS: usize = 16;

/// What a block hides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BlockTarget {
    File(FileId),
    /// Every file with this audio, whatever its tags.
    Audio(Digest),
    /// Every file of the album with this key.
    Album(String),
    /// Every file of which these words are said, one after the other.
    Phrase(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub target: BlockTarget,
    /// Told to those who hold what is blocked.
    pub reason: String,
}

impl BlockTarget {
    /// Reads what [`Self::kind`] and [`Self::value`] wrote; phrases may be written in any way they are searched for.
    pub fn parse(kind: &str, value: &str) -> Result<Self, InvalidBlockTarget> {
        match kind {
            "file" => value.parse().map(Self::File).map_err(|_| InvalidBlockTarget::File),
            "audio" => value.parse().map(Self::Audio).map_err(|_| InvalidBlockTarget::Audio),
            "album" if is_album_key(value) => Ok(Self::Album(value.to_owned())),
            "album" => Err(InvalidBlockTarget::Album),
            "phrase" => match tokens(value) {
                words if (1..=MAX_PHRASE_WORDS).contains(&words.len()) => Ok(Self::Phrase(words)),
                _ => Err(InvalidBlockTarget::Phrase),
            },
            _ => Err(InvalidBlockTarget::Kind),
        }
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Audio(_) => "audio",
            Self::Album(_) => "album",
            Self::Phrase(_) => "phrase",
        }
    }

    pub fn value(&self) -> String {
        match self {
            Self::File(file) => file.to_string(),
            Self::Audio(root) => root.to_string(),
            Self::Album(key) => key.clone(),
            Self::Phrase(words) => words.join(" "),
        }
    }
}

impl fmt::Display for BlockTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.value())
    }
}

fn is_album_key(text: &str) -> bool {
    text.len() == ALBUM_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The text names nothing that could be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlockTarget {
    #[error("a block is of a file, an audio, an album or a phrase")]
    Kind,
    #[error("this is no file id")]
    File,
    #[error("an audio is named by its root, 64 hexadecimal digits, or by a file that has it")]
    Audio,
    #[error("an album is named by its key, {ALBUM_DIGITS} hexadecimal digits, or by a file that is of it")]
    Album,
    #[error("a phrase has 1 to {MAX_PHRASE_WORDS} words")]
    Phrase,
}

impl Store {
    /// In place of an earlier block of the same target.
    pub async fn block(&self, block: Block, now_unix_s: u64) -> Result<(), StoreError> {
        self.accounts.writer.run(move |db| Box::pin(async move { insert(db, &block, now_unix_s).await })).await
    }

    /// Whether there was a block to lift.
    pub async fn unblock(&self, target: &BlockTarget, now_unix_s: u64) -> Result<bool, StoreError> {
        let target = target.clone();
        self.accounts.writer.run(move |db| Box::pin(async move { remove(db, &target, now_unix_s).await })).await
    }

    pub async fn blocks(&self) -> Result<Vec<Block>, StoreError> {
        let rows: Vec<(String, String, String)> = query("SELECT kind, value, reason FROM blocks ORDER BY kind, value")
            .fetch_all(&self.accounts.readers)
            .await?;
        let read = |(kind, value, reason): (String, String, String)| {
            let target = BlockTarget::parse(&kind, &value).map_err(|_| StoreError::Corrupt("a block of nothing"))?;
            Ok(Block { target, reason })
        };
        rows.into_iter().map(read).collect()
    }

    /// Gives files a new revision each, so that search looks at them again.
    pub async fn revise(&self, files: Vec<FileNo>) -> Result<(), StoreError> {
        self.catalogue.writer.run(move |db| Box::pin(async move { revise(db, &files).await })).await
    }

    /// The files with the next numbers after this one, whether anybody holds them or not.
    pub async fn files_after(&self, after: FileNo, limit: u32) -> Result<Vec<IndexedFile>, StoreError> {
        let rows = query(
            "SELECT f.no, f.root, f.length, f.revision, f.holders, coalesce(f.composed, c.json) AS claim
             FROM files f CROSS JOIN claims c WHERE c.no = f.claim AND f.no > $1 ORDER BY f.no LIMIT $2",
        )
        .bind(after.0)
        .bind(limit)
        .fetch_all(&self.catalogue.readers)
        .await?;
        rows.iter().map(super::files::indexed_file).collect()
    }
}

async fn insert(database: &mut Connection, block: &Block, now_unix_s: u64) -> Result<(), StoreError> {
    query(
        "INSERT INTO blocks (kind, value, reason, created_unix_s) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind, value) DO UPDATE SET reason = excluded.reason, created_unix_s = excluded.created_unix_s",
    )
    .bind(block.target.kind())
    .bind(block.target.value())
    .bind(&block.reason)
    .bind(time(now_unix_s))
    .execute(&mut *database)
    .await?;
    count(database, Kept::Blocks).await?;
    note(database, now_unix_s, &format!("blocked {}: {}", block.target, block.reason)).await
}

async fn remove(database: &mut Connection, target: &BlockTarget, now_unix_s: u64) -> Result<bool, StoreError> {
    let gone = query("DELETE FROM blocks WHERE kind = $1 AND value = $2")
        .bind(target.kind())
        .bind(target.value())
        .execute(&mut *database)
        .await?;
    if gone == 0 {
        return Ok(false);
    }
    count(database, Kept::Blocks).await?;
    note(database, now_unix_s, &format!("lifted the block of {target}")).await?;
    Ok(true)
}

async fn revise(database: &mut Connection, files: &[FileNo]) -> Result<(), StoreError> {
    let last: u64 = query("UPDATE catalogue SET revision = revision + $1 RETURNING revision")
        .bind(files.len() as i64)
        .fetch_one(&mut *database)
        .await?;
    // A file that nobody ever saw has no revision, and gets none.
    query(
        "UPDATE files SET revision = $1 + j.key + 1 FROM json_each($2) j
         WHERE files.no = CAST(j.value AS BIGINT) AND files.revision > 0",
    )
    .bind((last - files.len() as u64) as i64)
    .bind(json(&files))
    .execute(database)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{NOW, World, file, on_both_databases, song};

    #[test]
    fn a_target_survives_its_text() {
        let (root, id) = ("ab".repeat(32), format!("{}-3", "ab".repeat(32)));
        for (kind, value) in [("file", id.as_str()), ("audio", &root), ("album", &root[..32]), ("phrase", "so so good")]
        {
            let target = BlockTarget::parse(kind, value).unwrap();
            assert_eq!((target.kind(), target.value().as_str()), (kind, value));
        }
        assert_eq!(BlockTarget::parse("phrase", " SO, so — Gööd ").unwrap().value(), "so so good");
        let wrong = [("file", "x"), ("audio", &root[1..]), ("album", "A"), ("phrase", " "), ("song", "x")];
        for (kind, value) in wrong {
            assert!(BlockTarget::parse(kind, value).is_err(), "{kind} {value}");
        }
        assert!(BlockTarget::parse("phrase", &"la ".repeat(MAX_PHRASE_WORDS + 1)).is_err());
    }

    async fn blocks_outlive_a_restart_and_stand_in_the_audit_log(world: World) {
        let block = Block { target: BlockTarget::File(file(1)), reason: "asked to".into() };
        world.store.block(block.clone(), NOW).await.unwrap();
        let world = world.reopened(|_| {}).await;
        assert_eq!(world.store.blocks().await.unwrap(), std::slice::from_ref(&block));
        assert!(world.store.unblock(&block.target, NOW).await.unwrap());
        assert!(!world.store.unblock(&block.target, NOW).await.unwrap());
        assert!(world.store.blocks().await.unwrap().is_empty());
        let audit: Vec<_> = world.store.audit(9).await.unwrap().into_iter().map(|entry| entry.what).collect();
        assert_eq!(
            audit,
            [format!("lifted the block of file {}", file(1)), format!("blocked file {}: asked to", file(1))]
        );
    }

    async fn a_revised_file_is_told_to_search_again(world: World) {
        let mut anna = world.member(1).await;
        anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
        let seen = world.store.revision().await.unwrap();
        assert!(world.store.changed_files(seen, 9).await.unwrap().is_empty());
        world.store.revise(vec![FileNo(2)]).await.unwrap();
        let changed = world.store.changed_files(seen, 9).await.unwrap();
        assert_eq!(changed.iter().map(|file| file.no).collect::<Vec<_>>(), [FileNo(2)]);
        assert_eq!(changed[0].revision, world.store.revision().await.unwrap());
        let all = world.store.files_after(FileNo(0), 1).await.unwrap();
        assert_eq!(all[0].no, FileNo(1));
        assert_eq!(world.store.files_after(FileNo(1), 9).await.unwrap().len(), 1);
    }

    on_both_databases! {
        blocks_outlive_a_restart_and_stand_in_the_audit_log,
        a_revised_file_is_told_to_search_again,
    }
}
