//! The whole API on one screen. OpenAPI is made from this, so what is not here is neither reachable nor documented.

use std::sync::Arc;

use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{app::App, health};

/// Public listener, under `/api/v1`.
pub fn public() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        // health
        .routes(routes!(health::live))
}

/// Admin listener, under `/api/v1/admin`.
pub fn admin() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
}

#[derive(OpenApi)]
#[openapi(info(title = "onsale", description = "A fair waiting room joined with a ticket shop."))]
struct Document;

/// Both listeners' paths in one document.
pub fn document() -> utoipa::openapi::OpenApi {
    OpenApiRouter::<Arc<App>>::with_openapi(Document::openapi())
        .nest("/api/v1", public())
        .nest("/api/v1/admin", admin())
        .into_openapi()
}
