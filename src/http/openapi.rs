//! The API's own description, made from the routes, and a page to browse it without a network.

use std::{iter, sync::Arc};

use axum::{
    Router,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::CONTENT_SECURITY_POLICY};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document, RefOr,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use super::{
    app::App,
    problem::{Code, Problem},
    routes,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "onsale",
        description = "A fair waiting room joined with a ticket shop. Errors are RFC 9457 problem details; `code` is \
                       stable. Paths under /api/v1/admin are on the admin listener, and so are /api/state, /api/add, \
                       /api/remove and /api/clear.",
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
    let mut document = OpenApiRouter::<Arc<App>>::with_openapi(About::openapi())
        .merge(routes::public())
        .merge(routes::admin())
        .merge(routes::well_known())
        .merge(routes::first_public())
        .merge(routes::first_admin())
        .into_openapi();
    for (path, item) in &mut document.paths.paths {
        let methods = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                complete(operation, method, path);
            }
        }
    }
    document
}

/// What OpenAPI wants of every operation and a route's note does not say: a name that no other has, for many handlers are
/// called `read`, and some word about each answer.
fn complete(operation: &mut Operation, method: &str, path: &str) {
    let path = path.strip_prefix(routes::API).unwrap_or(path);
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    operation.operation_id = Some(iter::once(method).chain(words).collect::<Vec<_>>().join("_"));
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let reason = StatusCode::from_bytes(status.as_bytes()).ok().and_then(|status| status.canonical_reason());
            reason.unwrap_or(status).clone_into(&mut response.description);
        }
    }
}

/// The document and its page.
pub fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let pages: Router<S> = SwaggerUi::new("/api/v1/docs").url("/api/v1/openapi.json", document()).into();
    pages.layer(axum::middleware::map_response(allow_own_scripts))
}

/// The page's scripts are files of ours; its styles are partly in the page. A file that is not there is a problem like any
/// other.
async fn allow_own_scripts(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        return Problem::new(Code::NotFound).into_response();
    }
    const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                          frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
