//! A JSON body, strictly: a wrong one is told apart as not JSON (400) or not as expected (422).

use std::{error::Error as _, sync::Arc};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::LengthLimitError;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use crate::http::{
    app::App,
    problem::{Code, Problem},
};

/// Deeper bodies are refused: ours need five.
const MAX_DEPTH: usize = 32;
/// Bytes that most answers find enough.
const USUAL_ANSWER: usize = 1024;
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `T` must `#[serde(deny_unknown_fields)]`; a test over the OpenAPI document holds all bodies to it. A field given twice
/// is refused by serde's own struct reader. As an answer it is plain JSON.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        if media_type(request.headers()).as_deref() != Some("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType).detail("application/json is expected"));
        }
        let bytes = read(request.into_body(), app.config.body_limit).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(USUAL_ANSWER);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => ([(header::CONTENT_TYPE, APPLICATION_JSON)], body).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer that is no JSON");
                Problem::new(Code::Internal).into_response()
            }
        }
    }
}

/// The whole body, if it has no more than `limit` bytes.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    // Told before it comes: who waits for 100 (Continue) need not send it.
    if body.size_hint().lower() > limit as u64 {
        return Err(Code::BodyTooLarge.into());
    }
    axum::body::to_bytes(body, limit).await.map_err(|error| match error.source() {
        Some(source) if source.is::<LengthLimitError>() => Problem::new(Code::BodyTooLarge),
        _ => Problem::new(Code::MalformedJson).detail("the body did not arrive whole"),
    })
}

/// What the body says that it is, without parameters, in lower case.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Parses a body as strictly as the extractor does.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if depth(bytes) > MAX_DEPTH {
        return Err(Problem::new(Code::MalformedJson).detail("the body is nested too deeply"));
    }
    match serde_json::from_slice(bytes) {
        Err(error) if error.classify() != Category::Data => {
            Err(Problem::new(Code::MalformedJson).detail(error.to_string()))
        }
        _ if !is_object(bytes) => Err(Problem::new(Code::InvalidBody).detail("an object is expected")),
        // Says which field and what was expected; it quotes nothing but what the client sent.
        Err(error) => Err(Problem::new(Code::InvalidBody).detail(error.to_string())),
        Ok(value) => Ok(value),
    }
}

/// To serde, an array of the right values is a struct too; not to us.
pub fn is_object(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// How deep brackets nest, strings left out. Looks at each byte once, before anything is built.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        quantity: u32,
    }

    #[test]
    fn s_24_depth_counts_brackets_outside_strings() {
        for (text, expected) in [("1", 0), ("[]", 1), (r#"{"a":[{}]}"#, 3), (r#""[[[\"[""#, 0), ("]]]][", 1)] {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
        let deep = "[".repeat(33) + &"]".repeat(33);
        let problem = parse::<serde_json::Value>(deep.as_bytes()).expect_err("too deep");
        assert_eq!(problem.code(), Code::MalformedJson);
    }

    #[test]
    fn s_22_a_wrong_body_is_told_apart_from_broken_json() {
        let table = [
            (r#"{"quantity": 1"#, Code::MalformedJson),
            ("", Code::MalformedJson),
            ("{'quantity': 1}", Code::MalformedJson),
            ("{\"quantity\": \"\u{0}\"}", Code::MalformedJson),
            ("{}", Code::InvalidBody),
            (r#"{"quantity": 1, "price": 0}"#, Code::InvalidBody),
            (r#"{"quantity": 1, "quantity": 2}"#, Code::InvalidBody),
            (r#"{"quantity": -1}"#, Code::InvalidBody),
            (r#"{"quantity": 1.5}"#, Code::InvalidBody),
            (r#"{"quantity": 99999999999}"#, Code::InvalidBody),
            (r#"{"quantity": "1"}"#, Code::InvalidBody),
            (r#"{"quantity": null}"#, Code::InvalidBody),
            ("[1]", Code::InvalidBody),
        ];
        for (text, code) in table {
            let problem = parse::<Body>(text.as_bytes()).map(|body| body.quantity).expect_err(text);
            assert_eq!(problem.code(), code, "{text}");
        }
        assert_eq!(parse::<Body>(br#"{"quantity": 3}"#).expect("good").quantity, 3);
    }
}
