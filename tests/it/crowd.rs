//! Fans who take their chances at random and remember what they were told.
//!
//! Each does one thing at a time. What was answered for certain is remembered and can be checked against the server at any
//! time; what was not is tried again under the same key until it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use onsale::{
    demo::fans::{Client, Headers, Reply},
    domain::id::{EventId, OrderRef},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::{PASSWORD, eventually};

/// For an answer that is certain, over restarts of the server.
const PATIENCE: Duration = Duration::from_secs(45);
/// Before a fan tries again.
const AGAIN: Duration = Duration::from_millis(20);

pub struct Fan {
    client: Arc<Client>,
    event: EventId,
    random: StdRng,
    email: String,
    access: String,
    place: Option<u64>,
    admission: Option<String>,
    pub orders: BTreeMap<OrderRef, Order>,
    /// Sent, and not answered for certain.
    unanswered: Option<Attempt>,
    /// While shopping; the whole crowd's.
    pub answers: Arc<AtomicU64>,
}

/// As last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Held {
        expires_at: String,
        extended: bool,
    },
    Released,
    /// The provider's page.
    Paying {
        page: String,
    },
    /// The page took the money.
    Paid,
    Ticketed {
        tickets: BTreeSet<String>,
    },
    Refunded,
}

#[derive(Debug, Clone)]
struct Attempt {
    what: What,
    key: String,
    body: Option<Value>,
}

#[derive(Debug, Clone)]
enum What {
    Join,
    Leave,
    Hold,
    Release(OrderRef),
    Extend(OrderRef),
    Checkout(OrderRef),
    Pay(OrderRef, String),
}

/// Why nothing was done: the server is not there, or told to try again.
#[derive(Debug)]
struct NoAnswer;

impl Fan {
    pub async fn register(client: Arc<Client>, event: EventId, seed: u64) -> Self {
        let email = format!("fan-{}@example.com", Uuid::new_v4().simple());
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann", "language": "en"});
        let reply = client.send(Method::POST, "/auth/register", Headers::default(), Some(&body)).await;
        let access = reply.expect("an answer").text("access_token").expect("registered");
        let random = StdRng::seed_from_u64(seed);
        Self {
            client,
            event,
            random,
            email,
            access,
            place: None,
            admission: None,
            orders: BTreeMap::new(),
            unanswered: None,
            answers: Arc::default(),
        }
    }

    pub fn access(&self) -> &str {
        &self.access
    }

    pub async fn until_it_holds(mut self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while !self.orders.values().any(|order| matches!(order, Order::Held { .. })) || self.unanswered.is_some() {
            // Tried again.
            let _ = self.step().await;
            assert!(Instant::now() < deadline, "{} holds nothing", self.email);
        }
        self
    }

    /// Until the server does not answer, or `stop` says so; with what is not answered then left so.
    pub async fn shop(mut self, stop: CancellationToken) -> Self {
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(()) => drop(self.answers.fetch_add(1, Ordering::Relaxed)),
                // Going down, or overloaded for a moment: what is unanswered comes first, unless all is over.
                Err(NoAnswer) => drop(timeout(AGAIN, stop.cancelled()).await),
            }
        }
        self
    }

    /// The queue was lost, and with it the place of one who waited; an admission was not.
    pub fn lose_place(&mut self) {
        if self.admission.is_none() {
            self.place = None;
        }
    }

    async fn step(&mut self) -> Result<(), NoAnswer> {
        if let Some(attempt) = self.unanswered.clone() {
            return self.attempt(attempt).await;
        }
        let Some(what) = self.choose() else { return self.look().await };
        let body = match &what {
            What::Hold => Some(self.want()),
            What::Checkout(_) => Some(json!({"provider": "sandbox"})),
            _ => None,
        };
        let attempt = Attempt { what, key: Uuid::new_v4().to_string(), body };
        self.unanswered = Some(attempt.clone());
        self.attempt(attempt).await
    }

    /// `None`: look how things are.
    fn choose(&mut self) -> Option<What> {
        if self.place.is_none() && self.admission.is_none() {
            return Some(What::Join);
        }
        let open = |order: &Order| matches!(order, Order::Held { .. } | Order::Paying { .. } | Order::Paid);
        let mut open: Vec<_> =
            self.orders.iter().filter(|(_, order)| open(order)).map(|(r, o)| (*r, o.clone())).collect();
        // What waits for the fan comes before what the fan waits for: a hold keeps its slot, also of one who has left.
        open.sort_by_key(|(_, order)| *order == Order::Paid);
        let dice = self.random.random_range(0..100);
        if self.admission.is_none() {
            let held = open.first().filter(|(_, order)| matches!(order, Order::Held { .. }));
            return match held {
                Some((reference, _)) => Some(What::Release(*reference)),
                None => (dice < 2).then_some(What::Leave),
            };
        }
        let Some((reference, order)) = open.first() else {
            return Some(if dice < 40 { What::Leave } else { What::Hold });
        };
        match order {
            Order::Held { .. } if open.len() < 3 && dice < 30 => Some(What::Hold),
            Order::Held { extended: false, .. } if dice < 45 => Some(What::Extend(*reference)),
            Order::Held { .. } if dice < 65 => Some(What::Release(*reference)),
            Order::Held { .. } => Some(What::Checkout(*reference)),
            Order::Paying { page } => Some(What::Pay(*reference, page.clone())),
            _ if dice < 10 => Some(What::Leave),
            _ => None,
        }
    }

    fn want(&mut self) -> Value {
        let quantity = self.random.random_range(1..=3);
        if self.random.random_bool(0.5) {
            json!({"items": [{"ticket_type": "STANDING", "quantity": quantity}]})
        } else {
            json!({"best_available": {"ticket_type": "STALLS", "quantity": quantity}})
        }
    }

    async fn attempt(&mut self, attempt: Attempt) -> Result<(), NoAnswer> {
        let queue = format!("/events/{}/queue", self.event);
        let (method, path) = match &attempt.what {
            What::Join => (Method::POST, queue),
            What::Leave => (Method::DELETE, queue),
            What::Hold => (Method::POST, format!("/events/{}/holds", self.event)),
            What::Release(reference) => (Method::DELETE, format!("/holds/{reference}")),
            What::Extend(reference) => (Method::POST, format!("/holds/{reference}/extend")),
            What::Checkout(reference) => (Method::POST, format!("/orders/{reference}/checkout")),
            What::Pay(reference, page) => {
                let status = self.client.post_form(page, "outcome=pay").await.map_err(|_| NoAnswer)?;
                if status.is_success() || status.is_redirection() {
                    self.unanswered = None;
                    self.orders.insert(*reference, Order::Paid);
                    return Ok(());
                }
                assert!(status.is_server_error() || status == 429, "paying: {status}");
                return Err(NoAnswer);
            }
        };
        let headers = Headers { admission: self.admission.as_deref(), key: Some(&attempt.key), ..self.signed_in() };
        let reply = self.client.send_once(method, &path, headers, attempt.body.as_ref()).await;
        let reply = certain(reply)?;
        self.unanswered = None;
        self.learn(attempt.what, &reply);
        Ok(())
    }

    fn learn(&mut self, what: What, reply: &Reply) {
        let ok = reply.status.is_success();
        match what {
            What::Join => self.told_standing(reply),
            What::Leave => {
                assert!(ok, "leaving: {reply:?}");
                (self.place, self.admission) = (None, None);
            }
            What::Hold | What::Extend(_) if ok => {
                let reference = reply.text("reference").expect("a reference").parse().expect("a reference");
                let expires_at = reply.text("expires_at").expect("a deadline");
                let extended = matches!(what, What::Extend(_));
                let before = self.orders.insert(reference, Order::Held { expires_at, extended });
                assert_eq!(before.is_some(), extended, "another order, or none: {reply:?}");
            }
            // Sold out, a limit: for certain, and nothing has changed.
            What::Hold => {
                let refused = ["sold_out", "no_such_seats", "fan_limit"].contains(&reply.code());
                assert!(refused, "hold: {reply:?}");
            }
            What::Release(reference) => {
                assert!(ok, "release: {reply:?}");
                self.orders.insert(reference, Order::Released);
            }
            What::Checkout(reference) => {
                assert!(ok, "checkout: {reply:?}");
                self.orders.insert(reference, Order::Paying { page: reply.text("payment_url").expect("a page") });
            }
            What::Extend(_) | What::Pay(..) => unreachable!("{what:?}: {reply:?}"),
        }
    }

    fn told_standing(&mut self, reply: &Reply) {
        assert!(reply.status.is_success(), "queue: {reply:?}");
        let token = |field: &str| reply.body[field].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        let before = self.place;
        if let Some(admission) = token("acceptedTokenId") {
            self.place = Some(place(&admission));
            self.admission = Some(admission);
        } else {
            assert!(self.admission.is_none(), "an admission is gone: {reply:?}");
            self.place = token("queueTicket").map(|ticket| place(&ticket));
        }
        assert!(
            self.place.is_some() && before.is_none_or(|before| self.place == Some(before)),
            "{before:?}: {reply:?}"
        );
    }

    /// How many wait, as this one is told.
    pub async fn waiting(&self) -> usize {
        let path = format!("/events/{}/queue", self.event);
        let total = async || self.get(&path).await.ok()?.body["totalPeopleInQueue"].as_u64();
        usize::try_from(eventually("an answer", async || total().await).await).expect("few")
    }

    /// What is waited for: the admission, the tickets.
    async fn look(&mut self) -> Result<(), NoAnswer> {
        sleep(Duration::from_millis(self.random.random_range(5..40))).await;
        if self.admission.is_none() {
            return self.look_at_queue().await;
        }
        for (reference, _) in self.orders.clone().into_iter().filter(|(_, order)| *order == Order::Paid) {
            self.look_at_paid(reference).await?;
        }
        Ok(())
    }

    async fn look_at_queue(&mut self) -> Result<(), NoAnswer> {
        let reply = self.get(&format!("/events/{}/queue", self.event)).await?;
        if reply.body["state"] == "called" {
            let claim = format!("/events/{}/queue/claim", self.event);
            let reply = self.client.send_once(Method::POST, &claim, self.signed_in(), None).await;
            let reply = certain(reply)?;
            self.told_standing(&reply);
            return Ok(());
        }
        self.told_standing(&reply);
        Ok(())
    }

    async fn look_at_paid(&mut self, reference: OrderRef) -> Result<(), NoAnswer> {
        let reply = self.get(&format!("/orders/{reference}")).await?;
        match reply.text("state").expect("a state").as_str() {
            "ticketed" => {
                let tickets = self.tickets(reference).await?;
                assert!(!tickets.is_empty(), "ticketed without tickets: {reply:?}");
                self.orders.insert(reference, Order::Ticketed { tickets });
            }
            "refunded" => drop(self.orders.insert(reference, Order::Refunded)),
            "pending" | "paying" | "paid" | "refunding" => {}
            other => unreachable!("a paid order is {other}"),
        }
        Ok(())
    }

    async fn tickets(&self, reference: OrderRef) -> Result<BTreeSet<String>, NoAnswer> {
        let mut found = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/tickets?limit=200{cursor}")).await?;
            let reference = reference.to_string();
            let items = page.body["items"].as_array().expect("tickets").iter();
            let of_order = items.filter(|ticket| ticket["order"] == reference.as_str());
            found.extend(of_order.map(|ticket| ticket["id"].as_str().expect("an id").to_owned()));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(found),
            }
        }
    }

    /// After a restart: what was not answered is tried again, and then all that was ever told must be so.
    pub async fn check(mut self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while self.try_check().await.is_err() {
            assert!(Instant::now() < deadline, "{} gets no answer to {:?}", self.email, self.unanswered);
            sleep(Duration::from_millis(20)).await;
        }
        self
    }

    async fn try_check(&mut self) -> Result<(), NoAnswer> {
        if let Some(attempt) = self.unanswered.clone() {
            self.attempt(attempt).await?;
        }
        if self.place.is_some() {
            self.look_at_queue().await?;
        }
        for (reference, order) in &self.orders {
            self.check_order(*reference, order).await?;
        }
        Ok(())
    }

    async fn check_order(&self, reference: OrderRef, order: &Order) -> Result<(), NoAnswer> {
        let hold = self.get(&format!("/holds/{reference}")).await?;
        let state = hold.body["state"].as_str().unwrap_or_default().to_owned();
        match order {
            Order::Held { expires_at, .. } => {
                assert_eq!((state.as_str(), hold.body["expires_at"].as_str()), ("held", Some(expires_at.as_str())));
            }
            Order::Released => assert_eq!(state, "released"),
            // The money may come at any moment.
            Order::Paying { .. } | Order::Paid => assert!(["held", "sold"].contains(&state.as_str()), "{hold:?}"),
            Order::Ticketed { tickets } => {
                assert_eq!(state, "sold");
                assert_eq!(self.tickets(reference).await?, *tickets, "{reference}");
            }
            Order::Refunded => assert_ne!(state, "sold"),
        }
        Ok(())
    }

    /// Until every payment has come to its end.
    pub async fn settle(mut self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let paid: Vec<_> = self
                .orders
                .iter()
                .filter(|(_, order)| **order == Order::Paid)
                .map(|(reference, _)| *reference)
                .collect();
            if paid.is_empty() {
                return self;
            }
            for reference in paid {
                // Tried again below.
                let _ = self.look_at_paid(reference).await;
            }
            assert!(Instant::now() < deadline, "{} waits for tickets: {:?}", self.email, self.orders);
            sleep(Duration::from_millis(30)).await;
        }
    }

    fn signed_in(&self) -> Headers<'_> {
        Headers { access: Some(&self.access), ..Headers::default() }
    }

    /// Of something that is there.
    async fn get(&self, path: &str) -> Result<Reply, NoAnswer> {
        let reply = certain(self.client.send_once(Method::GET, path, self.signed_in(), None).await)?;
        assert!(reply.status.is_success(), "{path}: {reply:?}");
        Ok(reply)
    }
}

/// Whatever is neither lost nor says that it may be tried again.
fn certain(reply: Result<Reply, String>) -> Result<Reply, NoAnswer> {
    match reply {
        Ok(reply) if matches!(reply.status.as_u16(), 429 | 502..=504) || reply.code() == "request_running" => {
            Err(NoAnswer)
        }
        Ok(reply) => Ok(reply),
        Err(_) => Err(NoAnswer),
    }
}

/// Which place a token is about.
fn place(token: &str) -> u64 {
    claims(token)["plc"].as_u64().expect("a place")
}

/// What a token says, to whoever has no key.
pub fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("a signed token");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
    serde_json::from_slice(&claims).expect("JSON")
}
