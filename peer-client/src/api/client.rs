//! The other side of the door: the same use cases, asked over HTTP.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use choir_shared::FileId;
use choir_shared::link::encode;
use choir_shared::query::SearchParams;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::PREFIX;
use super::error::{Answer, ErrorBody, ErrorKind, ServiceError};
use super::sse::EventReader;
use super::token::Token;
use super::types::{
    Alive, BrowsePage, Doctor, DownloadAction, DownloadEvent, DownloadLimit, Downloads, FileRow, FolderStatus, Folders,
    IndexPreview, IndexStatus, Indexes, Join, NewDownload, NewDownloads, NewLimit, NewPriority, Rename, ScanProgress,
    SearchReport, ShareAdd, ShareAdded, Status, TakeAlternate, Uploads, Whois, Within,
};
use crate::config::{Rate, UploadRate};
use crate::download::priority::Priority;
use crate::download::status::{DownloadId, DownloadStatus};

/// Loopback answers at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A daemon that lives says so in no time, even on a busy machine.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a daemon at its door.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: reqwest::Client,
    /// `http://127.0.0.1:6688`, without a slash at the end.
    url: String,
    token: Token,
    within: Within,
}

impl ApiClient {
    /// Fails only if the system cannot give what every HTTP client needs.
    pub fn new(url: &str, token: &Token) -> Result<Self, ServiceError> {
        // Without certificate authorities: everything goes to loopback in plain HTTP, and reading them takes time.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token: token.clone(), within: Within::default() })
    }

    /// The same daemon, asked about these indexes only.
    #[must_use]
    pub fn within(self, within: Within) -> Self {
        Self { within, ..self }
    }

    /// Where the page is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The page's address with the token behind `#`, which browsers keep to themselves.
    pub fn page(&self) -> String {
        format!("{}/#token={}", self.url, self.token.to_text())
    }

    pub async fn alive(&self) -> Answer<Alive> {
        self.answer(self.request(Method::GET, "/alive").timeout(ALIVE_TIMEOUT)).await
    }

    pub async fn status(&self) -> Answer<Status> {
        self.read("/status").await
    }

    pub async fn doctor(&self, peer: Option<&str>) -> Answer<Doctor> {
        self.answer(self.request(Method::GET, "/doctor").query(&peer.map(|peer| [("peer", peer)]))).await
    }

    pub async fn stop(&self) -> Answer<()> {
        self.answer(self.request(Method::POST, "/stop")).await
    }

    pub async fn indexes(&self) -> Answer<Vec<IndexStatus>> {
        self.read("/indexes").await.map(|Indexes { indexes }| indexes)
    }

    pub async fn index_preview(&self, link: &str) -> Answer<IndexPreview> {
        self.answer(self.request(Method::GET, "/indexes/preview").query(&[("link", link)])).await
    }

    pub async fn join(&self, join: &Join) -> Answer<IndexStatus> {
        self.send(Method::POST, "/indexes", join).await
    }

    pub async fn leave(&self, index: &str) -> Answer<IndexStatus> {
        self.answer(self.request(Method::DELETE, &format!("/indexes/{}", encode(index)))).await
    }

    pub async fn set_default_index(&self, index: &str) -> Answer<IndexStatus> {
        self.answer(self.request(Method::PUT, &format!("/indexes/{}/default", encode(index)))).await
    }

    pub async fn rename(&self, name: &str) -> Answer<Vec<IndexStatus>> {
        let renamed = self.send(Method::PUT, "/name", &Rename { name: name.to_owned() }).await;
        renamed.map(|Indexes { indexes }| indexes)
    }

    pub async fn folders(&self) -> Answer<Vec<FolderStatus>> {
        self.read("/folders").await.map(|Folders { folders }| folders)
    }

    pub async fn share_add(&self, add: &ShareAdd) -> Answer<ShareAdded> {
        self.send(Method::POST, "/folders", add).await
    }

    pub async fn share_remove(&self, folder: &Path) -> Answer<FolderStatus> {
        self.answer(self.request(Method::DELETE, "/folders").query(&[("folder", folder)])).await
    }

    pub async fn rescan(&self) -> Answer<()> {
        self.answer(self.request(Method::POST, "/library/rescan")).await
    }

    pub async fn scan_events(&self) -> Answer<Events<ScanProgress>> {
        self.events("/library/events").await
    }

    pub async fn search(&self, params: &SearchParams) -> Answer<SearchReport> {
        self.answer(self.request(Method::GET, "/search").query(params)).await
    }

    pub async fn file(&self, id: &str) -> Answer<FileRow> {
        self.read(&format!("/files/{}", encode(id))).await
    }

    pub async fn download_start(&self, downloads: Vec<NewDownload>) -> Answer<Vec<DownloadStatus>> {
        let started = self.send(Method::POST, "/downloads", &NewDownloads { downloads }).await;
        started.map(|Downloads { downloads, .. }| downloads)
    }

    pub async fn downloads(&self) -> Answer<Downloads> {
        self.read("/downloads").await
    }

    pub async fn download(&self, DownloadId(id): DownloadId) -> Answer<DownloadStatus> {
        self.read(&format!("/downloads/{id}")).await
    }

    pub async fn download_change(&self, DownloadId(id): DownloadId, action: DownloadAction) -> Answer<DownloadStatus> {
        self.answer(self.request(Method::POST, &format!("/downloads/{id}/{}", action.as_str()))).await
    }

    pub async fn download_take(&self, DownloadId(id): DownloadId, file_id: FileId) -> Answer<DownloadStatus> {
        self.send(Method::POST, &format!("/downloads/{id}/take"), &TakeAlternate { file_id }).await
    }

    pub async fn download_events(&self) -> Answer<Events<DownloadEvent>> {
        self.events("/downloads/events").await
    }

    pub async fn uploads(&self) -> Answer<Uploads> {
        self.read("/uploads").await
    }

    pub async fn download_limit(&self) -> Answer<DownloadLimit> {
        self.read("/downloads/limit").await
    }

    pub async fn set_download_limit(&self, limit: Rate) -> Answer<DownloadLimit> {
        self.send(Method::PUT, "/downloads/limit", &NewLimit { limit: limit.to_string() }).await
    }

    pub async fn download_priority(&self, id: DownloadId, priority: Priority) -> Answer<DownloadStatus> {
        self.send(Method::PUT, &format!("/downloads/{}/priority", id.0), &NewPriority { priority }).await
    }

    pub async fn set_upload_limit(&self, limit: UploadRate) -> Answer<Uploads> {
        self.send(Method::PUT, "/uploads/limit", &NewLimit { limit: limit.to_string() }).await
    }

    pub async fn browse(&self, peer: &str, folder: &str, cursor: Option<&str>) -> Answer<BrowsePage> {
        let request = self.request(Method::GET, &format!("/peers/{}/library", encode(peer)));
        self.answer(request.query(&[("folder", Some(folder)), ("cursor", cursor)])).await
    }

    pub async fn whois(&self, peer: &str) -> Answer<Whois> {
        self.read(&format!("/peers/{}", encode(peer))).await
    }

    pub async fn ban(&self, peer: &str) -> Answer<Whois> {
        self.answer(self.request(Method::PUT, &format!("/peers/{}/ban", encode(peer)))).await
    }

    pub async fn unban(&self, peer: &str) -> Answer<Whois> {
        self.answer(self.request(Method::DELETE, &format!("/peers/{}/ban", encode(peer)))).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request =
            self.http.request(method, format!("{}{PREFIX}{path}", self.url)).bearer_auth(self.token.to_text());
        match self.within.to_parameter() {
            Some(names) => request.query(&[("index", names)]),
            None => request,
        }
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        self.answer(self.request(Method::GET, path)).await
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Answer<T> {
        self.answer(self.request(method, path).json(body)).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Answer<T> {
        let response = checked(request.send().await.map_err(gone)?).await?;
        let body = response.bytes().await.map_err(gone)?;
        serde_json::from_slice(&body).map_err(|error| {
            ServiceError::new(ErrorKind::Internal, format!("the daemon's answer is not understood: {error}"))
                .hint("its version may differ from this command's: `choir version`, `choir status`")
        })
    }

    async fn events<T: DeserializeOwned>(&self, path: &str) -> Answer<Events<T>> {
        let response = checked(self.request(Method::GET, path).send().await.map_err(gone)?).await?;
        let body = response.bytes_stream().map(|piece| piece.map(|piece| piece.to_vec())).boxed();
        Ok(Events { body, reader: EventReader::new(), ready: Vec::new().into_iter(), kind: PhantomData })
    }
}

/// Events as they come.
pub struct Events<T> {
    body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    reader: EventReader,
    ready: std::vec::IntoIter<String>,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Events<T> {
    /// The next event; an error when the daemon ends. May be dropped at any time without losing an event.
    pub async fn next(&mut self) -> Answer<T> {
        loop {
            for data in self.ready.by_ref() {
                // What this version does not know was added by a later one.
                if let Ok(event) = serde_json::from_str(&data) {
                    return Ok(event);
                }
            }
            let piece = self.body.next().await.ok_or_else(ended)?.map_err(gone)?;
            let events = self.reader.push(&piece);
            self.ready = events.map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?.into_iter();
        }
    }
}

async fn checked(response: Response) -> Answer<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.map_err(gone)?;
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(body) => Err(body.error),
        Err(_) => Err(ServiceError::new(ErrorKind::Internal, format!("the daemon answered {status} without a reason"))),
    }
}

fn gone(error: reqwest::Error) -> ServiceError {
    // The URL of a request says nothing to people.
    let error = error.without_url();
    tracing::debug!(%error, "no answer from the daemon");
    ServiceError::new(ErrorKind::DaemonUnreachable, "the daemon does not answer")
        .hint("is it running? `choir daemon` starts it")
}

fn ended() -> ServiceError {
    ServiceError::new(ErrorKind::DaemonUnreachable, "the daemon has stopped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{FakeDaemon, FakeService, row};
    use crate::api::types::{LeftOut, ScanPhase};

    #[tokio::test]
    async fn answers_and_errors_come_back_as_they_were() {
        let daemon = FakeDaemon::start(FakeService::with_rows(vec![row(1, "Hyperballad")])).await;
        let client = daemon.client.clone().within(Within(vec!["a/b".into(), "http://[::1]:8888".into()]));
        let params = SearchParams { q: Some("hyper & ball".into()), limit: Some(5), ..SearchParams::default() };
        assert_eq!(client.search(&params).await.unwrap().results, []);
        assert_eq!(
            daemon.service.asked.lock().unwrap()[0],
            r#"search Some("hyper & ball") in ["a/b", "http://[::1]:8888"]"#
        );
        assert_eq!(client.file("0101010101").await.unwrap(), row(1, "Hyperballad"));
        assert_eq!(client.file("ff/ff").await.unwrap_err().code, ErrorKind::NotFound);
        assert_eq!(client.leave("http://h:1/x?y").await.unwrap().name, "http://h:1/x?y");
        assert_eq!(client.set_upload_limit("2M".parse().unwrap()).await.unwrap().limit, "2M");
        assert_eq!(client.share_remove(Path::new("/a b/ü")).await.unwrap().folder, Path::new("/a b/ü"));
        assert_eq!(client.whois("ann?").await.unwrap().name.as_deref(), Some("ann?"));
        let added = client.share_add(&ShareAdd { path: "/m".into(), collection: None, alias: None }).await.unwrap();
        assert_eq!(added.left_out, [LeftOut { reason: "hidden".into(), count: 1 }]);
        client.stop().await.unwrap();

        let mut events = client.scan_events().await.unwrap();
        while events.next().await.unwrap().phase != ScanPhase::Idle {}
        daemon.stop().await;
        assert_eq!(client.status().await.unwrap_err().code, ErrorKind::DaemonUnreachable);
    }

    #[tokio::test]
    async fn a_wrong_token_is_told_so() {
        let daemon = FakeDaemon::start(FakeService::default()).await;
        let stranger = ApiClient::new(daemon.client.url(), &Token::random().unwrap()).unwrap();
        assert_eq!(stranger.status().await.unwrap_err().code, ErrorKind::Unauthorized);
        assert_eq!(stranger.alive().await.unwrap_err().code, ErrorKind::Unauthorized);
        daemon.stop().await;
    }
}
