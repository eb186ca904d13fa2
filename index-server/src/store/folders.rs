//! The folders that one change set touches.

use std::collections::{BTreeSet, HashMap};

use choir_shared::index_api::Folder;

use super::columns::json;
use super::error::StoreError;
use super::numbers::CollectionNo;
use super::sql::{Connection, query};

/// Folders by their number, read once, changed in memory, written back once.
pub(super) struct Folders {
    collection: CollectionNo,
    rows: HashMap<u32, Row>,
}

#[derive(Default)]
struct Row {
    /// `None` if there is no such folder, or none any more.
    path: Option<String>,
    /// Directly inside.
    files: u64,
    existed: bool,
    changed: bool,
}

impl Folders {
    pub(super) async fn load(
        database: &mut Connection,
        collection: CollectionNo,
        numbers: &BTreeSet<u32>,
    ) -> Result<Self, StoreError> {
        let found: Vec<(u32, String, u64)> = query(
            "SELECT f.number, f.path, f.files FROM json_each($2) j CROSS JOIN folders f
             WHERE f.collection = $1 AND f.number = CAST(j.value AS BIGINT)",
        )
        .bind(collection.0)
        .bind(json(numbers))
        .fetch_all(database)
        .await?;
        let row = |(number, path, files)| (number, Row { path: Some(path), files, existed: true, changed: false });
        Ok(Self { collection, rows: found.into_iter().map(row).collect() })
    }

    pub(super) fn set(&mut self, folder: &Folder) {
        let row = self.rows.entry(folder.number).or_default();
        row.changed |= row.path != folder.path;
        row.path.clone_from(&folder.path);
    }

    /// A file came into the folder; `false` if there is no such folder.
    pub(super) fn enter(&mut self, number: u32) -> bool {
        let row = self.rows.entry(number).or_default();
        row.files += 1;
        row.changed = true;
        row.path.is_some()
    }

    pub(super) fn leave(&mut self, number: u32) {
        let row = self.rows.entry(number).or_default();
        row.files = row.files.saturating_sub(1);
        row.changed = true;
    }

    /// A folder that is to go although files are left in it.
    pub(super) fn removed_with_files(&self) -> Option<u32> {
        self.rows.iter().find(|(_, row)| row.path.is_none() && row.files > 0).map(|(&number, _)| number)
    }

    /// How many there are if there were `before`.
    pub(super) fn count(&self, before: u64) -> u64 {
        let come = self.rows.values().filter(|row| !row.existed && row.path.is_some()).count() as u64;
        let gone = self.rows.values().filter(|row| row.existed && row.path.is_none()).count() as u64;
        (before + come).saturating_sub(gone)
    }

    pub(super) async fn save(&self, database: &mut Connection) -> Result<(), StoreError> {
        let changed = || self.rows.iter().filter(|(_, row)| row.changed);
        let kept: Vec<(u32, &str, u64)> =
            changed().filter_map(|(&number, row)| row.path.as_deref().map(|path| (number, path, row.files))).collect();
        if !kept.is_empty() {
            query(
                "INSERT INTO folders (collection, number, path, files)
                 SELECT $1, CAST(value ->> 0 AS BIGINT), value ->> 1, CAST(value ->> 2 AS BIGINT)
                 FROM json_each($2) WHERE true
                 ON CONFLICT (collection, number) DO UPDATE SET path = excluded.path, files = excluded.files",
            )
            .bind(self.collection.0)
            .bind(json(&kept))
            .execute(&mut *database)
            .await?;
        }
        let gone: Vec<u32> =
            changed().filter(|(_, row)| row.existed && row.path.is_none()).map(|(&number, _)| number).collect();
        if !gone.is_empty() {
            query("DELETE FROM folders WHERE collection = $1 AND number IN (SELECT CAST(value AS BIGINT) FROM json_each($2))")
                .bind(self.collection.0)
                .bind(json(&gone))
                .execute(database)
                .await?;
        }
        Ok(())
    }
}
