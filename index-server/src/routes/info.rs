//! `GET /info`: what anyone may know.

use axum::Json;
use axum::extract::State;
use choir_shared::index_api::Info;

use crate::error::ApiError;
use crate::index::Index;
use crate::limits::Limit;
use crate::origin::Origin;
use crate::replicas::Replicas;

/// Major versions of the API that this program speaks.
const PROTOCOL: u16 = 1;

#[utoipa::path(get, path = "/info", responses((status = 200, body = Info), (status = 429)))]
pub(super) async fn info(State(index): State<Index>, origin: Origin) -> Result<Json<Info>, ApiError> {
    index.limits.count_network(Limit::Visits, origin)?;
    let description = index.settings.description.clone();
    Ok(Json(Info {
        name: description.name,
        key: index.keys.index_key(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol_min: PROTOCOL,
        protocol_max: PROTOCOL,
        access: index.settings.access.into(),
        limits: index.settings.limits.public(),
        rendezvous: Some(index.rendezvous.clone()),
        contact: description.contact,
        rules: description.rules,
        message_of_the_day: index.message_of_the_day(),
        reconnect_spread_s: index.settings.limits.reconnect_spread_seconds,
        replicas: index.replicas.as_ref().map(Replicas::urls).unwrap_or_default(),
    }))
}
