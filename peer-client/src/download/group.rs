//! Downloads that were asked for together, such as an album: how many are here, and which are missing and why. Pure.
//!
//! - **A file counts once**, however often it was asked for: it is here if any of its lines is done, and else stands
//!   as in its latest line.
//! - **A file that another was taken for does not count**; the other does.

use std::collections::BTreeMap;

use choir_shared::FileId;
use serde::{Deserialize, Serialize};

use super::status::{DownloadId, DownloadStatus, State, Why};

/// How a group stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    pub group: String,
    /// Files asked for.
    pub total: usize,
    /// Those that are here.
    pub done: usize,
    /// Those that are not, in the order in which they were asked for.
    pub missing: Vec<MissingFile>,
}

/// A file of a group that is not here, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingFile {
    pub id: DownloadId,
    pub file_id: FileId,
    pub name: String,
    pub state: State,
    pub reason: Option<Why>,
    pub message: Option<String>,
}

/// The groups among `downloads`, by name.
pub fn groups(downloads: &[DownloadStatus]) -> Vec<GroupStatus> {
    let mut files: BTreeMap<&str, BTreeMap<FileId, &DownloadStatus>> = BTreeMap::new();
    for download in downloads.iter().filter(|download| download.reason != Some(Why::Replaced)) {
        let Some(group) = download.group.as_deref() else { continue };
        let line = files.entry(group).or_default().entry(download.file_id).or_insert(download);
        if line.state != State::Done && (download.state == State::Done || download.id > line.id) {
            *line = download;
        }
    }
    files.into_iter().map(|(group, files)| status(group, files.into_values().collect())).collect()
}

fn status(group: &str, mut files: Vec<&DownloadStatus>) -> GroupStatus {
    files.sort_by_key(|download| download.id);
    let missing: Vec<MissingFile> = files
        .iter()
        .filter(|download| download.state != State::Done)
        .map(|download| MissingFile {
            id: download.id,
            file_id: download.file_id,
            name: download.name.clone(),
            state: download.state,
            reason: download.reason,
            message: download.message.clone(),
        })
        .collect();
    GroupStatus { group: group.to_owned(), total: files.len(), done: files.len() - missing.len(), missing }
}

#[cfg(test)]
mod tests {
    use choir_shared::Digest;
    use choir_shared::leaf::FileLength;

    use super::*;
    use crate::download::about::About;
    use crate::download::priority::Priority;
    use crate::download::status::DownloadRequest;

    fn line(id: i64, file: u8, state: State) -> DownloadStatus {
        let request = DownloadRequest {
            file: FileId::new(Digest::of(&[file]), FileLength::new(1).unwrap()),
            name: format!("{file}.flac"),
            folder: "/music".into(),
            group: Some("Post".into()),
            sources: vec![],
            priority: Priority::Normal,
            about: About::default(),
        };
        DownloadStatus { id: DownloadId(id), state, ..DownloadStatus::of(&request) }
    }

    #[test]
    fn a_group_says_what_is_here_and_what_is_missing() {
        let of = |id, file, state, reason| DownloadStatus { reason, ..line(id, file, state) };
        let alone = DownloadStatus { group: None, ..of(1, 1, State::Done, None) };
        let downloads = [
            alone,
            of(2, 2, State::Done, None),
            // Asked for again, when its file lay elsewhere.
            of(9, 2, State::Failed, Some(Why::Refused)),
            of(3, 3, State::Failed, Some(Why::Integrity)),
            of(8, 3, State::Waiting, Some(Why::NoSources)),
            of(4, 4, State::Cancelled, Some(Why::Replaced)),
            of(5, 5, State::Downloading, None),
            of(6, 6, State::Cancelled, Some(Why::ByUser)),
        ];
        let groups = groups(&downloads);
        let [post] = groups.as_slice() else { panic!("{groups:?}") };
        assert_eq!((post.group.as_str(), post.total, post.done), ("Post", 4, 1));
        let missing: Vec<_> = post.missing.iter().map(|file| (file.id.0, file.state, file.reason)).collect();
        assert_eq!(
            missing,
            [
                (5, State::Downloading, None),
                (6, State::Cancelled, Some(Why::ByUser)),
                (8, State::Waiting, Some(Why::NoSources)),
            ]
        );
    }
}
