//! What no single handler says of itself in the OpenAPI document; the rest is made from the handlers and the types.

use axum::http::StatusCode;
use choir_shared::index_api::{ErrorCode, PROBLEM_JSON, Problem};
use utoipa::ToSchema as _;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response, ResponseBuilder,
};

const ABOUT: &str = "The index of a Choir network: who holds which songs, and who is online. \
    Log in by `GET /challenge` and `POST /sessions`; PROTOCOL.md says what is signed.";

/// What the routes are added to.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new().title("Choir index").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The token of a session."));
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(bearer.build()))
        .schema_from::<Problem>()
        .schema_from::<ErrorCode>();
    OpenApiBuilder::new().info(info.build()).components(Some(components.build())).build()
}

/// Failures always have the same form. Handlers name those of their own; what surrounds them refuses as well, by what
/// a request carries.
pub(super) fn with_errors(mut document: OpenApi) -> OpenApi {
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
        for operation in operations.into_iter().flatten() {
            let own: Vec<_> = operation.responses.responses.keys().filter_map(|status| status.parse().ok()).collect();
            let refusals = own.into_iter().filter(|status: &StatusCode| status.is_client_error());
            let refusals: Vec<_> = refusals.chain(refusals_before(operation)).collect();
            operation
                .responses
                .responses
                .extend(refusals.into_iter().map(|status| (status.as_str().to_owned(), failure(status).into())));
        }
    }
    document
}

/// How a request for `operation` can end without its handler.
fn refusals_before(operation: &Operation) -> Vec<StatusCode> {
    let carries = |place: &ParameterIn| {
        let is_there = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(it) if it.parameter_in == *place);
        operation.parameters.iter().flatten().any(is_there)
    };
    let mut statuses = vec![StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE];
    if operation.security.is_some() {
        statuses.extend([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS]);
    }
    if operation.request_body.is_some() {
        statuses.extend([StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE]);
    }
    if carries(&ParameterIn::Query) {
        statuses.push(StatusCode::BAD_REQUEST);
    }
    if carries(&ParameterIn::Path) {
        statuses.push(StatusCode::NOT_FOUND);
    }
    statuses
}

fn failure(status: StatusCode) -> Response {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let description = status.canonical_reason().unwrap_or_default();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, problem).build()
}
