//! Browsing what a member shares, folder by folder.

use std::collections::BTreeMap;

use choir_shared::index_api::{LibraryFolder, LibraryPage};

use super::error::StoreError;
use super::numbers::{FileNo, MemberNo};
use super::sql::query;
use super::{Member, Store};

/// Most folders that are listed inside one; real collections have some thousands of artists.
const MAX_FOLDERS: usize = 10_000;

/// Most files of one page, whatever is asked for.
const MAX_FILES: u32 = 1000;

impl Store {
    /// One folder of a member's library, over all its collections; `""` is the root. Folders are listed on the
    /// first page only. A cursor that this did not make begins anew.
    pub async fn library_page(
        &self,
        member: &Member,
        folder: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<LibraryPage, StoreError> {
        let after = cursor.and_then(|cursor| cursor.parse().ok()).map(FileNo);
        let folders = match after {
            None => self.folders_inside(member.no, folder).await?,
            Some(_) => Vec::new(),
        };
        let limit = limit.clamp(1, MAX_FILES);
        // One more than asked for tells whether there is a next page.
        let mut numbers = self.files_directly_inside(member.no, folder, after, limit + 1).await?;
        let more = numbers.len() > limit as usize;
        numbers.truncate(limit as usize);
        let next = numbers.last().filter(|_| more).map(|last| last.0.to_string());
        let files = self.files_by_no(&numbers).await?.into_iter().map(|file| file.row).collect();
        let (peer, name) = (Some(member.peer), member.name.clone());
        Ok(LibraryPage { peer, name, folder: folder.to_owned(), folders, files, next })
    }

    async fn folders_inside(&self, member: MemberNo, folder: &str) -> Result<Vec<LibraryFolder>, StoreError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let deeper: Vec<(String, u64)> = query(
            "SELECT f.path, f.files FROM collections c CROSS JOIN folders f
             WHERE c.member = $1 AND NOT c.staged AND f.collection = c.no AND f.path >= $2 AND f.path < $3",
        )
        .bind(member.0)
        .bind(&prefix)
        .bind(end_of_range(&prefix))
        .fetch_all(&self.catalogue.readers)
        .await?;
        let mut children: BTreeMap<String, u64> = BTreeMap::new();
        for (path, files) in deeper {
            let Some(rest) = path.strip_prefix(&prefix) else { continue };
            let name = rest.split('/').next().unwrap_or(rest);
            *children.entry(format!("{prefix}{name}")).or_default() += files;
        }
        // A folder without files is of no use to anybody.
        let listed = children.into_iter().filter(|&(_, files)| files > 0).take(MAX_FOLDERS);
        Ok(listed.map(|(path, files)| LibraryFolder { path, files }).collect())
    }

    async fn files_directly_inside(
        &self,
        member: MemberNo,
        folder: &str,
        after: Option<FileNo>,
        limit: u32,
    ) -> Result<Vec<FileNo>, StoreError> {
        let numbers: Vec<u32> = query(
            "SELECT DISTINCT h.file FROM collections c CROSS JOIN folders f CROSS JOIN holdings h
             WHERE c.member = $1 AND NOT c.staged AND f.collection = c.no AND f.path = $2
             AND h.collection = c.no AND h.folder = f.number AND h.file > $3 ORDER BY h.file LIMIT $4",
        )
        .bind(member.0)
        .bind(folder)
        .bind(after.map_or(0, |after| after.0))
        .bind(limit)
        .fetch_all(&self.catalogue.readers)
        .await?;
        Ok(numbers.into_iter().map(FileNo).collect())
    }
}

/// The least text that is greater than all that begin with `prefix`, which ends with a slash or is empty.
fn end_of_range(prefix: &str) -> String {
    match prefix.strip_suffix('/') {
        // The character after the slash.
        Some(folder) => format!("{folder}0"),
        None => char::MAX.to_string(),
    }
}
