//! One fan's life: sign in, wait, be admitted, hold, pay or not.

use std::{mem, sync::Arc, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use super::{
    Account, Manner, Outcome, Report, Step,
    client::{Client, Headers, Pass, Reply, Socket},
};
use crate::{
    domain::{
        id::{EventId, OrderRef},
        time::Millis,
    },
    http::shapes::Timestamp,
};

/// What a fan will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub intent: Intent,
    pub quantity: u32,
    /// Drops the socket once and comes back.
    pub reconnects: bool,
    /// Sends the same hold twice with one key.
    pub retries: bool,
    /// Which way of choosing is tried first.
    pub taste: u32,
    pub arrives_after: Duration,
    pub thinks: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Buy,
    Leave,
    LetLapse,
    Decline,
    /// Pays in the hold's last moments, by the card of which the shop is told when it has lapsed.
    PayLate,
    /// By the card of which the shop is told again and again.
    BuyRepeated,
}

/// Left of the hold of a late payer: less than the card's three seconds.
const LAST_MOMENTS: Millis = Millis(1_500);
/// The server speaks at least by its pings and updates; longer silence is a fault.
const SILENCE: Duration = Duration::from_secs(60);

pub struct Life {
    client: Arc<Client>,
    event: EventId,
    account: Account,
    plan: Plan,
    reports: UnboundedSender<Report>,
}

/// How waiting ended.
enum Waited {
    Admitted { token: String },
    Left,
    SoldOut,
}

/// How trying to hold ended.
enum Tried {
    Held {
        reference: OrderRef,
    },
    NothingLeft,
    /// The admission ran out before anything was found.
    NotAdmitted,
}

impl Life {
    pub fn new(
        client: Arc<Client>,
        event: EventId,
        account: Account,
        plan: Plan,
        reports: UnboundedSender<Report>,
    ) -> Self {
        Self { client, event, account, plan, reports }
    }

    pub async fn live(self) {
        let outcome = self.play().await.unwrap_or_else(|why| Outcome::Failed { why });
        self.report(Step::Done(outcome));
    }

    fn report(&self, step: Step) {
        // Nobody listens any more: the run is being torn down.
        let _ = self.reports.send(Report { fan: self.account.id, step });
    }

    async fn play(&self) -> Result<Outcome, String> {
        tokio::time::sleep(self.plan.arrives_after).await;
        let body = json!({"email": self.account.email, "password": self.account.password});
        let login = self.client.send(Method::POST, "/auth/login", Headers::default(), Some(&body)).await?;
        let access = login.text("access_token")?;
        // Sold out while shopping is not the end while somebody's hold may still come back: then the fan queues again.
        loop {
            let token = match self.wait(&access).await? {
                Waited::Admitted { token } => token,
                Waited::Left => return Ok(Outcome::Left),
                Waited::SoldOut => return Ok(Outcome::SoldOut),
            };
            self.report(Step::Admitted);
            tokio::time::sleep(self.plan.thinks).await;
            match self.hold(&access, &token).await? {
                Tried::Held { reference } => return self.after_hold(&access, reference).await,
                Tried::NothingLeft | Tried::NotAdmitted => self.leave(&access).await?,
            }
        }
    }

    async fn wait(&self, access: &str) -> Result<Waited, String> {
        let by_token = || Pass::Access(access.to_owned());
        let mut ticket = None;
        let mut socket = self.open(by_token(), access, None).await?;
        let mut pass = by_token();
        let mut reported = false;
        let mut reconnected = !self.plan.reconnects;
        let mut best_position = u64::MAX;
        loop {
            let next =
                tokio::time::timeout(SILENCE, socket.next()).await.map_err(|_| "the socket is silent".to_owned())?;
            let Ok(Some(update)) = next else {
                // Closed or cut, the server may be restarting: the place is kept.
                socket = self.open(mem::replace(&mut pass, by_token()), access, ticket.as_deref()).await?;
                continue;
            };
            if let Some(ticket) = update["resumeTicket"].as_str() {
                self.client.turn_from(&socket);
                pass = Pass::Resume(ticket.to_owned());
                continue;
            }
            if !reported {
                reported = true;
                self.report(Step::Joined);
            }
            if let Some(told) = update["queueTicket"].as_str().filter(|ticket| !ticket.is_empty()) {
                ticket = Some(told.to_owned());
            }
            if let Some(token) = update["acceptedTokenId"].as_str().filter(|token| !token.is_empty()) {
                let token = token.to_owned();
                socket.close().await;
                return Ok(Waited::Admitted { token });
            }
            if update["state"] == "called" {
                // Whoever was away when the turn came takes it up. If this is not heard, the next update asks again.
                let _ = socket.say(&json!({"type": "claim"})).await;
            }
            if update["soldOut"] == true {
                socket.close().await;
                self.leave(access).await?;
                return Ok(Waited::SoldOut);
            }
            if update["rebuilding"] == true {
                // Announced: numbers are counted anew.
                best_position = u64::MAX;
                continue;
            }
            let Some(position) = update["positionInQueue"].as_u64().filter(|_| update["state"] == "waiting") else {
                continue;
            };
            if position > best_position {
                return Err(format!("moved back from {best_position} to {position}"));
            }
            best_position = position;
            if self.plan.intent == Intent::Leave {
                socket.close().await;
                self.leave(access).await?;
                return Ok(Waited::Left);
            }
            if !reconnected {
                reconnected = true;
                socket.close().await;
                tokio::time::sleep(self.plan.thinks).await;
                socket = self.open(by_token(), access, ticket.as_deref()).await?;
            }
        }
    }

    /// Opens the queue's socket, over restarts of the server. A resume ticket is tried once.
    async fn open(&self, mut pass: Pass, access: &str, ticket: Option<&str>) -> Result<Socket, String> {
        let mut last = String::new();
        for _ in 0..120 {
            match self.client.reopen_queue(self.event, &pass, ticket).await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
            pass = Pass::Access(access.to_owned());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(last)
    }

    async fn leave(&self, access: &str) -> Result<(), String> {
        let headers = Headers { access: Some(access), ..Headers::default() };
        let reply = self.client.send(Method::DELETE, &format!("/events/{}/queue", self.event), headers, None).await?;
        if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND {
            Ok(())
        } else {
            Err(format!("leaving: {reply:?}"))
        }
    }

    /// Tries the ways of choosing one after the other, for fewer and fewer tickets.
    async fn hold(&self, access: &str, admission: &str) -> Result<Tried, String> {
        let path = format!("/events/{}/holds", self.event);
        for quantity in (1..=self.plan.quantity).rev() {
            for way in 0..3 {
                let Some(body) = self.choose((self.plan.taste + way) % 3, quantity).await? else { continue };
                let key = Uuid::new_v4().to_string();
                let headers = Headers { access: Some(access), admission: Some(admission), key: Some(&key) };
                let reply = self.client.send(Method::POST, &path, headers, Some(&body)).await?;
                match (reply.status.as_u16(), reply.code()) {
                    (201, _) => {
                        let reference = self.held(&reply, headers, &path, &body, quantity).await?;
                        return Ok(Tried::Held { reference });
                    }
                    (403, "not_admitted" | "admission_invalid" | "admission_expired") => return Ok(Tried::NotAdmitted),
                    (409, _) => {}
                    _ => return Err(format!("hold: {} {}", reply.status, reply.body)),
                }
            }
        }
        Ok(Tried::NothingLeft)
    }

    async fn held(
        &self,
        reply: &Reply,
        headers: Headers<'_>,
        path: &str,
        body: &Value,
        quantity: u32,
    ) -> Result<OrderRef, String> {
        let reference = reply.text("reference")?;
        if self.plan.retries {
            let again = self.client.send(Method::POST, path, headers, Some(body)).await?;
            if again.body["reference"] != reference.as_str() {
                return Err(format!("the same key gave {reference}, then {} {}", again.status, again.body));
            }
        }
        let reference: OrderRef = reference.parse().map_err(|error| format!("reference: {error}"))?;
        self.report(Step::Held { reference, quantity, again: self.plan.retries });
        Ok(reference)
    }

    /// The body of a hold, or nothing if this way has nothing to offer.
    async fn choose(&self, way: u32, quantity: u32) -> Result<Option<Value>, String> {
        match way {
            0 => Ok(Some(json!({"items": [{"ticket_type": "STANDING", "quantity": quantity}]}))),
            1 => Ok(Some(json!({"best_available": {"ticket_type": "STALLS", "quantity": quantity}}))),
            _ => {
                let seats = self
                    .client
                    .send(Method::GET, &format!("/events/{}/seats", self.event), Headers::default(), None)
                    .await?;
                let free: Vec<&Value> = seats.body["seats"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|seat| seat["ticket_type"] == "BALCONY" && seat["state"] == "free")
                    .collect();
                if free.len() < quantity as usize {
                    return Ok(None);
                }
                // Everybody starts elsewhere, or all of them want the first row at once.
                let start = self.account.id.as_u128() as usize % (free.len() - quantity as usize + 1);
                let ids: Vec<&Value> =
                    free.iter().skip(start).take(quantity as usize).map(|seat| &seat["id"]).collect();
                Ok(Some(json!({"seats": ids})))
            }
        }
    }

    async fn after_hold(&self, access: &str, reference: OrderRef) -> Result<Outcome, String> {
        let headers = Headers { access: Some(access), ..Headers::default() };
        tokio::time::sleep(self.plan.thinks).await;
        if self.plan.intent == Intent::LetLapse {
            return self.until_lapsed(headers, reference).await;
        }
        let key = Uuid::new_v4().to_string();
        let with_key = Headers { key: Some(&key), ..headers };
        let checkout = json!({"provider": "sandbox"});
        let reply =
            self.client.send(Method::POST, &format!("/orders/{reference}/checkout"), with_key, Some(&checkout)).await?;
        if reply.code() == "hold_ended" {
            // Too slow, as a fan can be: the hold was not there any more.
            self.leave(access).await?;
            return Ok(Outcome::Lapsed { reference });
        }
        if reply.status != StatusCode::ACCEPTED {
            return Err(format!("checkout: {} {}", reply.status, reply.body));
        }
        let page = reply.text("payment_url")?;
        if self.plan.intent == Intent::Decline {
            self.answer_page(&page, "outcome=decline").await?;
            let key = Uuid::new_v4().to_string();
            let with_key = Headers { key: Some(&key), ..headers };
            let reply = self
                .client
                .send(Method::POST, &format!("/orders/{reference}/cancel"), with_key, Some(&json!({})))
                .await?;
            // The hold may have lapsed in the meantime, which comes to the same.
            if !reply.status.is_success() && reply.status != StatusCode::CONFLICT {
                return Err(format!("cancel: {} {}", reply.status, reply.body));
            }
            self.leave(access).await?;
            return Ok(Outcome::Declined { reference });
        }
        if self.plan.intent == Intent::PayLate {
            self.until_nearly_lapsed(headers, reference).await?;
        }
        self.pay(headers, reference, &page).await
    }

    async fn pay(&self, headers: Headers<'_>, reference: OrderRef, page: &str) -> Result<Outcome, String> {
        let (form, manner) = match self.plan.intent {
            Intent::BuyRepeated => ("outcome=pay&card=4000000000000036", Manner::Repeated),
            Intent::PayLate => ("outcome=pay&card=4000000000000010", Manner::Late),
            _ => ("outcome=pay", Manner::Good),
        };
        self.answer_page(page, form).await?;
        let mut is_paid = false;
        for _ in 0..600 {
            let reply = self.client.send(Method::GET, &format!("/orders/{reference}"), headers, None).await?;
            let state = reply.body["state"].as_str();
            if !is_paid && matches!(state, Some("paid" | "ticketed" | "refunding" | "refunded")) {
                is_paid = true;
                self.report(Step::Paid { reference, manner });
            }
            match state {
                Some("ticketed") => {
                    let own = self.client.send(Method::GET, "/tickets?limit=100", headers, None).await?;
                    let order = reference.to_string();
                    let tickets = own.body["items"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter(|ticket| ticket["order"] == order.as_str());
                    let tickets = u32::try_from(tickets.count()).unwrap_or(u32::MAX);
                    self.leave(headers.access.unwrap_or_default()).await?;
                    return Ok(Outcome::Ticketed { reference, tickets });
                }
                Some("refunded") => return Ok(Outcome::Refunded { reference }),
                // The provider's page was closed when the hold lapsed, before the fan had paid.
                Some("cancelled") if self.was_declined(headers, reference).await? => {
                    self.leave(headers.access.unwrap_or_default()).await?;
                    return Ok(Outcome::Lapsed { reference });
                }
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        Err(format!("paid {reference} and neither ticket nor money back in two minutes"))
    }

    /// Sends the hosted page's form, over restarts of the server.
    async fn answer_page(&self, page: &str, form: &'static str) -> Result<(), String> {
        let mut tries = 0;
        loop {
            match self.client.post_form(page, form).await {
                Ok(status) if status.is_success() || status.is_redirection() => return Ok(()),
                other if tries >= 240 => return Err(format!("{form}: {other:?}")),
                _ => tries += 1,
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn was_declined(&self, headers: Headers<'_>, reference: OrderRef) -> Result<bool, String> {
        let reply = self.client.send(Method::GET, &format!("/orders/{reference}/checkout"), headers, None).await?;
        Ok(reply.body["state"] == "declined")
    }

    async fn until_nearly_lapsed(&self, headers: Headers<'_>, reference: OrderRef) -> Result<(), String> {
        loop {
            let reply = self.client.send(Method::GET, &format!("/holds/{reference}"), headers, None).await?;
            let moment = |field: &str| serde_json::from_value::<Timestamp>(reply.body[field].clone());
            let (Ok(ends), Ok(now)) = (moment("expires_at"), moment("server_now")) else { return Ok(()) };
            let left = ends.0.since(now.0);
            if reply.body["state"] != "held" || left <= LAST_MOMENTS {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis((left.0 - LAST_MOMENTS.0).min(1_000))).await;
        }
    }

    async fn until_lapsed(&self, headers: Headers<'_>, reference: OrderRef) -> Result<Outcome, String> {
        for _ in 0..600 {
            let reply = self.client.send(Method::GET, &format!("/holds/{reference}"), headers, None).await?;
            if reply.body["state"] != "held" {
                return Ok(Outcome::Lapsed { reference });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(format!("{reference} did not lapse in two minutes"))
    }
}
