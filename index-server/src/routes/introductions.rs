//! `POST /introductions`: where one holder of one file may be met.
//!
//! This is the only place that gives an address away. So it is limited for each key and network, only for somebody
//! online who really offers the file, and the holder is told who asked and where that one may be met: it has to
//! dial as well, since both sides' routers open from within only.

use axum::Json;
use axum::extract::State;
use choir_shared::PeerId;
use choir_shared::control::FromIndex;
use choir_shared::index_api::{Candidate, CandidateKind, ErrorCode, Introduction, IntroductionRequest};

use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::index::Index;
use crate::input;
use crate::limits::Limit;
use crate::replicas::{Letter, Replicas};

#[utoipa::path(post, path = "/introductions", request_body = IntroductionRequest, responses((status = 200, body = Introduction), (status = 404), (status = 409)), security(("token" = [])))]
pub(super) async fn introduce(
    State(index): State<Index>,
    caller: Caller,
    input::Json(request): input::Json<IntroductionRequest>,
) -> Result<Json<Introduction>, ApiError> {
    caller.count(&index, Limit::Introductions)?;
    if !offers(&index, &request).await? {
        return Err(ApiError::because(ErrorCode::NotFound, "this peer does not offer this file"));
    }
    let asker = index.store.member(&caller.peer).await?;
    let message = FromIndex::Introduction {
        peer: caller.peer,
        name: asker.and_then(|member| member.name),
        file: request.file,
        candidates: candidates(&index, &caller.peer),
    };
    let candidates = match elsewhere(&index, &request.peer) {
        Some((replicas, url)) => write(replicas, &url, Letter { to: request.peer, message }).await,
        None => index.say(&request.peer, message).then(|| candidates(&index, &request.peer)),
    };
    let candidates = candidates.ok_or_else(|| ApiError::new(ErrorCode::Offline))?;
    metrics::counter!("choir_index_introductions_total").increment(1);
    Ok(Json(Introduction { peer: request.peer, candidates }))
}

fn elsewhere<'a>(index: &'a Index, peer: &PeerId) -> Option<(&'a Replicas, String)> {
    let replicas = index.replicas.as_ref()?;
    Some((replicas, replicas.url_of(peer)?))
}

/// Has another replica tell the peer that is connected to it, and say where it may be met.
async fn write(replicas: &Replicas, url: &str, letter: Letter) -> Option<Vec<Candidate>> {
    match replicas.post.send(url, &letter).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(url, error = &error as &dyn std::error::Error, "another replica cannot introduce its peer");
            None
        }
    }
}

/// Whether the peer is known to hold or to fetch the file.
async fn offers(index: &Index, request: &IntroductionRequest) -> Result<bool, ApiError> {
    let holder = index.roster.member(&request.peer).await?;
    let holder = holder.ok_or_else(|| ApiError::because(ErrorCode::NotFound, "no such peer"))?;
    if !index.is_online(&request.peer) {
        return Err(ApiError::new(ErrorCode::Offline));
    }
    let Some(file) = index.store.file_no(&request.file).await? else { return Ok(false) };
    super::files::unless_blocked(index, file)?;
    Ok(index.online.holders(file, usize::MAX, 0).contains(&holder)
        || index.online.partial_holders(file, usize::MAX, 0).contains(&holder))
}

/// Where the rendezvous saw the peer; empty if it has not, and then only the peer that asks can be dialled.
pub(super) fn candidates(index: &Index, peer: &PeerId) -> Vec<Candidate> {
    let observed = index.addresses.address(peer);
    observed.map(|address| Candidate { address, kind: CandidateKind::Observed }).into_iter().collect()
}
