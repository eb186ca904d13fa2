//! From a request to a call of the [`Service`], and back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use choir_shared::query::SearchParams;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{ErrorBody, ErrorKind, ServiceError};
use super::events;
use super::server::Door;
use super::service::Service;
use super::types::{
    Alive, BrowsePage, Doctor, DownloadAction, DownloadLimit, Downloads, FileRow, FolderStatus, Folders, IndexPreview,
    IndexStatus, Indexes, Join, NewDownloads, NewLimit, NewPriority, Rename, SearchReport, ShareAdd, ShareAdded,
    Status, TakeAlternate, Uploads, Whois, Within,
};
use crate::download::status::{DownloadId, DownloadStatus};

/// A body that trickles in holds a connection; ours are small and come from this machine.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

type Api<S> = State<Arc<Door<S>>>;
type Answer<T> = Result<Json<T>, ServiceError>;

/// The page comes later; one line tells that the daemon is there.
pub(super) async fn page() -> &'static str {
    concat!(
        "Choir ",
        env!("CARGO_PKG_VERSION"),
        " is running here. The commands `choir status` and `choir search` use it.\n"
    )
}

pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() })
}

pub(super) async fn status<S: Service>(State(door): Api<S>) -> Answer<Status> {
    door.service.status().await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct OfPeer {
    peer: Option<String>,
}

pub(super) async fn doctor<S: Service>(
    State(door): Api<S>,
    within: Within,
    Asked(of): Asked<OfPeer>,
) -> Answer<Doctor> {
    door.service.doctor(of.peer, within).await.map(Json)
}

pub(super) async fn stop<S: Service>(State(door): Api<S>) -> Answer<()> {
    door.service.stop().await.map(Json)
}

pub(super) async fn indexes<S: Service>(State(door): Api<S>) -> Answer<Indexes> {
    door.service.indexes().await.map(|indexes| Json(Indexes { indexes }))
}

pub(super) async fn join<S: Service>(State(door): Api<S>, Body(join): Body<Join>) -> Answer<IndexStatus> {
    door.service.join(join).await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct OfLink {
    link: String,
}

pub(super) async fn index_preview<S: Service>(State(door): Api<S>, Asked(of): Asked<OfLink>) -> Answer<IndexPreview> {
    door.service.index_preview(of.link).await.map(Json)
}

pub(super) async fn leave<S: Service>(State(door): Api<S>, InPath(index): InPath<String>) -> Answer<IndexStatus> {
    door.service.leave(index).await.map(Json)
}

pub(super) async fn set_default_index<S: Service>(
    State(door): Api<S>,
    InPath(index): InPath<String>,
) -> Answer<IndexStatus> {
    door.service.set_default_index(index).await.map(Json)
}

pub(super) async fn rename<S: Service>(
    State(door): Api<S>,
    within: Within,
    Body(rename): Body<Rename>,
) -> Answer<Indexes> {
    door.service.rename(rename.name, within).await.map(|indexes| Json(Indexes { indexes }))
}

pub(super) async fn folders<S: Service>(State(door): Api<S>) -> Answer<Folders> {
    door.service.folders().await.map(|folders| Json(Folders { folders }))
}

pub(super) async fn share_add<S: Service>(State(door): Api<S>, Body(add): Body<ShareAdd>) -> Answer<ShareAdded> {
    door.service.share_add(add).await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct OfFolder {
    folder: PathBuf,
}

pub(super) async fn share_remove<S: Service>(State(door): Api<S>, Asked(of): Asked<OfFolder>) -> Answer<FolderStatus> {
    door.service.share_remove(of.folder).await.map(Json)
}

pub(super) async fn rescan<S: Service>(State(door): Api<S>) -> Answer<()> {
    door.service.rescan().await.map(Json)
}

pub(super) async fn library_events<S: Service>(State(door): Api<S>) -> impl IntoResponse {
    events::answer(door.service.scan_events(), door.cancel.clone())
}

pub(super) async fn search<S: Service>(
    State(door): Api<S>,
    within: Within,
    Asked(params): Asked<SearchParams>,
) -> Answer<SearchReport> {
    door.service.search(params, within).await.map(Json)
}

pub(super) async fn file<S: Service>(
    State(door): Api<S>,
    within: Within,
    InPath(file): InPath<String>,
) -> Answer<FileRow> {
    door.service.file(file, within).await.map(Json)
}

pub(super) async fn downloads<S: Service>(State(door): Api<S>) -> Answer<Downloads> {
    door.service.downloads().await.map(|downloads| Json(Downloads::of(downloads)))
}

pub(super) async fn download_start<S: Service>(
    State(door): Api<S>,
    within: Within,
    Body(new): Body<NewDownloads>,
) -> Answer<Downloads> {
    door.service.download_start(new.downloads, within).await.map(|downloads| Json(Downloads::of(downloads)))
}

pub(super) async fn download_events<S: Service>(State(door): Api<S>) -> impl IntoResponse {
    events::answer(door.service.download_events(), door.cancel.clone())
}

pub(super) async fn download<S: Service>(
    State(door): Api<S>,
    InPath(id): InPath<DownloadId>,
) -> Answer<DownloadStatus> {
    door.service.download(id).await.map(Json)
}

pub(super) async fn download_change<S: Service>(
    State(door): Api<S>,
    InPath((id, action)): InPath<(DownloadId, DownloadAction)>,
) -> Answer<DownloadStatus> {
    door.service.download_change(id, action).await.map(Json)
}

pub(super) async fn download_take<S: Service>(
    State(door): Api<S>,
    InPath(id): InPath<DownloadId>,
    Body(taken): Body<TakeAlternate>,
) -> Answer<DownloadStatus> {
    door.service.download_take(id, taken.file_id).await.map(Json)
}

pub(super) async fn download_priority<S: Service>(
    State(door): Api<S>,
    InPath(id): InPath<DownloadId>,
    Body(new): Body<NewPriority>,
) -> Answer<DownloadStatus> {
    door.service.download_priority(id, new.priority).await.map(Json)
}

pub(super) async fn download_limit<S: Service>(State(door): Api<S>) -> Answer<DownloadLimit> {
    door.service.download_limit().await.map(Json)
}

pub(super) async fn set_download_limit<S: Service>(
    State(door): Api<S>,
    Body(limit): Body<NewLimit>,
) -> Answer<DownloadLimit> {
    let limit = limit.limit.parse().map_err(|why: String| ServiceError::new(ErrorKind::Usage, why))?;
    door.service.set_download_limit(limit).await.map(Json)
}

pub(super) async fn uploads<S: Service>(State(door): Api<S>) -> Answer<Uploads> {
    door.service.uploads().await.map(Json)
}

pub(super) async fn set_upload_limit<S: Service>(State(door): Api<S>, Body(limit): Body<NewLimit>) -> Answer<Uploads> {
    let limit = limit.limit.parse().map_err(|why: String| ServiceError::new(ErrorKind::Usage, why))?;
    door.service.set_upload_limit(limit).await.map(Json)
}

pub(super) async fn whois<S: Service>(
    State(door): Api<S>,
    within: Within,
    InPath(peer): InPath<String>,
) -> Answer<Whois> {
    door.service.whois(peer, within).await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct OfPage {
    #[serde(default)]
    folder: String,
    cursor: Option<String>,
}

pub(super) async fn browse<S: Service>(
    State(door): Api<S>,
    within: Within,
    InPath(peer): InPath<String>,
    Asked(of): Asked<OfPage>,
) -> Answer<BrowsePage> {
    door.service.browse(peer, of.folder, of.cursor, within).await.map(Json)
}

pub(super) async fn ban<S: Service>(
    State(door): Api<S>,
    within: Within,
    InPath(peer): InPath<String>,
) -> Answer<Whois> {
    door.service.ban(peer, within).await.map(Json)
}

pub(super) async fn unban<S: Service>(
    State(door): Api<S>,
    within: Within,
    InPath(peer): InPath<String>,
) -> Answer<Whois> {
    door.service.unban(peer, within).await.map(Json)
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.into_json()).into_response()
    }
}

impl ServiceError {
    pub(super) const fn into_json(self) -> Json<ErrorBody> {
        Json(ErrorBody { error: self })
    }
}

/// A JSON body. What is wrong with it is told in the same shape as every other error.
pub(super) struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ServiceError> {
        let late = |_| ServiceError::new(ErrorKind::Usage, "the body did not come in time");
        let body = tokio::time::timeout(BODY_TIMEOUT, Json::<T>::from_request(request, state)).await.map_err(late)?;
        match body {
            Ok(Json(body)) => Ok(Self(body)),
            Err(error) => Err(ServiceError::new(kind_of(error.status()), error.body_text())),
        }
    }
}

/// The query string.
pub(super) struct Asked<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ServiceError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(ServiceError::new(ErrorKind::Usage, error.body_text())),
        }
    }
}

/// The parts of the path that are in braces in the list of routes.
pub(super) struct InPath<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ServiceError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(found)) => Ok(Self(found)),
            Err(error) => Err(ServiceError::new(ErrorKind::NotFound, error.body_text())),
        }
    }
}

#[derive(Deserialize)]
struct OfIndex {
    index: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Within {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ServiceError> {
        let Asked(of) = Asked::<OfIndex>::from_request_parts(parts, state).await?;
        Ok(Self::from_parameter(of.index.as_deref()))
    }
}

fn kind_of(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorKind::UnsupportedMedia,
        _ => ErrorKind::Usage,
    }
}
