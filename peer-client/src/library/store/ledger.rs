//! What is published: the holdings of each collection, numbered by change.
//!
//! - **Every change takes the next number** of its collection's generation, and the row that changed keeps it. Who
//!   knows all up to some number gets the rest in order; a row that changed twice is told once, as it is now.
//! - **What is withdrawn leaves a gravestone**, so that others can be told.
//! - **A folder is numbered before the first holding in it**, and taken back after the last.
//! - **One holding per file and collection.** Of several copies the oldest row speaks; if it vanishes, the next.
//! - **Generations begin with the clock**, in milliseconds. A ledger that was lost and begun anew so has greater
//!   numbers than the lost one, and nobody takes its changes for old ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use choir_shared::index_api::library::MAX_FOLDER_BYTES;
use choir_shared::index_api::{Addition, Folder};
use choir_shared::library::LibraryDigest;
use choir_shared::text::is_invisible;
use choir_shared::{Claim, Digest, FileId};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::rows::{broken, read_digest, read_file_id};

/// A collection at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CollectionState {
    pub collection: String,
    pub generation: u64,
    pub digest: LibraryDigest,
    /// How many holdings the digest sums.
    pub count: u64,
}

/// Changes of a collection, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangesPage {
    /// Folders come with or before the first holding in them.
    pub folders: Vec<Folder>,
    /// Each with its claim.
    pub add: Vec<Addition>,
    pub remove: Vec<FileId>,
    /// What is known after these changes; ask for the next page after it.
    pub through: u64,
    /// Digest and number of holdings of the whole collection, if nothing comes after these changes.
    pub complete: Option<(LibraryDigest, u64)>,
}

/// Why there are no changes to be told.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// They know more than we do, so they know something else. Begin with 0.
    #[error("generation {asked} lies in the future; the newest is {newest}")]
    Future { asked: u64, newest: u64 },
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
}

pub(super) async fn collections(pool: &SqlitePool) -> Result<Vec<CollectionState>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT name, generation, digest, count FROM collections ORDER BY name").fetch_all(pool).await?;
    rows.iter().map(read_collection).collect()
}

pub(super) async fn changes_since(
    reading: &mut SqliteConnection,
    collection: &str,
    after: u64,
    limit: usize,
) -> Result<ChangesPage, ChangesError> {
    let row = sqlx::query("SELECT name, generation, digest, count FROM collections WHERE name = ?");
    let state = row.bind(collection).fetch_optional(&mut *reading).await?.as_ref().map(read_collection).transpose()?;
    let newest = state.as_ref().map_or(0, |state| state.generation);
    if after > newest {
        return Err(ChangesError::Future { asked: after, newest });
    }
    // Who begins has nothing that could be taken back.
    let rows = sqlx::query(
        "SELECT generation, gone, number, path, NULL AS root, NULL AS length, NULL AS claim_hash, NULL AS claim \
         FROM published_folders WHERE collection = ?1 AND generation > ?2 AND (gone = 0 OR ?2 > 0) \
         UNION ALL \
         SELECT generation, gone, folder, NULL, root, length, holdings.claim_hash, \
                (SELECT claim FROM files WHERE files.id = holdings.file AND files.claim_hash = holdings.claim_hash) \
         FROM holdings WHERE collection = ?1 AND generation > ?2 AND (gone = 0 OR ?2 > 0) \
         ORDER BY generation LIMIT ?3",
    );
    let limit = limit.max(1);
    let rows = rows.bind(collection).bind(after.cast_signed()).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = rows.fetch_all(&mut *reading).await?;

    let mut page = ChangesPage { through: newest, ..ChangesPage::default() };
    let last = rows.last().map(|row| row.try_get::<i64, _>("generation")).transpose()?;
    if rows.len() < limit || last == Some(newest.cast_signed()) {
        let (digest, count) = state.map(|state| (state.digest, state.count)).unwrap_or_default();
        page.complete = Some((digest, count));
    }
    for row in &rows {
        let generation: i64 = row.try_get("generation")?;
        if page.complete.is_none() {
            page.through = generation.cast_unsigned();
        }
        read_change(row, &mut page)?;
    }
    Ok(page)
}

fn read_change(row: &SqliteRow, page: &mut ChangesPage) -> Result<(), sqlx::Error> {
    let gone: bool = row.try_get("gone")?;
    let number: u32 = row.try_get("number")?;
    if row.try_get::<Option<&[u8]>, _>("root")?.is_none() {
        let path: String = row.try_get("path")?;
        page.folders.push(Folder { number, path: (!gone).then_some(path) });
    } else if gone {
        page.remove.push(read_file_id(row)?);
    } else {
        let claim = Claim::parse(row.try_get::<&str, _>("claim")?.as_bytes()).map_err(broken("claim"))?;
        page.add.push(Addition {
            file: read_file_id(row)?,
            folder: number,
            claim_hash: read_digest(row, "claim_hash")?,
            claim: Some(claim),
        });
    }
    Ok(())
}

/// Begins a collection, if there is none of that name.
pub(super) async fn ensure_collection(writing: &mut SqliteConnection, name: &str) -> Result<(), sqlx::Error> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let insert = sqlx::query("INSERT OR IGNORE INTO collections (name, generation, digest, count) VALUES (?, ?, ?, 0)");
    let insert = insert.bind(name).bind(i64::try_from(now_ms).unwrap_or(1));
    insert.bind(&LibraryDigest::EMPTY.as_digest().as_bytes()[..]).execute(writing).await.map(drop)
}

/// Brings at most `limit` touched files up to date, and tells how many there were.
pub(super) async fn publish(writing: &mut SqliteConnection, limit: i64) -> Result<i64, sqlx::Error> {
    let touched = sqlx::query(
        "SELECT content, root, length FROM touched LEFT JOIN contents ON contents.id = touched.content \
         ORDER BY content LIMIT ?",
    );
    let touched = touched.bind(limit).fetch_all(&mut *writing).await?;
    let mut publication =
        Publication { writing, collections: HashMap::new(), folders: HashMap::new(), left: BTreeSet::new() };
    let mut last: i64 = 0;
    for row in &touched {
        last = row.try_get("content")?;
        if row.try_get::<Option<&[u8]>, _>("root")?.is_some() {
            publication.update(last, &read_file_id(row)?).await?;
        }
    }
    publication.finish().await?;
    sqlx::query("DELETE FROM touched WHERE content <= ?").bind(last).execute(writing).await?;
    Ok(touched.len() as i64)
}

/// One round of changes. What it reads often it keeps.
struct Publication<'a> {
    writing: &'a mut SqliteConnection,
    collections: HashMap<String, CollectionState>,
    folders: HashMap<(String, String), u32>,
    /// Folders that something was taken out of, by collection.
    left: BTreeSet<(String, u32)>,
}

/// A copy that may be published.
struct Copy {
    file: i64,
    claim_hash: Digest,
    folder: String,
}

/// A holding as the ledger has it.
struct Holding {
    claim_hash: Digest,
    folder: u32,
    file: i64,
    gone: bool,
}

impl Publication<'_> {
    async fn update(&mut self, content: i64, id: &FileId) -> Result<(), sqlx::Error> {
        let mut copies = self.copies(content).await?;
        let held = self.held(id).await?;
        if copies.is_empty() {
            let unused = "DELETE FROM contents WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM files WHERE content = ?1)";
            sqlx::query(unused).bind(content).execute(&mut *self.writing).await?;
        }
        let names: BTreeSet<String> = copies.keys().chain(held.keys()).cloned().collect();
        for name in names {
            match (copies.remove(&name), held.get(&name)) {
                (Some(copy), held) => self.hold(&name, id, copy, held).await?,
                (None, Some(held)) if !held.gone => self.withdraw(&name, id, held).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The copy of a file that speaks for it, by collection.
    async fn copies(&mut self, content: i64) -> Result<BTreeMap<String, Copy>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT files.id, claim_hash, collection, alias, directories.path \
             FROM files JOIN directories ON directories.id = files.directory JOIN shares ON shares.id = directories.share \
             WHERE content = ? AND gone_since IS NULL AND absent_since IS NULL ORDER BY files.id DESC",
        );
        let rows = rows.bind(content).fetch_all(&mut *self.writing).await?;
        let mut copies = BTreeMap::new();
        for row in &rows {
            let path = OsString::from_vec(row.try_get("path")?);
            let copy = Copy {
                file: row.try_get("id")?,
                claim_hash: read_digest(row, "claim_hash")?,
                folder: published_path(row.try_get("alias")?, Path::new(&path)),
            };
            copies.insert(row.try_get("collection")?, copy);
        }
        Ok(copies)
    }

    async fn held(&mut self, id: &FileId) -> Result<HashMap<String, Holding>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT collection, claim_hash, folder, file, gone FROM holdings WHERE root = ? AND length = ?",
        );
        let rows = rows.bind(&id.root().as_bytes()[..]).bind(id.length().bytes().cast_signed());
        let mut held = HashMap::new();
        for row in &rows.fetch_all(&mut *self.writing).await? {
            let holding = Holding {
                claim_hash: read_digest(row, "claim_hash")?,
                folder: row.try_get("folder")?,
                file: row.try_get("file")?,
                gone: row.try_get("gone")?,
            };
            held.insert(row.try_get("collection")?, holding);
        }
        Ok(held)
    }

    async fn hold(
        &mut self,
        collection: &str,
        id: &FileId,
        copy: Copy,
        held: Option<&Holding>,
    ) -> Result<(), sqlx::Error> {
        let folder = self.folder(collection, &copy.folder).await?;
        let held = held.filter(|held| !held.gone);
        if let Some(held) = held
            && (held.claim_hash, held.folder) == (copy.claim_hash, folder)
        {
            if held.file != copy.file {
                let same = sqlx::query("UPDATE holdings SET file = ? WHERE collection = ? AND root = ? AND length = ?");
                let same = same.bind(copy.file).bind(collection).bind(&id.root().as_bytes()[..]);
                same.bind(id.length().bytes().cast_signed()).execute(&mut *self.writing).await?;
            }
            return Ok(());
        }
        if let Some(held) = held
            && held.folder != folder
        {
            self.left.insert((collection.to_owned(), held.folder));
        }
        let state = self.collection(collection).await?;
        match held {
            Some(held) => state.digest.remove(id, &held.claim_hash),
            None => state.count += 1,
        }
        state.digest.insert(id, &copy.claim_hash);
        state.generation += 1;
        let generation = state.generation.cast_signed();
        let write = sqlx::query(
            "INSERT INTO holdings (collection, root, length, folder, claim_hash, file, generation) VALUES (?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (collection, root, length) DO UPDATE SET folder = excluded.folder, \
             claim_hash = excluded.claim_hash, file = excluded.file, generation = excluded.generation, gone = 0",
        );
        write
            .bind(collection)
            .bind(&id.root().as_bytes()[..])
            .bind(id.length().bytes().cast_signed())
            .bind(folder)
            .bind(&copy.claim_hash.as_bytes()[..])
            .bind(copy.file)
            .bind(generation)
            .execute(&mut *self.writing)
            .await
            .map(drop)
    }

    async fn withdraw(&mut self, collection: &str, id: &FileId, held: &Holding) -> Result<(), sqlx::Error> {
        self.left.insert((collection.to_owned(), held.folder));
        let state = self.collection(collection).await?;
        state.digest.remove(id, &held.claim_hash);
        state.count = state.count.saturating_sub(1);
        state.generation += 1;
        let generation = state.generation.cast_signed();
        let mark = sqlx::query(
            "UPDATE holdings SET gone = 1, generation = ? WHERE collection = ? AND root = ? AND length = ?",
        );
        let mark = mark.bind(generation).bind(collection).bind(&id.root().as_bytes()[..]);
        mark.bind(id.length().bytes().cast_signed()).execute(&mut *self.writing).await.map(drop)
    }

    /// The number of a folder, which it has from now on if it had none.
    async fn folder(&mut self, collection: &str, path: &str) -> Result<u32, sqlx::Error> {
        let key = (collection.to_owned(), path.to_owned());
        if let Some(&number) = self.folders.get(&key) {
            return Ok(number);
        }
        let row = sqlx::query("SELECT number, gone FROM published_folders WHERE collection = ? AND path = ?");
        let row = row.bind(collection).bind(path).fetch_optional(&mut *self.writing).await?;
        let number = match row {
            Some(row) if !row.try_get::<bool, _>("gone")? => row.try_get("number")?,
            _ => {
                let state = self.collection(collection).await?;
                state.generation += 1;
                let generation = state.generation.cast_signed();
                let write = sqlx::query_scalar(
                    "INSERT INTO published_folders (collection, path, generation) VALUES (?, ?, ?) \
                     ON CONFLICT (collection, path) DO UPDATE SET generation = excluded.generation, gone = 0 RETURNING number",
                );
                write.bind(collection).bind(path).bind(generation).fetch_one(&mut *self.writing).await?
            }
        };
        self.folders.insert(key, number);
        Ok(number)
    }

    async fn collection(&mut self, name: &str) -> Result<&mut CollectionState, sqlx::Error> {
        if !self.collections.contains_key(name) {
            ensure_collection(&mut *self.writing, name).await?;
            let row = sqlx::query("SELECT name, generation, digest, count FROM collections WHERE name = ?").bind(name);
            let state = read_collection(&row.fetch_one(&mut *self.writing).await?)?;
            self.collections.insert(name.to_owned(), state);
        }
        self.collections.get_mut(name).ok_or(sqlx::Error::RowNotFound)
    }

    /// Takes folders back that have become empty, and writes the collections.
    async fn finish(mut self) -> Result<(), sqlx::Error> {
        for (collection, folder) in std::mem::take(&mut self.left) {
            let used = sqlx::query("SELECT 1 FROM holdings WHERE folder = ? AND gone = 0 LIMIT 1").bind(folder);
            if used.fetch_optional(&mut *self.writing).await?.is_some() {
                continue;
            }
            let state = self.collection(&collection).await?;
            state.generation += 1;
            let generation = state.generation.cast_signed();
            let mark = sqlx::query("UPDATE published_folders SET gone = 1, generation = ? WHERE number = ?");
            mark.bind(generation).bind(folder).execute(&mut *self.writing).await?;
        }
        for state in self.collections.values() {
            let write = sqlx::query("UPDATE collections SET generation = ?, digest = ?, count = ? WHERE name = ?");
            let write = write.bind(state.generation.cast_signed()).bind(&state.digest.as_digest().as_bytes()[..]);
            write.bind(state.count.cast_signed()).bind(&state.collection).execute(&mut *self.writing).await?;
        }
        Ok(())
    }
}

/// `Alias/Artist/Album`: what others see of a folder's path.
pub(super) fn published_path(alias: &str, relative: &Path) -> String {
    let parts = std::iter::once(alias.into()).chain(relative.iter().map(|part| part.to_string_lossy()));
    let path: String = parts.collect::<Vec<_>>().join("/");
    let harmless: String = path.chars().map(|c| if c.is_control() || is_invisible(c) { '_' } else { c }).collect();
    harmless.get(..harmless.floor_char_boundary(MAX_FOLDER_BYTES)).unwrap_or_default().to_owned()
}

fn read_collection(row: &SqliteRow) -> Result<CollectionState, sqlx::Error> {
    Ok(CollectionState {
        collection: row.try_get("name")?,
        generation: row.try_get::<i64, _>("generation")?.cast_unsigned(),
        digest: read_digest(row, "digest")?.into(),
        count: row.try_get::<i64, _>("count")?.cast_unsigned(),
    })
}
