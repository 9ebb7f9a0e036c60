//! Who was told: fans by messages and mails, the organizer by webhooks. Of everything, and of nothing twice but what was sent by a
//! node that died before it had noted so.

use std::collections::HashMap;

use onsale::{
    domain::{id::EventId, message::Kind, time::EventTime},
    stores::database::{
        Database, events, mails,
        messages::{self, Message},
        orders, tickets,
        webhook_deliveries::{self as deliveries, Delivery},
        webhook_endpoints::{self as endpoints, Endpoint, State, TOPICS},
    },
};
use serde_json::Value;
use uuid::Uuid;

use super::walk::{Bought, Shop};
use crate::{node::Site, sale::receiver::Receiver};

/// The event's organizer has an endpoint for webhooks.
pub async fn listen(site: &Site, event: EventId, url: String) -> Uuid {
    let database = Database::connect(&site.config().stores).await.expect("connect");
    let event = events::by_id(&database, event).await.expect("an answer").expect("an event");
    let endpoint = Endpoint {
        id: Uuid::now_v7(),
        organizer: event.organizer,
        url,
        description: String::new(),
        topics: TOPICS.map(str::to_owned).to_vec(),
        state: State::Active,
        secret_version: 1,
        previous_until: EventTime(0),
        created_at: event.created_at,
        updated_at: event.created_at,
    };
    let mut write = database.begin().await.expect("begin");
    assert!(endpoints::add(&mut write, &endpoint, 1).await.expect("added"));
    write.commit().await.expect("commit");
    database.close().await;
    endpoint.id
}

/// With no node running.
pub async fn check(site: &Site, shop: &Shop, endpoint: Uuid, receiver: &Receiver) {
    let database = Database::connect(&site.config().stores).await.expect("connect");
    let noted = noted(&database, endpoint).await;
    check_heard(&noted, receiver);
    let mut by_order: HashMap<(String, String), usize> = HashMap::new();
    for delivery in noted {
        let body: Value = serde_json::from_str(&delivery.body).expect("JSON");
        let order = body["reference"].as_str().or(body["fact"]["order"].as_str()).expect("an order");
        let order = order.rsplit('-').next().expect("its id").to_owned();
        *by_order.entry((delivery.topic, order)).or_default() += 1;
    }
    for bought in &shop.bought {
        let order = bought.reference.order.to_string();
        let of = |topic: &str| by_order.get(&(topic.to_owned(), order.clone())).copied().unwrap_or_default();
        check_order(&database, bought, of).await;
    }
    check_mails(&database, site).await;
    database.close().await;
}

async fn noted(database: &Database, endpoint: Uuid) -> Vec<Delivery> {
    let (mut noted, mut cursor) = (Vec::new(), None);
    loop {
        let page = deliveries::list(database, endpoint, None, cursor.as_ref(), 200).await.expect("deliveries");
        noted.extend(page.items);
        let Some(next) = page.next else { return noted };
        cursor = Some(next);
    }
}

/// Each at least once, and no more often than it was tried.
fn check_heard(noted: &[Delivery], receiver: &Receiver) {
    let mut heard: HashMap<String, u32> = HashMap::new();
    for one in receiver.heard() {
        *heard.entry(one.header("onsale-message-id")).or_default() += 1;
    }
    for delivery in noted {
        assert_eq!(delivery.state, deliveries::State::Delivered, "{delivery:?}");
        let times = heard.remove(&delivery.message_id).unwrap_or_default();
        assert!((1..=delivery.attempts).contains(&times), "heard {times} times: {delivery:?}");
    }
    assert_eq!(heard, HashMap::new(), "heard, and not noted");
    let again = noted.iter().filter(|delivery| delivery.attempts > 1).count();
    println!("{} webhooks, of which {again} were tried again", noted.len());
}

async fn check_order(database: &Database, bought: &Bought, of: impl Fn(&str) -> usize) {
    let Bought { reference, tickets, refunded, .. } = bought;
    assert_eq!(of("order.created") + of("order.offered"), 1, "{reference}");
    assert!(of("ticket.issued") <= 1 && (*tickets == 0 || of("ticket.issued") == 1), "{reference}");
    assert!(*tickets + *refunded == 0 || of("order.payment-success") >= 1, "{reference}");
    assert!((*refunded > 0) == (of("refund.done") > 0), "{reference}");
    let stored = tickets::of_order(database, *reference).await.expect("tickets");
    let replaced = stored.iter().filter(|ticket| ticket.replaced_by.is_some()).count();
    assert_eq!(of("ticket.replaced"), replaced, "{reference}");

    let fan = orders::by_reference(database, *reference).await.expect("an answer").expect("a row").fan;
    let told = messages::list(database, fan, false, None, 200).await.expect("messages").items;
    let told = |kind| {
        let is_of_this = |message: &&Message| {
            message.about == reference.to_string() || message.details.get("order") == Some(&reference.to_string())
        };
        told.iter().filter(is_of_this).filter(|message| message.kind == kind).count()
    };
    assert_eq!(told(Kind::Tickets), of("ticket.issued"), "{reference}");
    assert_eq!(told(Kind::RefundDone), of("refund.done"), "{reference}");
    assert_eq!(told(Kind::Offer), of("order.offered"), "{reference}");
}

/// None is lost: what was sent lies in the folder. Only an offer is of no use any more when it is taken.
async fn check_mails(database: &Database, site: &Site) {
    let folder = site.config().stores.data_dir.join("mails");
    let (mut sent, mut again, mut cursor) = (0, 0, None);
    loop {
        let page = mails::list(database, None, cursor.as_ref(), 200).await.expect("mails");
        for mail in page.items {
            if let (mails::State::Failed, mails::About::Message(id)) = (mail.state, mail.about) {
                let message = messages::by_id(database, id).await.expect("an answer").expect("a message");
                assert_eq!(message.kind, Kind::Offer, "{mail:?}");
                continue;
            }
            assert_eq!(mail.state, mails::State::Sent, "{mail:?}");
            assert!(folder.join(format!("{}.eml", mail.id.simple())).exists(), "{mail:?}");
            (sent, again) = (sent + 1, again + u32::from(mail.attempts > 1));
        }
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    println!("{sent} mails, of which {again} were tried again");
}
