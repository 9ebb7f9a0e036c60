//! S-20: every route of the OpenAPI document, asked by every kind of account, for own and foreign objects.
//!
//! A route without a row fails, and so does a row without a route.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use onsale::{
    domain::{account::Role, time::Millis},
    http::{now, shapes::Timestamp},
    stores::{database::dead_letters, order_bus::Message},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{PASSWORD, until},
    served::{Answer, Served, SignedIn, config},
};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    Anybody,
    SignedIn,
    /// The fan whose object it is. For everybody else it is not there, admins included.
    ItsFan,
    AnOrganizer,
    /// The organizer whose event it is, and admins.
    ItsOrganizer,
    /// Those and operators.
    Steerers,
    /// Those and who works at the door.
    Doors,
    /// And admins.
    Operators,
    Admins,
}

use May::{Admins, AnOrganizer, Anybody, Doors, ItsFan, ItsOrganizer, Operators, SignedIn as AnyAccount, Steerers};

/// What ends the event comes last.
const ROWS: [(&str, &str, May); 179] = [
    ("post", "/api/v1/auth/register", Anybody),
    ("post", "/api/v1/auth/login", Anybody),
    ("post", "/api/v1/auth/refresh", Anybody),
    ("post", "/api/v1/auth/logout", Anybody),
    ("get", "/api/v1/auth/me", AnyAccount),
    ("get", "/api/v1/auth/profile", AnyAccount),
    ("put", "/api/v1/auth/profile", AnyAccount),
    ("put", "/api/v1/auth/password", AnyAccount),
    ("post", "/api/v1/auth/step-up", AnyAccount),
    ("post", "/api/v1/auth/socket-ticket", AnyAccount),
    ("post", "/api/v1/auth/reset", Anybody),
    ("post", "/api/v1/auth/reset/confirm", Anybody),
    ("post", "/api/v1/auth/verify", AnyAccount),
    ("get", "/api/v1/me/messages", AnyAccount),
    ("get", "/api/v1/me/messages/count", AnyAccount),
    ("post", "/api/v1/me/messages/read", AnyAccount),
    ("post", "/api/v1/me/messages/delete", AnyAccount),
    ("get", "/api/v1/me/messages/{message}", ItsFan),
    ("delete", "/api/v1/me/messages/{message}", ItsFan),
    ("get", "/api/v1/me/message-settings", AnyAccount),
    ("put", "/api/v1/me/message-settings", AnyAccount),
    ("get", "/api/v1/templates", AnOrganizer),
    ("put", "/api/v1/templates/{kind}/{language}", AnOrganizer),
    ("delete", "/api/v1/templates/{kind}/{language}", AnOrganizer),
    ("get", "/api/v1/events", Anybody),
    ("post", "/api/v1/events", AnOrganizer),
    ("get", "/api/v1/events/{event}", Anybody),
    ("patch", "/api/v1/events/{event}", ItsOrganizer),
    ("put", "/api/v1/events/{event}/seat-plan", ItsOrganizer),
    ("post", "/api/v1/events/{event}/publish", ItsOrganizer),
    ("post", "/api/v1/events/{event}/pause", ItsOrganizer),
    ("post", "/api/v1/events/{event}/resume", ItsOrganizer),
    ("delete", "/api/v1/events/{event}", ItsOrganizer),
    ("post", "/api/v1/events/{event}/queue", AnyAccount),
    ("get", "/api/v1/events/{event}/queue", AnyAccount),
    ("post", "/api/v1/devices", Anybody),
    ("post", "/api/v1/events/{event}/queue/tie", AnyAccount),
    ("post", "/api/v1/events/{event}/queue/claim", AnyAccount),
    ("post", "/api/v1/events/{event}/queue/extend", AnyAccount),
    ("get", "/api/v1/events/{event}/queue/pass", AnyAccount),
    ("post", "/api/v1/events/{event}/queue/pass/introspect", Anybody),
    ("get", "/.well-known/jwks.json", Anybody),
    ("delete", "/api/v1/events/{event}/queue", AnyAccount),
    ("get", "/api/v1/events/{event}/queue/socket", AnyAccount),
    ("get", "/api/v1/events/{event}/queue/stream", AnyAccount),
    ("get", "/ws", AnyAccount),
    ("get", "/api/v1/events/{event}/queue/draw", Anybody),
    ("get", "/api/v1/events/{event}/queue/classes", Anybody),
    ("get", "/api/v1/events/{event}/queue/draw/proof", AnyAccount),
    ("get", "/api/v1/events/{event}/availability", Anybody),
    ("get", "/api/v1/events/{event}/seats", Anybody),
    ("get", "/api/v1/events/{event}/stock/stream", Anybody),
    ("get", "/api/v1/events/{event}/stock/socket", Anybody),
    ("post", "/api/v1/events/{event}/holds", AnyAccount),
    ("put", "/api/v1/events/{event}/waitlist", AnyAccount),
    ("get", "/api/v1/events/{event}/waitlist", AnyAccount),
    ("delete", "/api/v1/events/{event}/waitlist", AnyAccount),
    ("get", "/api/v1/holds/{reference}", ItsFan),
    ("post", "/api/v1/holds/{reference}/extend", ItsFan),
    ("delete", "/api/v1/holds/{reference}", ItsFan),
    ("get", "/api/v1/orders", AnyAccount),
    ("get", "/api/v1/orders/{reference}", ItsFan),
    ("post", "/api/v1/orders/{reference}/cancel", ItsFan),
    ("post", "/api/v1/orders/{reference}/checkout", ItsFan),
    ("get", "/api/v1/orders/{reference}/checkout", ItsFan),
    ("post", "/api/v1/payments/sandbox/webhook", Anybody),
    ("post", "/api/v1/payments/stripe/webhook", Anybody),
    ("post", "/api/v1/payments/toss/webhook", Anybody),
    ("get", "/api/v1/me/refunds", AnyAccount),
    ("get", "/api/v1/tickets", AnyAccount),
    ("get", "/api/v1/tickets/{ticket}", ItsFan),
    ("put", "/api/v1/tickets/{ticket}/return", ItsFan),
    ("delete", "/api/v1/tickets/{ticket}/return", ItsFan),
    ("get", "/api/v1/tickets/{ticket}/pdf", ItsFan),
    ("get", "/api/v1/tickets/{ticket}/qr.svg", ItsFan),
    ("get", "/api/v1/tickets/{ticket}/event.ics", ItsFan),
    ("put", "/api/v1/tickets/{ticket}/holder", ItsFan),
    ("get", "/api/v1/tickets/{ticket}/rotation", ItsFan),
    ("get", "/api/v1/tickets/{ticket}/apple.pkpass", ItsFan),
    ("get", "/api/v1/tickets/{ticket}/google-wallet", ItsFan),
    ("post", "/api/v1/tickets/{ticket}/transfers", ItsFan),
    ("get", "/api/v1/me/transfers", AnyAccount),
    ("post", "/api/v1/transfers/look", AnyAccount),
    ("post", "/api/v1/transfers/accept", AnyAccount),
    ("delete", "/api/v1/me/transfers/{transfer}", ItsFan),
    ("get", "/api/v1/orders/{reference}/tickets.pdf", ItsFan),
    ("get", "/api/v1/ticket-keys", Anybody),
    ("post", "/api/v1/events/{event}/scans", Doors),
    ("get", "/api/v1/events/{event}/scans", Doors),
    ("get", "/api/v1/events/{event}/door", Doors),
    ("get", "/api/v1/events/{event}/door/tickets", Doors),
    ("get", "/api/v1/events/{event}/door/rotation", Doors),
    ("get", "/api/v1/webhooks", AnOrganizer),
    ("post", "/api/v1/webhooks", AnOrganizer),
    ("get", "/api/v1/webhooks/{endpoint}", ItsOrganizer),
    ("patch", "/api/v1/webhooks/{endpoint}", ItsOrganizer),
    ("post", "/api/v1/webhooks/{endpoint}/rotate", ItsOrganizer),
    ("post", "/api/v1/webhooks/{endpoint}/ping", ItsOrganizer),
    ("get", "/api/v1/webhooks/{endpoint}/deliveries", ItsOrganizer),
    ("get", "/api/v1/webhooks/{endpoint}/deliveries/{delivery}", ItsOrganizer),
    ("post", "/api/v1/webhooks/{endpoint}/deliveries/{delivery}/redeliver", ItsOrganizer),
    ("get", "/api/v1/health/live", Anybody),
    ("get", "/api/v1/health/ready", Anybody),
    ("get", "/api/v1/admin/events/{event}/queue", Steerers),
    ("get", "/api/v1/admin/events/{event}/queue/live", Steerers),
    ("get", "/api/state", Steerers),
    ("post", "/api/add", Steerers),
    ("post", "/api/remove", Steerers),
    ("post", "/api/clear", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/synthetic", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/admit", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/remove", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/revoke", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/clear", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/pause", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/resume", Steerers),
    ("put", "/api/v1/admin/events/{event}/queue/rate", Steerers),
    ("put", "/api/v1/admin/events/{event}/queue/slots", Steerers),
    ("put", "/api/v1/admin/events/{event}/queue/mode", Steerers),
    ("put", "/api/v1/admin/events/{event}/queue/notice", Steerers),
    ("put", "/api/v1/admin/events/{event}/queue/classes/members", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/move", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/invites", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/invites/withdraw", Steerers),
    ("put", "/api/v1/admin/events/{event}/halt", Steerers),
    ("get", "/api/v1/admin/halt", Operators),
    ("put", "/api/v1/admin/halt", Operators),
    ("get", "/api/v1/admin/events/{event}/queue/draw", Steerers),
    ("post", "/api/v1/admin/events/{event}/queue/draw/beacon", Steerers),
    ("get", "/api/v1/admin/events/{event}/stock", Steerers),
    ("put", "/api/v1/admin/events/{event}/stock", Steerers),
    ("get", "/api/v1/admin/events/{event}/waitlist", Steerers),
    ("put", "/api/v1/admin/events/{event}/waitlist", Steerers),
    ("get", "/api/v1/admin/events/{event}/codes", Steerers),
    ("post", "/api/v1/admin/events/{event}/codes", Steerers),
    ("post", "/api/v1/admin/events/{event}/codes/withdraw", Steerers),
    ("get", "/api/v1/admin/orders/{reference}/refunds", Steerers),
    ("post", "/api/v1/admin/orders/{reference}/refunds", Steerers),
    ("get", "/api/v1/admin/events/{event}/refunds", Steerers),
    ("post", "/api/v1/admin/events/{event}/refunds", Steerers),
    ("get", "/api/v1/admin/events/{event}/refunds/list", Steerers),
    ("post", "/api/v1/admin/events/{event}/broadcasts", Steerers),
    ("get", "/api/v1/admin/events/{event}/broadcasts", Steerers),
    ("get", "/api/v1/admin/events/{event}/broadcasts/{broadcast}", Steerers),
    ("get", "/api/v1/admin/templates", Operators),
    ("put", "/api/v1/admin/templates/{kind}/{language}", Operators),
    ("delete", "/api/v1/admin/templates/{kind}/{language}", Operators),
    ("get", "/api/v1/admin/refunds", Operators),
    ("post", "/api/v1/admin/refunds/{refund}/retry", Operators),
    ("get", "/api/v1/admin/providers", Operators),
    ("get", "/api/v1/admin/cluster", Operators),
    ("post", "/api/v1/admin/cluster/nodes/{node}/drain", Operators),
    ("post", "/api/v1/admin/cluster/nodes/{node}/undrain", Operators),
    ("post", "/api/v1/admin/cluster/events/{event}/move", Operators),
    ("get", "/api/v1/admin/accounts", Admins),
    ("get", "/api/v1/admin/accounts/{account}", Admins),
    ("put", "/api/v1/admin/accounts/{account}/roles", Admins),
    ("put", "/api/v1/admin/accounts/{account}/status", Admins),
    ("get", "/api/v1/admin/audit", Admins),
    ("get", "/api/v1/admin/mails", Admins),
    ("get", "/api/v1/admin/mails/{mail}", Admins),
    ("get", "/api/v1/admin/mails/{mail}/message", Admins),
    ("post", "/api/v1/admin/mails/{mail}/send", Admins),
    ("get", "/api/v1/admin/orders/{reference}/tickets", Steerers),
    ("post", "/api/v1/admin/tickets/{ticket}/reissue", Steerers),
    ("post", "/api/v1/admin/tickets/{ticket}/seat", Steerers),
    ("get", "/api/v1/admin/attention", Operators),
    ("get", "/api/v1/admin/dead-letters", Operators),
    ("get", "/api/v1/admin/dead-letters/{letter}", Operators),
    ("post", "/api/v1/admin/dead-letters/{letter}/redrive", Operators),
    ("post", "/api/v1/admin/dead-letters/{letter}/drop", Operators),
    ("get", "/api/v1/admin/keys", Operators),
    ("post", "/api/v1/admin/keys/rotate", Operators),
    ("post", "/api/v1/events/{event}/end", ItsOrganizer),
    ("post", "/api/v1/events/{event}/cancel", ItsOrganizer),
    ("delete", "/api/v1/webhooks/{endpoint}", ItsOrganizer),
    // Ended and cancelled, it is still there for those who may see it.
    ("get", "/api/v1/events/{event}", Anybody),
    ("get", "/api/v1/orders/{reference}", ItsFan),
    ("get", "/api/v1/tickets/{ticket}", ItsFan),
];

/// The first version's paths on the admin listener.
const FIRST_ADMIN: [&str; 4] = ["/api/state", "/api/add", "/api/remove", "/api/clear"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    OtherFan,
    ItsFan,
    OtherOrganizer,
    ItsOrganizer,
    Staff,
    Operator,
    Admin,
}

const EVERYBODY: [Who; 8] = [
    Who::Nobody,
    Who::OtherFan,
    Who::ItsFan,
    Who::OtherOrganizer,
    Who::ItsOrganizer,
    Who::Staff,
    Who::Operator,
    Who::Admin,
];

/// `None`: passes.
fn refusal(may: May, who: Who) -> Option<(u16, &'static str)> {
    let is_allowed = match may {
        Anybody => return None,
        AnyAccount => true,
        ItsFan => who == Who::ItsFan,
        AnOrganizer => matches!(who, Who::OtherOrganizer | Who::ItsOrganizer | Who::Admin),
        ItsOrganizer => matches!(who, Who::ItsOrganizer | Who::Admin),
        Steerers => matches!(who, Who::ItsOrganizer | Who::Operator | Who::Admin),
        Doors => matches!(who, Who::ItsOrganizer | Who::Staff | Who::Operator | Who::Admin),
        Operators => matches!(who, Who::Operator | Who::Admin),
        Admins => who == Who::Admin,
    };
    match (who, is_allowed) {
        (Who::Nobody, _) => Some((401, "unauthenticated")),
        (_, true) => None,
        (_, false) if may == ItsFan => Some((404, "not_found")),
        (_, false) => Some((403, "forbidden")),
    }
}

/// A refusal for who asks or for whom it is. Others, such as `hold_ended`, come after it was allowed.
const NOT_ALLOWED: [&str; 5] = ["unauthenticated", "token_expired", "account_disabled", "forbidden", "not_found"];

fn body(method: &str, path: &str) -> Option<Value> {
    let reason = "matrix";
    let (_, last) = path.rsplit_once('/').expect("a path");
    let body = match (method, path, last) {
        (_, "/api/v1/auth/register", _) => {
            json!({"email": "new@example.org", "password": PASSWORD, "name": "New", "language": "en"})
        }
        (_, "/api/v1/auth/login", _) => json!({"email": "its-fan@example.org", "password": PASSWORD}),
        (_, "/api/v1/auth/refresh" | "/api/v1/auth/logout", _) => json!({"refresh_token": "nobody's"}),
        (_, "/api/v1/auth/reset", _) => json!({"email": "its-fan@example.org"}),
        (_, "/api/v1/auth/reset/confirm", _) => {
            json!({"email": "its-fan@example.org", "code": "not one", "new_password": "never mine"})
        }
        ("post", "/api/v1/me/messages/read" | "/api/v1/me/messages/delete", _) => {
            json!({"messages": ["00000000000040008000000000000000"]})
        }
        ("put", "/api/v1/me/message-settings", _) => json!({"refund_begun": {"mail": false, "in_app": true}}),
        ("put", _, "{language}") => json!({"subject": "{event}", "text": "Hello {name}"}),
        ("post", _, "broadcasts") => {
            json!({"texts": {"en": {"subject": "Doors", "text": "They open late."}}, "reason": reason})
        }
        (_, "/api/v1/auth/step-up", _) => json!({"password": PASSWORD}),
        ("put", "/api/v1/auth/profile", _) => json!({"needs_more_time": true}),
        (_, "/api/v1/auth/password", _) => json!({"current_password": "not mine", "new_password": "never mine"}),
        ("post", "/api/v1/events", _) => concert(),
        ("post", "/api/v1/webhooks", _) => {
            json!({"url": "https://hooks.example.com/", "topics": ["ticket.issued"]})
        }
        ("patch", "/api/v1/webhooks/{endpoint}", _) => json!({"description": "of the shop"}),
        ("post", "/api/v1/webhooks/{endpoint}/rotate", _) => json!({}),
        ("patch", ..) => json!({"version": 1, "title": "Another title"}),
        ("put", _, "seat-plan") => json!({"seats": []}),
        ("post", _, "refunds" | "retry" | "reissue") => json!({"reason": reason}),
        ("post", _, "holds") => json!({"items": [{"ticket_type": "GA", "quantity": 1}]}),
        ("post", _, "scans") => {
            json!({"device": "north", "scans": [{"id": "00000000000040008000000000000000", "code": "x", "direction": "in"}]})
        }
        ("put", _, "holder") => json!({"name": "Another"}),
        ("post", _, "seat") => json!({"seat": "A-1-1", "reason": reason}),
        ("post", _, "checkout") => json!({"provider": "sandbox"}),
        (
            _,
            "/api/v1/payments/sandbox/webhook" | "/api/v1/payments/stripe/webhook" | "/api/v1/payments/toss/webhook",
            _,
        ) => {
            json!({})
        }
        ("post", _, "introspect") => json!({"pass": "of nobody"}),
        ("post", _, "tie") => json!({"deviceKey": "of no device"}),
        (_, _, "admit" | "remove" | "synthetic") => json!({"count": 1, "reason": reason}),
        (_, _, "revoke") => json!({"fans": ["00000000000040008000000000000000"], "reason": reason}),
        ("put", _, "rate") => json!({"per_minute": 600, "reason": reason}),
        ("post", _, "beacon") => json!({"value": "8f0c", "reason": reason}),
        ("put", _, "mode") => json!({"mode": "fifo", "reason": reason}),
        ("put", _, "notice") => json!({"texts": {"en": "The hall opens late."}, "reason": reason}),
        (_, _, "invites") => {
            json!({"count": 1, "expires_at": Timestamp(now() + Millis::minutes(60)), "reason": reason})
        }
        (_, path, "withdraw") if path.ends_with("/codes/withdraw") => json!({"codes": ["NONE"], "reason": reason}),
        ("post", _, "codes") => json!({"count": 1, "terms": {"opens": true}, "reason": reason}),
        (_, _, "withdraw") => json!({"invites": ["00000000000040008000000000000000"], "reason": reason}),
        ("put", _, "halt") => json!({"halted": false, "reason": reason}),
        ("put", _, "slots") => json!({"slots": 100, "reason": reason}),
        ("put", path, "waitlist") if path.contains("/admin/") => json!({"mode": "off", "reason": reason}),
        ("put", _, "waitlist") => json!({"ticket_types": ["GA"], "quantity": 1}),
        ("put", _, "stock") => json!({"ticket_type": "GA", "stock": 100, "reason": reason}),
        ("put", _, "members") => {
            json!({"class": "default", "fans": ["00000000000040008000000000000000"], "reason": reason})
        }
        ("post", path, "move") if path.ends_with("/queue/move") => {
            json!({"fan": "00000000000040008000000000000000", "front": true, "reason": reason})
        }
        ("put", _, "roles") => json!({"roles": ["fan"], "reason": reason}),
        ("put", _, "status") => json!({"status": "active", "reason": reason}),
        (
            "post",
            path,
            "clear" | "pause" | "resume" | "drain" | "undrain" | "move" | "rotate" | "send" | "redrive" | "drop",
        ) if path.contains("/admin/") => {
            json!({"reason": reason})
        }
        _ => return None,
    };
    Some(body)
}

fn concert() -> Value {
    json!({
        "title": "Concert", "category": "music", "venue": "Hall", "city": "Berlin", "time_zone": "Europe/Berlin",
        "starts_at": "2090-06-01T18:00:00Z", "ends_at": "2090-06-01T22:00:00Z",
        "on_sale_at": "2020-01-01T09:00:00Z", "currency": "EUR",
        "ticket_types": [
            {"code": "GA", "name": "Standing", "price": {"minor": 3000, "currency": "EUR"}, "stock": 100},
        ],
    })
}

/// One of each kind of account, and what belongs to some of them.
struct World {
    served: Served,
    accounts: Vec<(Who, SignedIn)>,
    event: String,
    reference: String,
    ticket: String,
    mail: String,
    refund: String,
    letter: String,
    endpoint: String,
    delivery: String,
    message: String,
    broadcast: String,
    victim: String,
    transfer: String,
    code: String,
}

impl World {
    async fn make() -> Self {
        let served = Served::start(config()).await;
        let mut accounts = Vec::new();
        for (who, name, role) in [
            (Who::OtherFan, "other-fan", Role::Fan),
            (Who::ItsFan, "its-fan", Role::Fan),
            (Who::OtherOrganizer, "other-organizer", Role::Organizer),
            (Who::ItsOrganizer, "its-organizer", Role::Organizer),
            (Who::Staff, "staff", Role::Staff),
            (Who::Operator, "operator", Role::Operator),
            (Who::Admin, "admin", Role::Admin),
        ] {
            accounts.push((who, served.with_roles(&format!("{name}@example.org"), &[role]).await));
        }
        let victim = served.register("victim@example.org").await.id.to_string();
        let [event, reference, ticket, mail, refund, letter, transfer, code] = [const { String::new() }; 8];
        let [endpoint, delivery, message, broadcast] = [const { String::new() }; 4];
        let mut world = Self {
            served,
            accounts,
            event,
            reference,
            ticket,
            mail,
            refund,
            letter,
            endpoint,
            delivery,
            message,
            broadcast,
            victim,
            transfer,
            code,
        };
        world.sell().await;
        world
    }

    fn token(&self, who: Who) -> Option<&str> {
        self.accounts.iter().find(|(one, _)| *one == who).map(|(_, account)| account.access.as_str())
    }

    /// An event of its organizer, and a ticket of its fan, which is being refunded.
    async fn sell(&mut self) {
        let made = self.ask(Who::ItsOrganizer, "post", "/api/v1/events", Some(concert()), &[]).await;
        self.event = made.expect(StatusCode::CREATED)["id"].as_str().expect("id").to_owned();
        let event = format!("/api/v1/events/{}", self.event);
        self.ask(Who::ItsOrganizer, "post", &format!("{event}/publish"), None, &[]).await.expect(StatusCode::OK);
        let queue = format!("{event}/queue");
        self.ask(Who::ItsFan, "post", &queue, None, &[]).await.expect(StatusCode::OK);
        let mut admission = String::new();
        until("the fan is admitted", async || {
            let state = self.ask(Who::ItsFan, "get", &queue, None, &[]).await.expect(StatusCode::OK);
            if state["state"] == "called" {
                self.ask(Who::ItsFan, "post", &format!("{queue}/claim"), None, &[]).await;
            }
            admission = state["acceptedTokenId"].as_str().expect("text").to_owned();
            !admission.is_empty()
        })
        .await;
        let hold = body("post", &format!("{event}/holds"));
        let admitted = [("onsale-admission", admission.as_str())];
        let hold = self.ask(Who::ItsFan, "post", &format!("{event}/holds"), hold, &admitted).await;
        self.reference = hold.expect(StatusCode::CREATED)["reference"].as_str().expect("reference").to_owned();
        let checkout = format!("/api/v1/orders/{}/checkout", self.reference);
        let opened = self.ask(Who::ItsFan, "post", &checkout, body("post", &checkout), &[]).await;
        let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("URL").to_owned();
        let paid = self.served.client.post(page);
        let paid = paid.header("content-type", "application/x-www-form-urlencoded").body("outcome=pay");
        assert!(paid.send().await.expect("answer").status().is_success());
        let mut ticket = String::new();
        until("the ticket is there", async || {
            let tickets = self.ask(Who::ItsFan, "get", "/api/v1/tickets", None, &[]).await.expect(StatusCode::OK);
            ticket = tickets["items"][0]["id"].as_str().unwrap_or_default().to_owned();
            !ticket.is_empty()
        })
        .await;
        let transfers = format!("/api/v1/tickets/{ticket}/transfers");
        let transfer = self.ask(Who::ItsFan, "post", &transfers, None, &[]).await.expect(StatusCode::CREATED);
        let text = |name: &str| transfer[name].as_str().expect("text").to_owned();
        (self.ticket, self.transfer, self.code) = (ticket, text("transfer"), text("code"));
        let mails = self.ask(Who::Admin, "get", "/api/v1/admin/mails", None, &[]).await.expect(StatusCode::OK);
        self.mail = mails["items"][0]["id"].as_str().expect("a mail was written with the ticket").to_owned();
        let refunds = format!("/api/v1/admin/orders/{}/refunds", self.reference);
        let refund = self.ask(Who::ItsOrganizer, "post", &refunds, body("post", &refunds), &[]).await;
        self.refund = refund.expect(StatusCode::CREATED)["id"].as_str().expect("id").to_owned();
        let message = Message { routing_key: "order.unheard-of".into(), id: String::new(), body: Vec::new() };
        dead_letters::add(&self.served.app.database, &message, now()).await.expect("kept");
        let letters = self.ask(Who::Operator, "get", "/api/v1/admin/dead-letters", None, &[]).await;
        self.endpoint = self.make_endpoint().await;
        let broadcasts = format!("/api/v1/admin/events/{}/broadcasts", self.event);
        let made = self.ask(Who::ItsOrganizer, "post", &broadcasts, body("post", &broadcasts), &[]).await;
        self.broadcast = made.expect(StatusCode::ACCEPTED)["id"].as_str().expect("id").to_owned();
        let mut message = String::new();
        until("the fan is told", async || {
            let list = self.ask(Who::ItsFan, "get", "/api/v1/me/messages", None, &[]).await.expect(StatusCode::OK);
            message = list["items"][0]["id"].as_str().unwrap_or_default().to_owned();
            !message.is_empty()
        })
        .await;
        self.message = message;
        let ping = format!("/api/v1/webhooks/{}/ping", self.endpoint);
        let ping = self.ask(Who::ItsOrganizer, "post", &ping, None, &[]).await;
        self.delivery = ping.expect(StatusCode::ACCEPTED)["id"].as_str().expect("id").to_owned();
        self.letter = letters.expect(StatusCode::OK)["items"][0]["id"].as_str().expect("id").to_owned();
    }

    async fn make_endpoint(&self) -> String {
        let path = "/api/v1/webhooks";
        let made = self.ask(Who::ItsOrganizer, "post", path, body("post", path), &[]).await;
        made.expect(StatusCode::CREATED)["id"].as_str().expect("id").to_owned()
    }

    async fn ask(&self, who: Who, method: &str, path: &str, body: Option<Value>, more: &[(&str, &str)]) -> Answer {
        let is_admins = path.contains("/admin/") || FIRST_ADMIN.iter().any(|first| path.starts_with(first));
        let base = if is_admins { &self.served.admin } else { &self.served.public };
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let mut request = self.served.client.request(method, format!("{base}{path}"));
        request = request.header("idempotency-key", format!("{:x}", rand::random::<u128>()));
        if let Some(token) = self.token(who) {
            request = request.bearer_auth(token);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        if response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            // It has no end.
            return Answer { status: response.status(), headers: response.headers().clone(), text: String::new() };
        }
        Answer::of(response).await
    }

    async fn ask_row(&self, who: Who, method: &str, path: &str) -> Answer {
        // Deleted once it is not there for the others.
        let endpoint = if (method, path) == ("delete", "/api/v1/webhooks/{endpoint}") {
            self.make_endpoint().await
        } else {
            self.endpoint.clone()
        };
        let filled = path
            .replace("{event}", &self.event)
            .replace("{reference}", &self.reference)
            .replace("{ticket}", &self.ticket)
            .replace("{mail}", &self.mail)
            .replace("{refund}", &self.refund)
            .replace("{letter}", &self.letter)
            .replace("{endpoint}", &endpoint)
            .replace("{delivery}", &self.delivery)
            .replace("{message}", &self.message)
            .replace("{broadcast}", &self.broadcast)
            .replace("{kind}", "refund_done")
            .replace("{language}", "en")
            .replace("{account}", &self.victim)
            .replace("{transfer}", &self.transfer)
            .replace("{node}", "n1");
        let query = match path {
            "/ws" | "/api/state" | "/api/clear" => format!("?eventId={}", self.event),
            _ if path.ends_with("/seat-plan") => "?version=1".to_owned(),
            _ => String::new(),
        };
        let body = match path {
            "/api/add" | "/api/remove" => Some(json!({"eventId": self.event, "count": 1})),
            _ if path.contains("/transfers/") && method == "post" => Some(json!({"code": self.code})),
            _ => body(method, path),
        };
        self.ask(who, method, &format!("{filled}{query}"), body, &[]).await
    }
}

fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn s_20_every_route_of_the_document_has_a_row() {
    let document = serde_json::to_value(onsale::http::openapi::document()).expect("document");
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            routes.insert((method.clone(), path.clone()));
        }
    }
    let rows: BTreeSet<_> = ROWS.iter().map(|(method, path, _)| (method.to_string(), path.to_string())).collect();
    assert_eq!(routes.difference(&rows).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "routes without a row");
    assert_eq!(rows.difference(&routes).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "rows without a route");
}

#[test]
fn s_20_the_document_says_where_an_account_is_needed() {
    let document = serde_json::to_value(onsale::http::openapi::document()).expect("document");
    for (method, path, may) in ROWS {
        let operation = &document["paths"][path][method];
        let asks =
            operation["security"].as_array().is_some_and(|list| list.iter().any(|one| one.get("bearer").is_some()));
        assert_eq!(asks, may != Anybody, "{method} {path}: {may:?}");
    }
}

#[tokio::test]
async fn s_20_every_route_lets_in_whom_it_should_and_nobody_else() {
    let world = World::make().await;
    let mut wrong = Vec::new();
    for (method, path, may) in ROWS {
        for who in EVERYBODY {
            let answer = world.ask_row(who, method, path).await;
            let (status, code) = (answer.status.as_u16(), code(&answer));
            let good = match refusal(may, who) {
                Some(expected) => (status, code.as_str()) == expected,
                None => !NOT_ALLOWED.contains(&code.as_str()) && !matches!(status, 405 | 415 | 500),
            };
            if !good {
                wrong.push(format!("{method} {path} as {who:?}: {status} {code}; {may:?} may"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn foreign(world: &World) -> Vec<Answer> {
    let rows = ROWS.into_iter().filter(|row| row.2 == ItsFan);
    join_all(rows.map(|(method, path, _)| world.ask_row(Who::OtherFan, method, path))).await
}

#[tokio::test]
async fn s_20_a_foreign_object_looks_like_one_that_is_not_there() {
    let mut world = World::make().await;
    let seen = foreign(&world).await;
    let nothing = format!("{:032x}", 1);
    world.reference = format!("{}-{nothing}", world.event);
    world.transfer.clone_from(&nothing);
    world.ticket.clone_from(&nothing);
    world.message = nothing;
    let unseen = foreign(&world).await;
    assert!(!seen.is_empty());
    for (seen, unseen) in seen.iter().zip(&unseen) {
        let (mut a, mut b) = (seen.json(), unseen.json());
        a["request_id"].take();
        b["request_id"].take();
        assert_eq!((seen.status, a), (unseen.status, b));
    }
}

#[tokio::test]
async fn s_20_a_draft_is_not_there_for_others() {
    let served = Served::start(config()).await;
    let organizer = served.with_roles("org@example.org", &[Role::Organizer]).await;
    let other = served.with_roles("other@example.org", &[Role::Organizer]).await;
    let made = served.post("/api/v1/events", Some(&organizer.access), concert()).await.expect(StatusCode::CREATED);
    let path = format!("/api/v1/events/{}", made["id"].as_str().expect("id"));
    served.get(&path, Some(&organizer.access)).await.expect(StatusCode::OK);
    for token in [None, Some(other.access.as_str())] {
        for suffix in ["", "/availability", "/seats", "/stock/stream"] {
            let answer = served.get(&format!("{path}{suffix}"), token).await;
            assert_eq!(answer.problem(), (404, "not_found".into()), "{suffix}");
        }
    }
    let answer = served.call(Method::POST, &format!("{path}/publish"), Some(&other.access), None).await;
    assert_eq!(answer.problem(), (404, "not_found".into()));
}
