//! What no single handler says of itself in the OpenAPI document; the rest is made from the handlers and the types.

use choir_shared::index_api::{ErrorCode, PROBLEM_JSON, Problem};
use utoipa::ToSchema as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder};

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

/// Every route may fail, and always in the same form.
pub(super) fn with_errors(mut document: OpenApi) -> OpenApi {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let failure = ResponseBuilder::new().description("What went wrong.").content(PROBLEM_JSON, problem).build();
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), failure.clone().into());
        }
    }
    document
}
