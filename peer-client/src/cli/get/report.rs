//! What came, from whom, and what did not.

use std::path::PathBuf;

use choir_shared::text::escape_controls;
use choir_shared::{FileId, PeerId};
use serde::Serialize;

use crate::api::types::LeftOut;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};
use crate::cli::output::{Output, Paint};
use crate::cli::{share, units};
use crate::download::alternate::Alternate;
use crate::download::status::{DownloadId, DownloadStatus, SourceStatus, State, Why};

/// More numbers than people type.
const MAX_IDS_TO_TYPE: usize = 8;

pub(super) struct Report {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) left_out: Vec<LeftOut>,
    /// What the files were asked for as, if that has a name.
    pub(super) group: Option<String>,
    pub(super) seconds: f64,
}

/// How one file ended. Serialised as one of the two, without a tag: only the second has an `error`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Here(Here),
    Missing(Missing),
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Here {
    file_id: FileId,
    path: Option<PathBuf>,
    bytes: u64,
    seconds: f64,
    from: Vec<Giver>,
    /// Whether nothing had to be fetched.
    already_here: bool,
}

/// Who sent how much of it.
#[derive(Debug, PartialEq, Serialize)]
struct Giver {
    peer: PeerId,
    name: Option<String>,
    bytes: u64,
    path_kind: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Missing {
    id: DownloadId,
    file_id: FileId,
    name: String,
    state: State,
    /// What could be had in place of it.
    alternates: Vec<Alternate>,
    error: ServiceError,
}

impl Outcome {
    pub(super) fn of(download: DownloadStatus, goes_on: bool) -> Self {
        if download.state != State::Done {
            let error = why_missing(&download, goes_on);
            return Self::Missing(Missing {
                id: download.id,
                file_id: download.file_id,
                name: download.name,
                state: download.state,
                alternates: download.alternates,
                error,
            });
        }
        let from = download.sources.into_iter().filter(|source| source.bytes > 0).map(Giver::of).collect();
        Self::Here(Here {
            file_id: download.file_id,
            path: download.path,
            bytes: download.size,
            seconds: download.seconds.unwrap_or(0.0),
            from,
            already_here: download.reason == Some(Why::AlreadyHere),
        })
    }

    const fn missing_id(&self) -> Option<DownloadId> {
        match self {
            Self::Here(_) => None,
            Self::Missing(missing) => Some(missing.id),
        }
    }

    const fn error(&self) -> Option<&ServiceError> {
        match self {
            Self::Here(_) => None,
            Self::Missing(missing) => Some(&missing.error),
        }
    }
}

impl Giver {
    fn of(source: SourceStatus) -> Self {
        Self { peer: source.peer, name: source.name, bytes: source.bytes, path_kind: source.path_kind }
    }
}

/// Why a download ended without a file, or why nobody waits for it any longer.
fn why_missing(download: &DownloadStatus, goes_on: bool) -> ServiceError {
    let code = match download.reason {
        Some(Why::NoSources | Why::PeersUnreachable | Why::QueuedAtSources | Why::FileChanged) => {
            ErrorKind::PeersUnreachable
        }
        Some(Why::IndexUnreachable) => ErrorKind::IndexUnreachable,
        Some(Why::DiskFull) => ErrorKind::DiskFull,
        Some(Why::Refused) => ErrorKind::Refused,
        Some(Why::Integrity) => ErrorKind::Integrity,
        Some(Why::ByUser | Why::Replaced) => ErrorKind::Conflict,
        Some(Why::DiskFailed | Why::AlreadyHere) | None => ErrorKind::Internal,
    };
    let message = download.message.clone().unwrap_or_else(|| in_words(download.reason, download.state).to_owned());
    let error = ServiceError::new(code, message);
    let offered = download.alternates.len() as u64;
    match (download.state, goes_on) {
        (State::Waiting, _) if offered > 0 => error.hint(format!(
            "it is waited for; `choir downloads show {}` offers {} instead",
            download.id.0,
            units::count(offered, "other file"),
        )),
        (State::Waiting, true) => error.hint("it stays in the list and starts by itself: `choir downloads`"),
        (State::Waiting, false) => error.hint("it is kept for later; `choir daemon` waits for it"),
        (State::Paused, _) => error.hint(format!("`choir downloads resume {}` goes on", download.id.0)),
        (State::Failed, _) => error.hint(format!("`choir downloads retry {}` tries again", download.id.0)),
        _ => error,
    }
}

const fn in_words(why: Option<Why>, state: State) -> &'static str {
    match (why, state) {
        (Some(Why::NoSources), _) => "nobody online has it",
        (Some(Why::IndexUnreachable), _) => "no index answers",
        (Some(Why::PeersUnreachable), _) => "those who have it cannot be reached",
        (Some(Why::QueuedAtSources), _) => "those who have it are busy",
        (Some(Why::DiskFull), _) => "the disk is full",
        (Some(Why::DiskFailed), _) => "the disk failed",
        (Some(Why::FileChanged), _) => "the file has changed where it was shared",
        (Some(Why::Refused), _) => "those who have it refuse",
        (Some(Why::Integrity), _) => "what came was not this file",
        (Some(Why::Replaced), _) => "another file was taken for it",
        (_, State::Paused) => "it was paused",
        (_, State::Cancelled) => "it was cancelled",
        _ => "the download failed",
    }
}

impl Report {
    /// One file was asked for: it is told, or why it did not come.
    pub(super) fn show_one(self, out: &Output) -> Answer<Exit> {
        match self.outcomes.into_iter().next() {
            Some(Outcome::Here(here)) => {
                out.result(&here, |out| here.show(out));
                Ok(Exit::Done)
            }
            Some(Outcome::Missing(missing)) => Err(missing.error),
            None => Err(ServiceError::new(ErrorKind::Internal, "the daemon did not say what became of it")),
        }
    }

    pub(super) fn show_all(self, out: &Output) -> Exit {
        #[derive(Serialize)]
        struct Shape<'a> {
            files: &'a [Outcome],
            left_out: &'a [LeftOut],
            group: Option<&'a str>,
            total: usize,
            done: usize,
            seconds: f64,
        }
        let (total, missing) = (self.outcomes.len(), self.outcomes.iter().filter_map(Outcome::error).count());
        let shape = Shape {
            files: &self.outcomes,
            left_out: &self.left_out,
            group: self.group.as_deref(),
            total,
            done: total - missing,
            seconds: self.seconds,
        };
        out.result(&shape, |out| self.outcomes.iter().for_each(|outcome| outcome.show(out)));
        if !self.left_out.is_empty() {
            out.message(format!("left out: {}", share::reasons(&self.left_out)));
        }
        if missing > 0 {
            out.message(format!(
                "{} of {} here, {missing} missing{}",
                shape.done,
                units::count(total as u64, "file"),
                self.how_to_retry()
            ));
        }
        self.exit()
    }

    /// By numbers: the name of a group is a stranger's, and not fit to be pasted into a shell.
    fn how_to_retry(&self) -> String {
        let ids: Vec<_> = self.outcomes.iter().filter_map(Outcome::missing_id).map(|id| id.0.to_string()).collect();
        if ids.len() > MAX_IDS_TO_TYPE {
            return "; `choir downloads` lists them".to_owned();
        }
        format!("; `choir downloads retry {}` asks for them again", ids.join(" "))
    }

    /// Some of several is a result of its own; if none came, it is as with one.
    fn exit(&self) -> Exit {
        let errors: Vec<_> = self.outcomes.iter().filter_map(Outcome::error).map(ServiceError::exit).collect();
        match errors.as_slice() {
            [] => Exit::Done,
            [first, rest @ ..] if errors.len() == self.outcomes.len() => {
                if rest.iter().all(|exit| exit == first) {
                    *first
                } else {
                    Exit::Failed
                }
            }
            _ => Exit::Incomplete,
        }
    }
}

impl Outcome {
    fn show(&self, out: &Output) {
        match self {
            Self::Here(here) => here.show(out),
            Self::Missing(missing) => {
                let line = format!("{}: {}", missing.name, missing.error.message);
                out.line(out.painted(Paint::Bad, &escape_controls(&line)));
            }
        }
    }
}

impl Here {
    /// `/music/x.flac  31.2 MiB in 0.8 s from bob (direct), mzxw6ytb`
    fn show(&self, out: &Output) {
        let path = self.path.as_deref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let how = if self.already_here {
            "already here".to_owned()
        } else {
            format!("{} in {:.1} s{}", units::size(self.bytes), self.seconds, self.senders())
        };
        out.line(format!("{}  {}", escape_controls(&path), out.painted(Paint::Faint, &escape_controls(&how))));
    }

    fn senders(&self) -> String {
        let one = |from: &Giver| {
            let who = from.name.clone().unwrap_or_else(|| from.peer.short());
            from.path_kind.as_ref().map_or_else(|| who.clone(), |kind| format!("{who} ({kind})"))
        };
        let all: Vec<_> = self.from.iter().map(one).collect();
        if all.is_empty() { String::new() } else { format!(" from {}", all.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{row, status};

    fn exit_of(endings: &[(State, Option<Why>)]) -> Exit {
        let outcome = |(state, reason): &(State, Option<Why>)| {
            Outcome::of(DownloadStatus { reason: *reason, ..status(1, row(1, "a").file_id, "a", *state) }, true)
        };
        Report { outcomes: endings.iter().map(outcome).collect(), left_out: Vec::new(), group: None, seconds: 0.0 }
            .exit()
    }

    #[test]
    fn the_exit_code_tells_what_became_of_all() {
        let done = (State::Done, None);
        let table: [(&[(State, Option<Why>)], Exit); 12] = [
            (&[done, done], Exit::Done),
            (&[(State::Done, Some(Why::AlreadyHere))], Exit::Done),
            (&[done, (State::Failed, Some(Why::Refused))], Exit::Incomplete),
            (&[(State::Waiting, Some(Why::NoSources))], Exit::Unreachable),
            (
                &[(State::Waiting, Some(Why::IndexUnreachable)), (State::Waiting, Some(Why::NoSources))],
                Exit::Unreachable,
            ),
            (&[(State::Waiting, Some(Why::FileChanged))], Exit::Unreachable),
            (&[(State::Failed, Some(Why::Refused))], Exit::Refused),
            (&[(State::Failed, Some(Why::Integrity))], Exit::Integrity),
            (&[(State::Failed, Some(Why::Refused)), (State::Failed, Some(Why::Integrity))], Exit::Failed),
            (&[(State::Waiting, Some(Why::DiskFull))], Exit::Failed),
            (&[(State::Cancelled, Some(Why::ByUser))], Exit::Failed),
            (&[(State::Failed, None)], Exit::Failed),
        ];
        for (endings, expected) in table {
            assert_eq!(exit_of(endings), expected, "{endings:?}");
        }
    }
}
