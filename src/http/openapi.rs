//! The API's own description, made from the routes, and a page to browse it without a network.

use std::sync::Arc;

use axum::{Router, response::Response};
use http::{HeaderValue, header::CONTENT_SECURITY_POLICY};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use super::{app::App, routes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "onsale",
        description = "A fair waiting room joined with a ticket shop. Errors are RFC 9457 problem details; `code` is \
                       stable. Paths under /api/v1/admin are on the admin listener.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    modifiers(&Bearer)
)]
struct About;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// Both listeners' paths in one document.
pub fn document() -> Document {
    OpenApiRouter::<Arc<App>>::with_openapi(About::openapi())
        .nest(routes::API, routes::public())
        .nest(routes::ADMIN, routes::admin())
        .into_openapi()
}

/// The document and its page.
pub fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let pages: Router<S> = SwaggerUi::new("/api/v1/docs").url("/api/v1/openapi.json", document()).into();
    pages.layer(axum::middleware::map_response(allow_own_scripts))
}

/// The page's scripts are files of ours; its styles are partly in the page.
async fn allow_own_scripts(mut response: Response) -> Response {
    const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                          frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
