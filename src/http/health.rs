//! Whether the process lives, and whether it can serve.

use http::StatusCode;

/// Always answers while the process runs.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, description = "alive")))]
pub async fn live() -> StatusCode {
    StatusCode::OK
}
