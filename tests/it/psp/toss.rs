//! Toss Payments: its window is opened by the test, the rest of its API is here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde_json::{Value, json};

use super::{Faults, serve};
use crate::served::Answer;

pub const KEY: &str = "test_sk_of_the_shop";
const KOREA: Offset = Offset::constant(9);

pub struct Stub {
    pub url: String,
    books: Arc<Books>,
}

#[derive(Default)]
struct Books {
    faults: Faults,
    /// By `paymentKey`.
    payments: Mutex<BTreeMap<String, Payment>>,
    movements: Mutex<Vec<Movement>>,
    /// Idempotency keys: the answer.
    keys: Mutex<HashMap<String, (StatusCode, Value)>>,
}

#[derive(Clone)]
pub struct Payment {
    pub order_id: String,
    pub amount: i64,
    pub currency: &'static str,
    pub status: &'static str,
    /// Amount, and why.
    pub cancels: Vec<(i64, String)>,
    /// The card is refused when the money is to be taken.
    pub is_refused: bool,
}

/// Money taken, or given back.
#[derive(Clone)]
pub struct Movement {
    pub transaction_key: String,
    pub payment_key: String,
    pub order_id: String,
    pub amount: i64,
    pub status: &'static str,
    /// In Korea.
    pub at: DateTime,
}

impl Stub {
    pub async fn start() -> Self {
        let books = Arc::new(Books::default());
        let router = Router::new()
            .route("/v1/payments/confirm", post(confirm))
            .route("/v1/payments/orders/{id}", get(read))
            .route("/v1/payments/{key}/cancel", post(cancel))
            .route("/v1/transactions", get(transactions))
            .layer(middleware::from_fn_with_state(books.clone(), faulty))
            .with_state(books.clone());
        Self { url: serve(router).await, books }
    }

    pub fn faults(&self) -> &Faults {
        &self.books.faults
    }

    /// The fan agrees in the window: what Toss gives for the shop.
    pub fn agree(&self, order_id: &str, amount: i64) -> String {
        let key = format!("tviva{:032x}", rand::random::<u128>());
        let payment = Payment {
            order_id: order_id.to_owned(),
            amount,
            currency: "KRW",
            status: "IN_PROGRESS",
            cancels: Vec::new(),
            is_refused: false,
        };
        self.books.payments().insert(key.clone(), payment);
        key
    }

    pub fn payment(&self, key: &str) -> Payment {
        self.books.payments()[key].clone()
    }

    pub fn change(&self, key: &str, change: impl FnOnce(&mut Payment)) {
        change(self.books.payments().get_mut(key).expect("a payment"));
    }

    /// What its list of movements has, of all times.
    pub fn change_movements(&self, change: impl FnOnce(&mut Vec<Movement>)) {
        change(&mut self.books.movements());
    }

    /// Tells the shop of a change, as anybody could.
    pub async fn send(&self, shop: &str, body: &Value) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        let request = client.post(format!("{shop}/api/v1/payments/toss/webhook")).json(body);
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub fn event(&self, key: &str) -> Value {
        let data = self.payment(key).json(key);
        json!({"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2035-01-01T00:00:00.000000", "data": data})
    }
}

impl Books {
    fn payments(&self) -> MutexGuard<'_, BTreeMap<String, Payment>> {
        self.payments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn movements(&self) -> MutexGuard<'_, Vec<Movement>> {
        self.movements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self, payment_key: &str, payment: &Payment, amount: i64) {
        self.movements().push(Movement::new(payment_key, &payment.order_id, amount, payment.status));
    }

    /// The same answer for the same key; without one, as often as it is asked.
    fn once(
        &self,
        headers: &HeaderMap,
        act: impl FnOnce(&mut BTreeMap<String, Payment>) -> (StatusCode, Value),
    ) -> Response {
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).expect("a key").to_owned();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, body) = keys.entry(key).or_insert_with(|| act(&mut self.payments())).clone();
        (status, Json(body)).into_response()
    }
}

impl Movement {
    pub fn new(payment_key: &str, order_id: &str, amount: i64, status: &'static str) -> Self {
        Self {
            transaction_key: format!("txrd_{:032x}", rand::random::<u128>()),
            payment_key: payment_key.to_owned(),
            order_id: order_id.to_owned(),
            amount,
            status,
            at: KOREA.to_datetime(Timestamp::now()),
        }
    }

    fn json(&self) -> Value {
        json!({"mId": "tvivarepublica", "transactionKey": self.transaction_key, "paymentKey": self.payment_key,
            "orderId": self.order_id, "method": "카드", "customerKey": null, "useEscrow": false, "amount": self.amount,
            "receiptUrl": "https://dashboard.tosspayments.com/receipt/redirection", "currency": "KRW",
            "status": self.status, "transactionAt": self.at.strftime("%Y-%m-%dT%H:%M:%S+09:00").to_string()})
    }
}

impl Payment {
    fn json(&self, key: &str) -> Value {
        let back: i64 = self.cancels.iter().map(|(amount, _)| amount).sum();
        let cancels: Vec<_> = self
            .cancels
            .iter()
            .map(|(amount, why)| json!({"cancelAmount": amount, "cancelReason": why, "cancelStatus": "DONE"}))
            .collect();
        let cancels = if cancels.is_empty() { Value::Null } else { json!(cancels) };
        json!({"version": "2022-11-16", "paymentKey": key, "orderId": self.order_id, "status": self.status,
            "totalAmount": self.amount, "balanceAmount": self.amount - back, "currency": self.currency,
            "method": "카드", "cancels": cancels})
    }
}

async fn faulty(State(books): State<Arc<Books>>, request: Request, next: Next) -> Response {
    let basic = format!("Basic {}", STANDARD.encode(format!("{KEY}:")));
    if request.headers().get("authorization").is_none_or(|value| value != basic.as_str()) {
        return refused(StatusCode::UNAUTHORIZED, "UNAUTHORIZED_KEY").into_response();
    }
    let method = request.method().clone();
    books.faults.around(&method, next.run(request)).await
}

fn refused(status: StatusCode, code: &str) -> (StatusCode, Json<Value>) {
    (status, Json(error(code)))
}

fn error(code: &str) -> Value {
    json!({"code": code, "message": "…"})
}

async fn confirm(State(books): State<Arc<Books>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let key = body["paymentKey"].as_str().unwrap_or_default().to_owned();
    books.once(&headers, |payments| {
        let Some(payment) = payments.get_mut(&key) else {
            return (StatusCode::NOT_FOUND, error("NOT_FOUND_PAYMENT"));
        };
        if payment.order_id != body["orderId"] || payment.amount != body["amount"] {
            return (StatusCode::BAD_REQUEST, error("INVALID_REQUEST"));
        }
        match payment.status {
            "IN_PROGRESS" if payment.is_refused => {
                payment.status = "ABORTED";
                (StatusCode::FORBIDDEN, error("REJECT_CARD_PAYMENT"))
            }
            "IN_PROGRESS" => {
                payment.status = "DONE";
                books.moved(&key, payment, payment.amount);
                (StatusCode::OK, payment.json(&key))
            }
            _ => (StatusCode::BAD_REQUEST, error("ALREADY_PROCESSED_PAYMENT")),
        }
    })
}

async fn read(State(books): State<Arc<Books>>, Path(id): Path<String>) -> Response {
    let payments = books.payments();
    match payments.iter().find(|(_, payment)| payment.order_id == id && payment.status != "IN_PROGRESS") {
        Some((key, payment)) => Json(payment.json(key)).into_response(),
        None => refused(StatusCode::NOT_FOUND, "NOT_FOUND_PAYMENT").into_response(),
    }
}

async fn cancel(
    State(books): State<Arc<Books>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    books.once(&headers, |payments| {
        let Some(payment) = payments.get_mut(&key) else {
            return (StatusCode::NOT_FOUND, error("NOT_FOUND_PAYMENT"));
        };
        let back: i64 = payment.cancels.iter().map(|(amount, _)| amount).sum();
        let amount = body["cancelAmount"].as_i64().unwrap_or(payment.amount - back);
        if !matches!(payment.status, "DONE" | "PARTIAL_CANCELED") || amount > payment.amount - back {
            return (StatusCode::FORBIDDEN, error("NOT_CANCELABLE_AMOUNT"));
        }
        payment.cancels.push((amount, body["cancelReason"].as_str().expect("a reason").to_owned()));
        payment.status = if back + amount == payment.amount { "CANCELED" } else { "PARTIAL_CANCELED" };
        books.moved(&key, payment, amount);
        (StatusCode::OK, payment.json(&key))
    })
}

/// Of the time, both ends in it; a page goes on after a movement of that time.
async fn transactions(State(books): State<Arc<Books>>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let time = |name: &str| asked.get(name).and_then(|text| text.parse::<DateTime>().ok());
    let (Some(from), Some(to)) = (time("startDate"), time("endDate")) else {
        return refused(StatusCode::BAD_REQUEST, "INVALID_DATE").into_response();
    };
    let limit = asked.get("limit").map_or(Ok(100), |limit| limit.parse());
    let Some(limit) = limit.ok().filter(|limit| (1..=5_000).contains(limit)) else {
        return refused(StatusCode::BAD_REQUEST, "INVALID_REQUEST").into_response();
    };
    let second = |at: DateTime| at.round(jiff::Unit::Second).expect("a second");
    let movements = books.movements();
    let within: Vec<_> = movements.iter().filter(|one| from <= second(one.at) && second(one.at) <= to).collect();
    let first = match asked.get("startingAfter") {
        None => Some(0),
        Some(after) => within.iter().position(|one| one.transaction_key == *after).map(|at| at + 1),
    };
    match first {
        Some(first) => {
            Json(within.iter().skip(first).take(limit).map(|one| one.json()).collect::<Vec<_>>()).into_response()
        }
        None => refused(StatusCode::BAD_REQUEST, "INVALID_TRANSACTION_KEY").into_response(),
    }
}
