//! How this peer is doing, and what would help.

use choir_shared::address::Scope;

use super::PeerService;
use crate::api::types::{Doctor, Finding, IndexState, Reachability, Shared, Status, Verdict, Within};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::download::status::State;
use crate::library::Watching;

impl PeerService {
    pub(super) async fn show_status(&self) -> Answer<Status> {
        let counts =
            self.library.counts().await.map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
        let progress = self.library.progress().borrow().clone();
        let downloads = self.downloads.list();
        let unfinished = downloads.iter().filter(|status| !status.state.is_final());
        let uploads = self.uploads.list();
        let (reachability, words) = self.reachability();
        Ok(Status {
            peer_id: self.reach.endpoint().secret().peer_id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            indexes: self.indexes.statuses(),
            shared: Shared {
                files: counts.files,
                bytes: counts.bytes,
                hashing: progress.files_to_hash.saturating_sub(progress.files_hashed),
                missing_folders: progress.missing_folders.into_iter().map(|folder| folder.path).collect(),
            },
            reachability,
            downloads: unfinished.clone().count() as u64,
            uploads: uploads.len() as u64,
            download_bytes_per_second: unfinished.map(|status| status.bytes_per_second).sum(),
            upload_bytes_per_second: uploads.iter().map(|upload| upload.bytes_per_second).sum(),
            downloaded_bytes: self.downloads.bytes_fetched(),
            uploaded_bytes: self.uploads.totals().bytes_sent,
            reachability_message: Some(words),
            downloads_folder: Some(self.settings.downloads()),
        })
    }

    /// As far as one observed address tells: what kind of router is between is found out by a later version.
    fn reachability(&self) -> (Reachability, String) {
        let observed = self.client.indexes().iter().find_map(|index| self.indexes.observed(&index.key()));
        let Some(observed) = observed else {
            return (Reachability::Unknown, "no index has seen this peer yet".to_owned());
        };
        match Scope::of(observed.ip()) {
            Scope::Loopback => (Reachability::ThisMachine, format!("seen at {observed}: reachable from this machine")),
            Scope::Private => (Reachability::Unknown, format!("seen at {observed}: reachable within this network")),
            Scope::Public | Scope::Nowhere => {
                (Reachability::Unknown, format!("seen at {observed}; reachable if the router lets UDP in there"))
            }
        }
    }

    pub(super) async fn examine(&self) -> Answer<Doctor> {
        self.indexes.settled().await;
        let mut findings = Vec::new();
        let local = self.reach.endpoint().local_address();
        findings.push(match local {
            Ok(address) => good("UDP port", format!("listening on {address}")),
            Err(error) => bad("UDP port", error.to_string(), "restart the daemon"),
        });
        for index in self.indexes.statuses() {
            let what = format!("index {}", index.name);
            findings.push(match index.state {
                IndexState::Online => good(&what, "online".to_owned()),
                IndexState::Connecting => warning(&what, "connecting".to_owned(), "wait a moment and ask again"),
                IndexState::Unreachable | IndexState::Refused => bad(
                    &what,
                    index.reason.unwrap_or_else(|| "no answer".to_owned()),
                    "check its address with its operator",
                ),
            });
            let Some(key) = index.key else { continue };
            findings.push(match self.indexes.observed(&key) {
                Some(address) => good(&format!("{what}, rendezvous"), format!("sees this peer at {address}")),
                None => warning(
                    &format!("{what}, rendezvous"),
                    "has not seen this peer over UDP; others cannot find it".to_owned(),
                    "let UDP through to the index's rendezvous port",
                ),
            });
        }
        if findings.len() == 1 {
            findings.push(bad("index", "none is joined".to_owned(), "`choir join LINK`"));
        }
        let progress = self.library.progress().borrow().clone();
        findings.push(match progress.missing_folders.as_slice() {
            [] => good("shared folders", "all are there".to_owned()),
            missing => {
                let names: Vec<String> = missing.iter().map(|folder| folder.path.display().to_string()).collect();
                warning(
                    "shared folders",
                    format!("not there: {}", names.join(", ")),
                    "mount the disk, or `choir share rm` them",
                )
            }
        });
        findings.push(match progress.watching {
            Watching::Notified => good("changes", "noticed at once".to_owned()),
            Watching::Polling { reason, .. } => {
                warning("changes", format!("looked for from time to time: {reason}"), "`choir share rescan` looks now")
            }
        });
        let folder = self.settings.downloads();
        findings.push(match std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder)) {
            Ok(_) => good("downloads folder", format!("{} can be written", folder.display())),
            Err(error) => {
                bad("downloads folder", format!("{}: {error}", folder.display()), "choose another with download_folder")
            }
        });
        let stuck =
            self.downloads.list().into_iter().filter(|status| matches!(status.state, State::Waiting | State::Failed));
        for status in stuck {
            let message = status.message.unwrap_or_else(|| "waits".to_owned());
            findings.push(warning(
                &format!("download {}", status.name),
                message,
                "`choir downloads retry` asks again now",
            ));
        }
        Ok(Doctor { findings })
    }

    /// The way to one peer: is it known, can it be introduced, does it answer?
    pub(super) async fn examine_peer(&self, peer: &str, within: &Within) -> Answer<Doctor> {
        let known = self.who_is(peer, within).await?;
        let name = known.name.as_deref().unwrap_or("a peer without a name");
        let mut findings = vec![good("index", format!("knows {name}, {}; {} files", known.peer, known.files))];
        findings.push(if known.online {
            good("presence", "online".to_owned())
        } else {
            bad("presence", "offline".to_owned(), "wait until it comes back; downloads start by themselves")
        });
        if known.banned {
            findings.push(bad("ban", "you banned it".to_owned(), "`choir unban` it"));
        }
        findings.push(match self.reach.existing(known.peer).await {
            Some(session) => {
                good("connection", format!("{}, {} ms", session.path_kind(), session.round_trip().as_millis()))
            }
            None => warning(
                "connection",
                "none now; made when something is fetched".to_owned(),
                "`choir get` something of it",
            ),
        });
        Ok(Doctor { findings })
    }
}

fn good(what: &str, message: String) -> Finding {
    Finding { what: what.to_owned(), verdict: Verdict::Good, message, help: None }
}

fn warning(what: &str, message: String, help: &str) -> Finding {
    Finding { what: what.to_owned(), verdict: Verdict::Warning, message, help: Some(help.to_owned()) }
}

fn bad(what: &str, message: String, help: &str) -> Finding {
    Finding { what: what.to_owned(), verdict: Verdict::Bad, message, help: Some(help.to_owned()) }
}
