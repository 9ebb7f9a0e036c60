//! Asking a provider over HTTP: one call, its deadline, and what its status lets one conclude.
//!
//! Nothing of a secret is in an error: neither headers nor bodies are told.

use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use serde_json::Value;

use super::config::InvalidConfig;
use crate::stores::error::StoreError;

const MAX_ANSWER: usize = 1024 * 1024;

pub struct Caller {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    more: Option<(&'static str, &'static str)>,
}

/// What the provider has said.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Good(Value),
    /// It will not be done, however often it is asked: a 4xx.
    Refused {
        status: StatusCode,
        body: Value,
    },
}

impl Caller {
    /// `key` names the configuration's, of the URL.
    pub fn new(key: &'static str, base: &str, authorization: &str, timeout: Duration) -> Result<Self, InvalidConfig> {
        let wrong = |wrong| InvalidConfig { key, wrong };
        let base = Url::parse(base).map_err(|_| wrong("a URL is expected"))?;
        let mut authorization = HeaderValue::try_from(authorization).map_err(|_| wrong("the secret key is none"))?;
        authorization.set_sensitive(true);
        // A redirect would carry the secret elsewhere.
        let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(timeout).build();
        let client = client.map_err(|_| wrong("no client can be made for it"))?;
        Ok(Self { client, base, authorization, more: None })
    }

    /// Sent with each call.
    pub fn with_header(self, name: &'static str, value: &'static str) -> Self {
        Self { more: Some((name, value)), ..self }
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, StoreError> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.client.request(Method::GET, url)).await
    }

    pub async fn post(&self, path: &str, body: Body<'_>, key: Option<&str>) -> Result<Reply, StoreError> {
        let mut request = self.client.request(Method::POST, self.url(path)?);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request = match body {
            Body::Form(fields) => request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form(fields)),
            Body::Json(value) => request.header(CONTENT_TYPE, "application/json").body(value.to_string()),
        };
        self.send(request).await
    }

    fn url(&self, path: &str) -> Result<Url, StoreError> {
        self.base.join(path).map_err(|error| StoreError::Invalid(error.into()))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Reply, StoreError> {
        let mut request = request.header(AUTHORIZATION, self.authorization.clone());
        if let Some((name, value)) = self.more {
            request = request.header(name, value);
        }
        let mut answer = request.send().await.map_err(|error| {
            let is_unsent = error.is_connect() || error.is_builder();
            let source = error.without_url().into();
            if is_unsent { StoreError::Unavailable(source) } else { StoreError::Unknown(source) }
        })?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| StoreError::Unknown(error.without_url().into()))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(StoreError::Unknown("an answer without an end".into()));
            }
        }
        read(status, &body)
    }
}

/// What a status means, whoever says it.
fn read(status: StatusCode, body: &[u8]) -> Result<Reply, StoreError> {
    let said = format!("status {}", status.as_u16());
    match status.as_u16() {
        200..=299 => match serde_json::from_slice(body) {
            Ok(body) => Ok(Reply::Good(body)),
            Err(_) => Err(StoreError::Unknown("an answer that is no JSON".into())),
        },
        // Too many, or our key is not taken: nothing was done, and it is no word about what was asked.
        401 | 429 => Err(StoreError::Unavailable(said.into())),
        // The same request is still under way there.
        409 => Err(StoreError::Unknown(said.into())),
        400..=499 => Ok(Reply::Refused { status, body: serde_json::from_slice(body).unwrap_or_default() }),
        _ => Err(StoreError::Unknown(said.into())),
    }
}

pub enum Body<'a> {
    Form(&'a [(&'a str, String)]),
    Json(&'a Value),
}

/// A URL's query has the form's encoding.
fn form(fields: &[(&str, String)]) -> String {
    let mut url = Url::parse("form:").expect("a URL");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_tells_what_may_be_concluded() {
        let read = |status: u16, body: &str| read(StatusCode::from_u16(status).expect("status"), body.as_bytes());
        assert_eq!(read(200, r#"{"id": 1}"#).expect("good"), Reply::Good(json!({"id": 1})));
        for status in [400, 402, 403, 404, 422] {
            assert!(matches!(read(status, "{}"), Ok(Reply::Refused { .. })), "{status}");
        }
        for status in [401, 429] {
            assert!(matches!(read(status, "{}"), Err(StoreError::Unavailable(_))), "{status}");
        }
        for (status, body) in [(409, "{}"), (500, "{}"), (503, ""), (302, ""), (200, "<html>")] {
            assert!(matches!(read(status, body), Err(StoreError::Unknown(_))), "{status}");
        }
    }

    #[test]
    fn fields_are_encoded_as_a_form_has_them() {
        let fields = [("metadata[order]", "a b&c".to_owned()), ("name", "Größe + 1".to_owned())];
        assert_eq!(form(&fields), "metadata%5Border%5D=a+b%26c&name=Gr%C3%B6%C3%9Fe+%2B+1");
    }
}
