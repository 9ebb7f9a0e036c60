//! Stripe: Checkout Sessions are this stub's, everything else is passed on to localstripe.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use onsale::http::{payments::signature, tokens::unix_now};
use serde_json::{Value, json};

use super::{Faults, localstripe::LocalStripe, serve};
use crate::served::Answer;

pub const KEY: &str = "sk_test_of_the_shop";

pub struct Stub {
    pub url: String,
    /// What webhooks are signed with, newest first.
    pub secrets: Vec<String>,
    books: Arc<Books>,
}

/// Of a form, in its order.
type Fields = Vec<(String, String)>;

struct Books {
    local: LocalStripe,
    pub faults: Faults,
    sessions: Mutex<BTreeMap<String, Session>>,
    /// Idempotency keys: what was asked, and the answer.
    keys: Mutex<HashMap<String, (Fields, Value)>>,
}

#[derive(Clone)]
pub struct Session {
    /// As the shop has asked for it.
    pub fields: BTreeMap<String, String>,
    pub status: &'static str,
    pub payment_status: &'static str,
    pub intent: Option<String>,
}

impl Stub {
    pub async fn start() -> Self {
        let books = Arc::new(Books {
            local: LocalStripe::start().await,
            faults: Faults::default(),
            sessions: Mutex::default(),
            keys: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/checkout/sessions", post(create).get(list))
            .route("/v1/checkout/sessions/{id}", get(read))
            .route("/v1/checkout/sessions/{id}/expire", post(expire))
            .fallback(pass_on)
            .layer(middleware::from_fn_with_state(books.clone(), faulty))
            .with_state(books.clone());
        let url = serve(router).await;
        let secret = |n: u128| format!("whsec_{n:032x}");
        Self { url, secrets: vec![secret(rand::random()), secret(rand::random())], books }
    }

    pub fn faults(&self) -> &Faults {
        &self.books.faults
    }

    /// localstripe's own messages go to the shop.
    pub async fn tell(&self, shop: &str) {
        self.books.local.tell(&webhook(shop), &self.secrets[0]).await;
    }

    pub fn sessions(&self) -> BTreeMap<String, Session> {
        self.books.sessions().clone()
    }

    pub fn session(&self, id: &str) -> Session {
        self.books.sessions().get(id).expect("a session").clone()
    }

    pub async fn refunds(&self, session: &str) -> Vec<i64> {
        let intent = self.session(session).intent.expect("it was paid");
        self.books.local.refunds(&intent).await
    }

    /// The fan pays on the hosted page.
    pub async fn pay(&self, id: &str) {
        let session = self.session(id);
        assert_eq!(session.status, "open", "nobody can pay a session that is not open");
        let prefix = "payment_intent_data[metadata]";
        let metadata = session.fields.iter().filter_map(|(name, value)| {
            name.strip_prefix(prefix).map(|rest| (format!("metadata{rest}"), value.clone()))
        });
        let metadata: Vec<_> = metadata.collect();
        let intent = self.books.local.charge(session.amount(), session.currency(), &metadata).await;
        self.change(id, |session| {
            (session.status, session.payment_status) = ("complete", "paid");
            session.intent = Some(intent);
        });
    }

    pub fn change(&self, id: &str, change: impl FnOnce(&mut Session)) {
        change(self.books.sessions().get_mut(id).expect("a session"));
    }

    /// An event of this kind about the session as it stands.
    pub fn event(&self, kind: &str, id: &str) -> Value {
        let object = self.session(id).json(id);
        json!({"id": format!("evt_{:032x}", rand::random::<u128>()), "object": "event", "api_version": "2024-06-20",
            "created": unix_now(), "type": kind, "data": {"object": object}, "livemode": false})
    }

    /// Tells the shop, signed with the newest secret.
    pub async fn send(&self, shop: &str, event: &Value) -> Answer {
        let body = event.to_string();
        let signature = signature::sign(self.secrets[0].as_bytes(), unix_now(), body.as_bytes());
        self.post(shop, body, &signature).await
    }

    pub async fn post(&self, shop: &str, body: String, signature: &str) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        let request = client.post(webhook(shop)).header("content-type", "application/json");
        let request = request.header("stripe-signature", signature).body(body);
        Answer::of(request.send().await.expect("an answer")).await
    }
}

fn webhook(shop: &str) -> String {
    format!("{shop}/api/v1/payments/stripe/webhook")
}

impl Books {
    fn sessions(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn amount(&self) -> i64 {
        self.fields["line_items[0][price_data][unit_amount]"].parse().expect("an amount")
    }

    fn currency(&self) -> &str {
        &self.fields["line_items[0][price_data][currency]"]
    }

    fn json(&self, id: &str) -> Value {
        let metadata: serde_json::Map<_, _> = self
            .fields
            .iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
                Some((name.to_owned(), json!(value)))
            })
            .collect();
        let url = (self.status == "open").then(|| format!("https://checkout.stripe.example/c/pay/{id}"));
        json!({"id": id, "object": "checkout.session", "mode": self.fields["mode"], "status": self.status,
            "payment_status": self.payment_status, "payment_intent": self.intent, "amount_total": self.amount(),
            "currency": self.currency(), "client_reference_id": self.fields["client_reference_id"],
            "metadata": metadata, "url": url, "expires_at": self.fields["expires_at"].parse::<u64>().expect("a time")})
    }
}

async fn faulty(State(books): State<Arc<Books>>, request: Request, next: Next) -> Response {
    let bearer = format!("Bearer {KEY}");
    if request.headers().get("authorization").is_none_or(|value| value != bearer.as_str()) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key");
    }
    assert!(request.headers().contains_key("stripe-version"), "a version of the API is named");
    let method = request.method().clone();
    books.faults.around(&method, next.run(request)).await
}

fn refused(status: StatusCode, code: &str) -> Response {
    let error = json!({"error": {"type": "invalid_request_error", "code": code, "message": "…"}});
    (status, Json(error)).into_response()
}

fn form(body: &[u8]) -> Fields {
    let mut url = reqwest::Url::parse("form:").expect("a URL");
    url.set_query(Some(std::str::from_utf8(body).expect("text")));
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

async fn create(State(books): State<Arc<Books>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = form(&body);
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).expect("a key").to_owned();
    let mut keys = books.keys.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((asked, answer)) = keys.get(&key) {
        if *asked != fields {
            return refused(StatusCode::BAD_REQUEST, "idempotency_error");
        }
        return Json(answer.clone()).into_response();
    }
    let session =
        Session { fields: fields.iter().cloned().collect(), status: "open", payment_status: "unpaid", intent: None };
    let is_soon = session.fields["expires_at"].parse::<u64>().expect("a time") < unix_now() + 30 * 60;
    if session.amount() < 50 || is_soon {
        return refused(StatusCode::BAD_REQUEST, "parameter_invalid_integer");
    }
    let id = format!("cs_test_{:032x}", rand::random::<u128>());
    let answer = session.json(&id);
    books.sessions().insert(id, session);
    keys.insert(key, (fields, answer.clone()));
    Json(answer).into_response()
}

/// Where the charge is asked for, with the card that all pay with.
async fn read(State(books): State<Arc<Books>>, Path(id): Path<String>, uri: Uri) -> Response {
    match books.sessions().get(&id) {
        Some(session) => {
            let mut body = session.json(&id);
            if uri.query().is_some() {
                let asked = form(uri.query().unwrap_or_default().as_bytes());
                assert_eq!(asked, [("expand[]".to_owned(), "payment_intent.latest_charge".to_owned())]);
                body["payment_intent"] = json!({"id": session.intent, "amount_received": session.amount(),
                    "latest_charge": {"id": "ch_1", "payment_method_details": {"card": {"fingerprint": "fp_1"}}}});
            }
            Json(body).into_response()
        }
        None => refused(StatusCode::NOT_FOUND, "resource_missing"),
    }
}

async fn expire(State(books): State<Arc<Books>>, Path(id): Path<String>) -> Response {
    match books.sessions().get_mut(&id) {
        Some(session) if session.status == "open" => {
            session.status = "expired";
            Json(session.json(&id)).into_response()
        }
        Some(_) => refused(StatusCode::BAD_REQUEST, "checkout_session_not_open"),
        None => refused(StatusCode::NOT_FOUND, "resource_missing"),
    }
}

/// With each payment and its charge whole, as the shop asks for it.
async fn list(State(books): State<Arc<Books>>, uri: Uri) -> Response {
    let query = form(uri.query().unwrap_or_default().as_bytes());
    let asked = |name: &str| query.iter().find(|(asked, _)| asked == name).map(|(_, value)| value.as_str());
    assert_eq!(asked("expand[]"), Some("data.payment_intent.latest_charge"));
    let limit: usize = asked("limit").expect("a limit").parse().expect("a number");
    let after = asked("starting_after").unwrap_or_default().to_owned();
    let sessions: Vec<_> = books.sessions().range(after.clone()..).map(|(id, one)| (id.clone(), one.clone())).collect();
    let sessions: Vec<_> = sessions.into_iter().filter(|(id, _)| *id != after).collect();
    let has_more = sessions.len() > limit;
    let mut data = Vec::new();
    for (id, session) in sessions.into_iter().take(limit) {
        let mut body = session.json(&id);
        if let Some(intent) = &session.intent {
            let refunded: i64 = books.local.refunds(intent).await.iter().sum();
            body["payment_intent"] = json!({"id": intent, "amount_received": session.amount(),
                "latest_charge": {"id": "ch_1", "amount_refunded": refunded}});
        }
        data.push(body);
    }
    Json(json!({"object": "list", "data": data, "has_more": has_more})).into_response()
}

/// Whatever else is asked, localstripe answers.
async fn pass_on(
    State(books): State<Arc<Books>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let url = format!("{}{}", books.local.url, uri.path_and_query().expect("a path"));
    let client = reqwest::Client::builder().no_proxy().build().expect("client");
    let mut request = client.request(method, url).body(body);
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let response = request.send().await.expect("localstripe answers");
    let status = response.status();
    let body = response.bytes().await.expect("a body");
    (status, [("content-type", "application/json")], body).into_response()
}
