//! The one error of the edge: RFC 9457 problem details with a stable code.
//!
//! A client never sees a source: whoever turns an error into a `Problem` logs it there, once.

mod codes;
mod from;

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

pub use self::{
    codes::{Code, Row, TABLE, as_page},
    from::hold_state,
};
use super::limits::Left;

/// An error as the client gets it. Turned into a body by [`super::edge`], which knows the request id.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: Option<Cow<'static, str>>,
    retry_after_s: Option<u32>,
    rate: Option<Left>,
    more: Map<String, Value>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.detail.as_deref().unwrap_or(self.0.code.row().title))
    }
}

impl std::error::Error for Problem {}

impl Problem {
    pub fn new(code: Code) -> Self {
        let row = code.row();
        // A client that is told to come back is told when; who knows better says so.
        let retry_after_s = (row.retryable && matches!(row.status, 429 | 503)).then_some(1);
        Self(Box::new(Inner { code, detail: None, retry_after_s, rate: None, more: Map::new() }))
    }

    /// For people; never a source's text.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The rate that this request was counted in.
    pub fn rate(mut self, left: Left) -> Self {
        self.0.rate = Some(left);
        self
    }

    /// A further member of the body, such as the version that the event has now.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body, naming the request.
    pub fn body(&self, request_id: &str) -> Value {
        let row = self.0.code.row();
        let mut body = self.0.more.clone();
        body.insert("type".into(), format!("urn:onsale:error:{}", row.name).into());
        body.insert("title".into(), row.title.into());
        body.insert("status".into(), row.status.into());
        body.insert("code".into(), row.name.into());
        body.insert("detail".into(), self.0.detail.as_deref().unwrap_or(row.title).into());
        body.insert("request_id".into(), request_id.into());
        body.insert("retryable".into(), row.retryable.into());
        Value::Object(body)
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                let scheme = match self.code() {
                    Code::ProofNeeded => r#"DPoP algs="ES256 EdDSA""#,
                    Code::InvalidProof => r#"DPoP error="invalid_dpop_proof", algs="ES256 EdDSA""#,
                    _ => "Bearer",
                };
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
            StatusCode::UPGRADE_REQUIRED => {
                let to = [
                    (header::CONNECTION, "upgrade"),
                    (header::UPGRADE, "websocket"),
                    (header::SEC_WEBSOCKET_VERSION, "13"),
                ];
                response.headers_mut().extend(to.map(|(name, value)| (name, HeaderValue::from_static(value))));
            }
            _ => {}
        }
        if let Some(left) = &self.0.rate {
            left.write(response.headers_mut());
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_code_status_and_request() {
        let body = Problem::new(Code::SoldOut).with("left", 2).body("r-1");
        assert_eq!(body["code"], "sold_out");
        assert_eq!(body["status"], 409);
        assert_eq!(body["request_id"], "r-1");
        assert_eq!(body["left"], 2);
        assert_eq!(body["retryable"], true);
    }
}
