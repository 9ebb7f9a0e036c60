//! No body, or an empty object: for requests in which the client has nothing to decide.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde::Deserialize;

use super::json::{parse, read};
use crate::http::{app::App, problem::Problem};

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// No more is looked at.
const MOST_BYTES: usize = 4_096;

impl FromRequest<Arc<App>> for Nothing {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), MOST_BYTES).await?;
        if bytes.is_empty() { Ok(Self {}) } else { parse(&bytes) }
    }
}
