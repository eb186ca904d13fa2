//! A service for tests: it has files, and downloads that end as the test wants.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use choir_shared::identity::SecretKey;
use choir_shared::index_api::{Access, SearchRow, TotalIs};
use choir_shared::query::SearchParams;
use choir_shared::{FileId, PeerId};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::door::{DoorFile, OpenDoor};
use super::types::{
    BrowsePage, Doctor, DownloadAction, DownloadEvent, DownloadLimit, FileRow, Finding, FolderState, FolderStatus,
    IndexPreview, IndexState, IndexStatus, Join, LeftOut, NewDownload, Reachability, ScanPhase, ScanProgress,
    SearchReport, ShareAdd, ShareAdded, Shared, Status, Uploads, Verdict, Whois, Within,
};
use super::{Answer, ApiClient, ErrorKind, Service, ServiceError, Token, serve};
use crate::config::{Rate, UploadRate};
use crate::download::alternate::Alternate;
use crate::download::priority::Priority;
use crate::download::status::{DownloadId, DownloadStatus, SourceStatus, State, Why};

/// What the tests may arrange and look at.
#[derive(Default)]
pub(crate) struct FakeService {
    pub(crate) rows: Vec<FileRow>,
    /// How downloads end; one that is not named here is done.
    pub(crate) endings: BTreeMap<FileId, (State, Option<Why>)>,
    /// What is offered in place of downloads that are not done.
    pub(crate) alternates: Vec<Alternate>,
    pub(crate) asked: Mutex<Vec<String>>,
    list: Mutex<Vec<DownloadStatus>>,
    readers: Mutex<Vec<mpsc::UnboundedSender<DownloadEvent>>>,
}

/// A fake daemon on a real socket, and the file by which commands find it.
pub(crate) struct FakeDaemon {
    pub(crate) service: Arc<FakeService>,
    pub(crate) client: ApiClient,
    pub(crate) home: tempfile::TempDir,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _door: OpenDoor,
}

impl FakeDaemon {
    pub(crate) async fn start(service: FakeService) -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let token = Token::random().unwrap();
        let client = ApiClient::new(&url, &token).unwrap();
        let door = DoorFile::new(url, &token).publish(&home.path().join("api.json")).unwrap();
        let (service, cancel) = (Arc::new(service), CancellationToken::new());
        let serving = serve(listener, token, Arc::clone(&service), cancel.clone());
        let task = tokio::spawn(async { serving.await.unwrap() });
        Self { service, client, home, cancel, task, _door: door }
    }

    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

pub(crate) fn peer(number: u8) -> PeerId {
    SecretKey::from_seed(&[number; 32]).peer_id()
}

/// A song by Björk of one megabyte.
pub(crate) fn row(number: u8, title: &str) -> FileRow {
    let file_id: FileId = format!("{}-1048576", format!("{number:02x}").repeat(32)).parse().unwrap();
    let row = SearchRow {
        file_id,
        title: Some(title.to_owned()),
        artist: Some("Björk".to_owned()),
        album: Some("Post".to_owned()),
        album_artist: None,
        track: Some(u32::from(number)),
        disc: None,
        year: Some(1995),
        genre: None,
        file_name: Some(format!("{title}.flac")),
        format: "flac".to_owned(),
        size: file_id.length().bytes(),
        duration_ms: Some(225_400),
        bitrate_kbps: Some(900),
        sample_rate_hz: Some(44_100),
        audio: None,
        sources: 2,
        album_key: Some("bjork/post/1995".to_owned()),
    };
    FileRow::new(row, None)
}

pub(crate) fn status(id: i64, file_id: FileId, name: &str, state: State) -> DownloadStatus {
    let size = file_id.length().bytes();
    DownloadStatus {
        id: DownloadId(id),
        file_id,
        name: name.to_owned(),
        group: None,
        priority: Priority::Normal,
        state,
        reason: None,
        message: None,
        ahead: None,
        eta_ms: None,
        bytes_done: if state == State::Done { size } else { 0 },
        size,
        bytes_per_second: 0,
        sources: Vec::new(),
        path: None,
        seconds: None,
        alternates: Vec::new(),
    }
}

fn index(name: &str) -> IndexStatus {
    IndexStatus {
        url: "http://127.0.0.1:8888".to_owned(),
        name: name.to_owned(),
        key: None,
        state: IndexState::Online,
        reason: None,
        my_name: Some("ann".to_owned()),
        default: true,
    }
}

fn whois_of(name: &str, banned: bool) -> Whois {
    Whois {
        peer: peer(2),
        name: Some(name.to_owned()),
        online: true,
        member_since_unix_s: Some(0),
        files: 3,
        bytes: 3 << 20,
        browsable: true,
        banned,
        indexes: vec!["home".to_owned()],
    }
}

impl FakeService {
    pub(crate) fn with_rows(rows: Vec<FileRow>) -> Self {
        Self { rows, ..Self::default() }
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }

    fn tell(&self, event: &DownloadEvent) {
        self.readers.lock().unwrap().retain(|reader| reader.send(event.clone()).is_ok());
    }

    fn folder_of(add: &ShareAdd) -> FolderStatus {
        FolderStatus {
            folder: add.path.clone(),
            alias: add.alias.clone().unwrap_or_else(|| "music".to_owned()),
            collection: add.collection.clone().unwrap_or_else(|| "everyone".to_owned()),
            state: FolderState::Ready,
            files: 3,
            bytes: 3 << 20,
            left_out: vec![LeftOut { reason: "hidden".to_owned(), count: 1 }],
        }
    }
}

impl Service for FakeService {
    async fn status(&self) -> Answer<Status> {
        Ok(Status {
            peer_id: peer(1),
            version: "0.1.0".to_owned(),
            indexes: vec![index("home")],
            shared: Shared::default(),
            reachability: Reachability::ThisMachine,
            downloads: 0,
            uploads: 0,
            download_bytes_per_second: 0,
            upload_bytes_per_second: 0,
            downloaded_bytes: 0,
            uploaded_bytes: 0,
            reachability_message: None,
            downloads_folder: Some(PathBuf::from("/music/Choir")),
        })
    }

    async fn indexes(&self) -> Answer<Vec<IndexStatus>> {
        Ok(vec![index("home")])
    }

    async fn index_preview(&self, link: String) -> Answer<IndexPreview> {
        Ok(IndexPreview {
            url: link,
            name: "home".to_owned(),
            key: SecretKey::from_seed(&[9; 32]).index_key(),
            key_from_link: false,
            access: Access::Open,
            contact: Some("ann@example.org".to_owned()),
            rules: Some("Be kind.\u{1b}[2J".to_owned()),
            message_of_the_day: None,
            joined: false,
        })
    }

    async fn join(&self, join: Join) -> Answer<IndexStatus> {
        self.note(format!("join {} {:?}", join.link, join.name));
        Ok(IndexStatus { my_name: join.name, ..index("home") })
    }

    async fn leave(&self, name: String) -> Answer<IndexStatus> {
        Ok(index(&name))
    }

    async fn set_default_index(&self, name: String) -> Answer<IndexStatus> {
        Ok(index(&name))
    }

    async fn rename(&self, name: String, _: Within) -> Answer<Vec<IndexStatus>> {
        Ok(vec![IndexStatus { my_name: Some(name), ..index("home") }])
    }

    async fn folders(&self) -> Answer<Vec<FolderStatus>> {
        Ok(vec![Self::folder_of(&ShareAdd { path: PathBuf::from("/music"), collection: None, alias: None })])
    }

    async fn share_add(&self, add: ShareAdd) -> Answer<ShareAdded> {
        let folder = Self::folder_of(&add);
        Ok(ShareAdded {
            folder: folder.folder,
            files: folder.files,
            left_out: folder.left_out,
            bytes: folder.bytes,
            alias: folder.alias,
            collection: folder.collection,
        })
    }

    async fn share_remove(&self, folder: PathBuf) -> Answer<FolderStatus> {
        Ok(Self::folder_of(&ShareAdd { path: folder, collection: None, alias: None }))
    }

    async fn rescan(&self) -> Answer<()> {
        Ok(())
    }

    fn scan_events(&self) -> BoxStream<'static, ScanProgress> {
        let progress = |phase, files_done| ScanProgress {
            phase,
            files_done,
            files_total: 3,
            bytes_done: files_done << 20,
            bytes_total: 3 << 20,
            current: None,
            blocked: None,
        };
        let events =
            [progress(ScanPhase::Hashing, 1), progress(ScanPhase::Publishing, 3), progress(ScanPhase::Idle, 3)];
        stream::iter(events).chain(stream::pending()).boxed()
    }

    async fn search(&self, params: SearchParams, within: Within) -> Answer<SearchReport> {
        self.note(format!("search {:?} in {:?}", params.q, within.0));
        let words = params.q.clone().unwrap_or_default().to_lowercase();
        let found = |row: &&FileRow| {
            let text = format!("{:?} {:?}", row.artist, row.title).to_lowercase();
            params.album.is_some() || words.split_whitespace().all(|word| text.contains(word))
        };
        let results: Vec<_> = self.rows.iter().filter(found).cloned().collect();
        let total = results.len() as u64;
        Ok(SearchReport { total, total_is: TotalIs::Exact, next: None, results, notes: Vec::new() })
    }

    async fn file(&self, id: String, _: Within) -> Answer<FileRow> {
        let found = self.rows.iter().find(|row| row.file_id.to_string().starts_with(&id)).cloned();
        found.ok_or_else(|| ServiceError::new(ErrorKind::NotFound, "no index knows this file"))
    }

    async fn download_start(&self, downloads: Vec<NewDownload>, _: Within) -> Answer<Vec<DownloadStatus>> {
        let mut started = Vec::new();
        for (number, new) in downloads.into_iter().enumerate() {
            let name = new.name.unwrap_or_default();
            self.note(format!("download {name} to {:?} in {:?}", new.subfolders, new.folder));
            if let Some(template) = new.template {
                let title = new.about.and_then(|about| about.title);
                self.note(format!("by {template} with {title:?}"));
            }
            let first = status(number as i64 + 1, new.file_id, &name, State::Connecting);
            let (state, reason) = self.endings.get(&new.file_id).copied().unwrap_or((State::Done, None));
            let done = state == State::Done;
            let source = SourceStatus {
                peer: peer(2),
                name: Some("bob".to_owned()),
                bytes: first.size,
                bytes_per_second: 0,
                path_kind: Some("direct".to_owned()),
                note: None,
            };
            let last = DownloadStatus {
                state,
                reason,
                bytes_done: if done { first.size } else { 0 },
                path: done.then(|| PathBuf::from("/music/Choir").join(&name)),
                seconds: done.then_some(0.5),
                sources: if done { vec![source] } else { Vec::new() },
                alternates: if done { Vec::new() } else { self.alternates.clone() },
                group: new.group,
                ..first.clone()
            };
            self.list.lock().unwrap().push(last.clone());
            self.tell(&DownloadEvent::Changed { download: Box::new(first.clone()) });
            self.tell(&DownloadEvent::Changed { download: Box::new(last) });
            started.push(first);
        }
        Ok(started)
    }

    async fn downloads(&self) -> Answer<Vec<DownloadStatus>> {
        Ok(self.list.lock().unwrap().clone())
    }

    async fn download(&self, id: DownloadId) -> Answer<DownloadStatus> {
        let list = self.list.lock().unwrap();
        let found = list.iter().find(|download| download.id == id).cloned();
        found.ok_or_else(|| ServiceError::new(ErrorKind::NotFound, format!("there is no download {}", id.0)))
    }

    async fn download_change(&self, id: DownloadId, action: DownloadAction) -> Answer<DownloadStatus> {
        self.note(format!("{} {}", action.as_str(), id.0));
        self.download(id).await
    }

    async fn download_limit(&self) -> Answer<DownloadLimit> {
        Ok(DownloadLimit { limit: "2M".to_owned(), by_schedule: false })
    }

    async fn set_download_limit(&self, limit: Rate) -> Answer<DownloadLimit> {
        Ok(DownloadLimit { limit: limit.to_string(), by_schedule: true })
    }

    async fn download_priority(&self, id: DownloadId, priority: Priority) -> Answer<DownloadStatus> {
        self.note(format!("priority {priority} {}", id.0));
        self.download(id).await
    }

    async fn download_take(&self, id: DownloadId, file: FileId) -> Answer<DownloadStatus> {
        self.note(format!("take {} for {}", file.short(), id.0));
        let old = self.download(id).await?;
        Ok(DownloadStatus { file_id: file, ..status(id.0 + 1, file, &old.name, State::Searching) })
    }

    fn download_events(&self) -> BoxStream<'static, DownloadEvent> {
        // Bounded by what one test does.
        let (reader, mut events) = mpsc::unbounded_channel();
        let snapshot = DownloadEvent::Snapshot { downloads: self.list.lock().unwrap().clone() };
        self.readers.lock().unwrap().push(reader);
        let rest = stream::poll_fn(move |context| events.poll_recv(context));
        stream::iter([snapshot]).chain(rest).boxed()
    }

    async fn uploads(&self) -> Answer<Uploads> {
        Ok(Uploads { uploads: Vec::new(), limit: "auto".to_owned(), by_schedule: false })
    }

    async fn set_upload_limit(&self, limit: UploadRate) -> Answer<Uploads> {
        Ok(Uploads { uploads: Vec::new(), limit: limit.to_string(), by_schedule: true })
    }

    async fn browse(&self, who: String, folder: String, _: Option<String>, _: Within) -> Answer<BrowsePage> {
        self.note(format!("browse {folder:?} of {who}"));
        let folders = match folder.as_str() {
            "" | "Björk" => vec![choir_shared::index_api::LibraryFolder {
                path: if folder.is_empty() { "Björk".to_owned() } else { "Björk/../Post".to_owned() },
                files: self.rows.len() as u64,
            }],
            _ => Vec::new(),
        };
        let files = if folder == "Björk/../Post" { self.rows.clone() } else { Vec::new() };
        Ok(BrowsePage { peer: peer(2), name: Some("bob".to_owned()), folder, folders, files, next: None })
    }

    async fn whois(&self, peer: String, _: Within) -> Answer<Whois> {
        Ok(whois_of(&peer, false))
    }

    async fn ban(&self, peer: String, within: Within) -> Answer<Whois> {
        self.note(format!("ban {peer} in {:?}", within.0));
        Ok(whois_of(&peer, true))
    }

    async fn unban(&self, peer: String, within: Within) -> Answer<Whois> {
        self.note(format!("unban {peer} in {:?}", within.0));
        Ok(whois_of(&peer, false))
    }

    async fn doctor(&self, _: Option<String>, _: Within) -> Answer<Doctor> {
        let finding = |what: &str, verdict| Finding {
            what: what.to_owned(),
            verdict,
            message: "as it should be".to_owned(),
            help: None,
        };
        Ok(Doctor { findings: vec![finding("clock", Verdict::Good), finding("NAT", Verdict::Bad)] })
    }

    async fn stop(&self) -> Answer<()> {
        self.note("stop".to_owned());
        Ok(())
    }
}
