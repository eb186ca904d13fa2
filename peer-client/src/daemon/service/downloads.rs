//! Downloads at the door.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use choir_shared::SafeName;
use futures_util::stream::{BoxStream, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::PeerService;
use super::sharing::internal;
use crate::api::types::{DownloadAction, DownloadEvent, DownloadLimit, NewDownload, Within};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::config::{Place, Rate, Template};
use crate::daemon::errors::list_error;
use crate::download::about::About;
use crate::download::list::Downloads;
use crate::download::priority::Priority;
use crate::download::status::{DownloadId, DownloadRequest, DownloadStatus, State, Why};

/// How often the list is compared with what was told last, if nothing begins or ends.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Of an album many begin and end at once, and each comparison looks at all.
const TELL_APART: Duration = Duration::from_millis(50);

/// Folders inside each other that a request may ask for.
const MAX_SUBFOLDERS: usize = 8;

impl PeerService {
    pub(super) async fn start_downloads(
        &self,
        asked: Vec<NewDownload>,
        within: &Within,
    ) -> Answer<Vec<DownloadStatus>> {
        let mut statuses = Vec::with_capacity(asked.len());
        for download in asked {
            statuses.push(self.start_download(download, within).await?);
        }
        Ok(statuses)
    }

    async fn start_download(&self, asked: NewDownload, within: &Within) -> Answer<DownloadStatus> {
        let file = asked.file_id;
        let template = self.template(&asked)?;
        let name = asked.name.clone().unwrap_or_else(|| file.short());
        if let Some(path) = self.here(&file).await {
            return Ok(already_here(&asked, name, path));
        }
        let about = self.about(&asked, template.is_some(), within).await;
        let base = asked.folder.unwrap_or_else(|| self.settings.downloads());
        if !base.is_absolute() {
            return Err(ServiceError::new(ErrorKind::Usage, format!("{} is not an absolute path", base.display())));
        }
        // Names may come from strangers: each becomes one safe component, so they cannot lead elsewhere.
        let name = SafeName::sanitise(&name, &file.short());
        let place = match template {
            Some(template) if about.has_tags() => template.place(&name, |field| about.field(field)),
            _ => {
                let folders = asked.subfolders.iter().take(MAX_SUBFOLDERS);
                Place { folders: folders.map(|name| SafeName::sanitise(name, "unnamed")).collect(), name }
            }
        };
        let folder = place.folders.iter().fold(base, |folder, name| folder.join(name.as_str()));
        let (name, group, sources) = (place.name.into(), asked.group, asked.sources);
        let request = DownloadRequest { file, name, folder, group, sources, priority: asked.priority, about };
        self.downloads.start(request).await.map_err(|error| list_error(&error))
    }

    /// The template of this download; that of the settings is for the folder of the settings.
    fn template(&self, asked: &NewDownload) -> Answer<Option<Template>> {
        match &asked.template {
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|error| ServiceError::new(ErrorKind::Usage, format!("the template {text}: {error}"))),
            None if asked.folder.is_none() => Ok(self.settings.download_template.value.0.clone()),
            None => Ok(None),
        }
    }

    /// What is said of the file: by who asks for it, by a search, or, if it decides where the file goes, by an index.
    async fn about(&self, asked: &NewDownload, decides: bool, within: &Within) -> About {
        let id = asked.file_id.to_string();
        let seen = || self.seen.starting_with(&id).pop().map(|row| row.about());
        match asked.about.clone().or_else(seen) {
            Some(about) => about,
            None if decides => self.look_up(&id, within).await.map(|row| row.about()).unwrap_or_default(),
            None => About::default(),
        }
    }

    pub(super) fn show_download(&self, id: DownloadId) -> Answer<DownloadStatus> {
        self.downloads.watch(id).map(|status| status.borrow().clone()).map_err(|error| list_error(&error))
    }

    pub(super) async fn change_download(&self, id: DownloadId, action: DownloadAction) -> Answer<DownloadStatus> {
        let changed = match action {
            DownloadAction::Pause => self.downloads.pause(id).await,
            DownloadAction::Resume | DownloadAction::Retry => self.downloads.resume(id).await,
            DownloadAction::Cancel => self.downloads.cancel(id).await,
        };
        changed.map_err(|error| list_error(&error))?;
        self.show_download(id)
    }

    pub(super) async fn prioritise(&self, id: DownloadId, priority: Priority) -> Answer<DownloadStatus> {
        self.downloads.set_priority(id, priority).await.map_err(|error| list_error(&error))?;
        self.show_download(id)
    }

    pub(super) async fn show_download_limit(&self) -> DownloadLimit {
        let in_force = self.limits.now().await;
        DownloadLimit { limit: in_force.down.to_string(), by_schedule: in_force.scheduled.down.is_some() }
    }

    pub(super) async fn limit_downloads(&self, limit: Rate) -> Answer<DownloadLimit> {
        self.limits.choose_download(limit).await.map_err(internal)?;
        self.downloads.set_limit(self.limits.now().await.down.bytes_per_second());
        Ok(self.show_download_limit().await)
    }

    /// A snapshot, then whatever differs from what was told before.
    pub(super) fn download_changes(&self) -> BoxStream<'static, DownloadEvent> {
        let told = Told {
            downloads: self.downloads.clone(),
            turned: self.downloads.turned(),
            told_at: Instant::now(),
            last: None,
        };
        futures_util::stream::unfold(told, |mut told| async move {
            let events = told.next().await;
            Some((futures_util::stream::iter(events), told))
        })
        .flatten()
        .boxed()
    }
}

/// What one reader of events was told.
struct Told {
    downloads: Downloads,
    turned: watch::Receiver<u64>,
    told_at: Instant,
    last: Option<BTreeMap<DownloadId, DownloadStatus>>,
}

impl Told {
    async fn next(&mut self) -> Vec<DownloadEvent> {
        let Some(last) = &mut self.last else {
            let downloads = self.downloads.list();
            self.last = Some(downloads.iter().map(|status| (status.id, status.clone())).collect());
            return vec![DownloadEvent::Snapshot { downloads }];
        };
        let _ = tokio::time::timeout(TELL_EVERY, self.turned.changed()).await;
        tokio::time::sleep_until(self.told_at + TELL_APART).await;
        self.turned.mark_unchanged();
        self.told_at = Instant::now();
        let changed: Vec<_> =
            self.downloads.list().into_iter().filter(|status| last.get(&status.id) != Some(status)).collect();
        last.extend(changed.iter().map(|status| (status.id, status.clone())));
        changed.into_iter().map(|status| DownloadEvent::Changed { download: Box::new(status) }).collect()
    }
}

fn already_here(asked: &NewDownload, name: String, path: PathBuf) -> DownloadStatus {
    let size = asked.file_id.length().bytes();
    DownloadStatus {
        // It is no line of the list: nothing was downloaded.
        id: DownloadId(0),
        file_id: asked.file_id,
        name,
        group: asked.group.clone(),
        priority: asked.priority,
        state: State::Done,
        reason: Some(Why::AlreadyHere),
        message: Some("you already have it".to_owned()),
        ahead: None,
        eta_ms: None,
        bytes_done: size,
        size,
        bytes_per_second: 0,
        sources: vec![],
        path: Some(path),
        seconds: Some(0.0),
        alternates: vec![],
    }
}
