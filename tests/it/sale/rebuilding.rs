//! The queue's store and the event's owner lost at once: places come back by their signed tickets, and by nothing else.

use std::time::{Duration, Instant};

use onsale::{
    actors::directory::Part,
    domain::{
        claims::{Kind, QueueTicketClaim},
        id::{EventId, FanId},
        queue::Place,
    },
    http::tokens::unix_now,
    stores::queue::Mark,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{client::IntoClientRequest, http::HeaderValue},
};

use super::shop::{Shop, heard};
use crate::{
    harness::{eventually, until},
    served::{Answer, REBUILD_MS, SignedIn},
};

const LEEWAY: Duration = Duration::from_secs(5);

struct Queue<'a> {
    shop: &'a Shop,
    event: String,
}

impl Queue<'_> {
    /// Nobody is called until it is resumed.
    async fn paused(shop: &Shop) -> Queue<'_> {
        let mut concert = Shop::concert();
        concert["queue"] = json!({"mode": "fifo", "slots": 1, "rate_per_minute": 60_000, "paused": true});
        let event = shop.draft(concert).await;
        shop.steer(&event, "publish").await.expect(StatusCode::OK);
        Queue { shop, event }
    }

    fn path(&self) -> String {
        format!("/api/v1/events/{}/queue", self.event)
    }

    async fn join(&self, token: &str, ticket: Option<&str>) -> Answer {
        let request =
            self.shop.served.client.request(Method::POST, format!("{}{}", self.shop.served.public, self.path()));
        let request = match ticket {
            Some(ticket) => request.header("Onsale-Queue-Ticket", ticket),
            None => request,
        };
        Answer::of(request.bearer_auth(token).send().await.expect("an answer")).await
    }

    async fn state(&self, fan: &SignedIn) -> Value {
        // The event is away for a moment when its room has ended.
        eventually("a state", async || {
            let answer = self.shop.served.get(&self.path(), Some(&fan.access)).await;
            (answer.status == StatusCode::OK).then(|| answer.json())
        })
        .await
    }

    async fn place(&self, state: &Value) -> Place {
        let ticket = ticket(state);
        self.shop.served.app.tokens.verify_queue_ticket(&ticket).await.expect("ours").about.plc
    }

    /// By the shop's own key.
    fn forged(&self, fan: FanId, event: Option<EventId>, place: Place, has_ended: bool) -> String {
        let evt = event.unwrap_or_else(|| self.event.parse().expect("an id"));
        let (made, life) = if has_ended { (1_577_836_800, 60) } else { (unix_now(), 60) };
        let claim = QueueTicketClaim { evt, plc: place };
        self.shop.served.app.tokens.sign_until(Kind::QueueTicket, fan, made, made + life, claim)
    }

    /// What the store has of these places is gone, and so is who had them in memory.
    async fn lose(&self, places: &[Place]) {
        let (event, term) = (self.event.parse().expect("an id"), places[0].term());
        let store = &self.shop.served.below.queue;
        store.forget(event, term, places).await.expect("forgotten");
        store.mark(event, term, Mark::Filling).await.expect("not whole");
        assert!(self.shop.served.kill(event, Part::WaitingRoom).await);
    }

    async fn members(&self) -> Vec<String> {
        let page = self.shop.queue(&self.event).await;
        let members = page["members"].as_array().expect("a list").iter();
        members.map(|member| member["fan"].as_str().expect("an id").to_owned()).collect()
    }
}

fn ticket(state: &Value) -> String {
    state["queueTicket"].as_str().filter(|ticket| !ticket.is_empty()).expect("a queue ticket").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_the_ticket_has_the_place_again_and_who_shows_none_stands_at_the_end() {
    let shop = Shop::open().await;
    let queue = Queue::paused(&shop).await;
    let mut fans = Vec::new();
    for name in ["ann", "bob", "cleo", "dan"] {
        let fan = shop.fan(name).await;
        let state = queue.join(&fan.access, None).await.expect(StatusCode::OK);
        assert!(state.get("rebuilding").is_none());
        fans.push((fan, ticket(&state), queue.place(&state).await));
    }
    let [(ann, anns, _), (bob, ..), (cleo, cleos, at), (dan, dans, _)] = &fans[..] else { unreachable!("four") };
    let mut socket = shop.socket(&queue.event, bob).await;
    assert_eq!(heard(&mut socket).await["positionInQueue"], 2);
    let places: Vec<_> = fans.iter().map(|(_, _, place)| *place).collect();
    queue.lose(&places).await;
    let lost = Instant::now();
    until("the queue is rebuilt", async || queue.state(ann).await["rebuilding"] == true).await;
    assert_eq!(queue.state(ann).await["state"], "none");

    // What is no ticket of this queue, or another's, changes nothing.
    let eve = shop.fan("eve").await;
    let refused = [
        ("nonsense".to_owned(), (400, "invalid_queue_ticket")),
        (format!("{}x", &anns[..anns.len() - 2]), (400, "invalid_queue_ticket")),
        (queue.forged(eve.id, Some(EventId::from_u128(7)), *at, false), (400, "invalid_queue_ticket")),
        (queue.forged(eve.id, None, *at, true), (400, "invalid_queue_ticket")),
        (shop.served.app.tokens.sign(Kind::Access, eve.id, 60, json!({})), (400, "invalid_queue_ticket")),
        (cleos.clone(), (403, "forbidden")),
    ];
    for (ticket, (status, code)) in &refused {
        let answer = queue.join(&eve.access, Some(ticket)).await;
        assert_eq!(answer.problem(), (*status, (*code).to_owned()), "{ticket}");
        let stream = shop.served.client.get(format!("{}{}/stream", shop.served.public, queue.path()));
        let stream = stream.bearer_auth(&eve.access).header("Onsale-Queue-Ticket", ticket).send().await;
        assert_eq!(stream.expect("an answer").status(), *status, "{ticket}");
    }
    assert_eq!(queue.state(&eve).await["state"], "none");

    let last = queue.join(&eve.access, None).await.expect(StatusCode::OK);
    assert_eq!(
        (&last["state"], &last["positionInQueue"], &last["rebuilding"]),
        (&json!("waiting"), &json!(0), &json!(true))
    );
    let third = queue.join(&cleo.access, Some(cleos)).await.expect(StatusCode::OK);
    assert_eq!((queue.place(&third).await, &third["positionInQueue"]), (*at, &json!(0)));
    // As a page has to: among the protocols of a socket.
    let mut request = shop.socket_url(&queue.event).into_client_request().expect("a URL");
    let headers = request.headers_mut();
    headers.insert("authorization", HeaderValue::try_from(format!("Bearer {}", ann.access)).expect("a header"));
    headers
        .insert("sec-websocket-protocol", HeaderValue::try_from(format!("onsale.v1, place.{anns}")).expect("a header"));
    let mut first = connect_async(request).await.expect("a socket").0;
    assert_eq!(queue.place(&heard(&mut first).await).await, fans[0].2);

    // The socket that was open has come back by itself, and hears when it is over.
    let rebuilt =
        eventually("a notice", async || Some(heard(&mut socket).await).filter(|m| m["type"] == "queue.notice")).await;
    assert_eq!(rebuilt["code"], "queue_rebuilt");
    assert!(lost.elapsed() < Duration::from_millis(REBUILD_MS) + LEEWAY, "{:?}", lost.elapsed());
    let number = async |fan| queue.state(fan).await["positionInQueue"].clone();
    let now = [number(ann).await, number(bob).await, number(cleo).await, number(&eve).await];
    assert_eq!(now, [json!(1), json!(2), json!(3), json!(4)]);
    assert!(queue.state(ann).await.get("rebuilding").is_none());

    // Late, and still before who came later, whose number does not rise.
    let late = queue.join(&dan.access, Some(dans)).await.expect(StatusCode::OK);
    assert_eq!((queue.place(&late).await, &late["positionInQueue"]), (fans[3].2, &json!(4)));
    assert_eq!(number(&eve).await, 4);
    let line = [ann, bob, cleo, dan, &eve].map(|fan| fan.id.to_string());
    assert_eq!(queue.members().await, line);

    // The store has them all again, and whoever is let in does not come back by the ticket.
    queue.shop.control(&queue.event, "resume", json!({})).await;
    until("called", async || queue.state(ann).await["state"] != "waiting").await;
    shop.served.call(Method::DELETE, &queue.path(), Some(&ann.access), None).await.expect(StatusCode::NO_CONTENT);
    let again = queue.join(&ann.access, Some(anns)).await.expect(StatusCode::OK);
    assert_ne!(queue.place(&again).await, fans[0].2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_who_has_left_is_as_good_as_none_while_nothing_was_lost() {
    let shop = Shop::open().await;
    let queue = Queue::paused(&shop).await;
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let first = queue.join(&ann.access, None).await.expect(StatusCode::OK);
    queue.join(&bob.access, None).await.expect(StatusCode::OK);
    let same = queue.join(&ann.access, Some(&ticket(&first))).await.expect(StatusCode::OK);
    assert_eq!(queue.place(&same).await, queue.place(&first).await);
    shop.served.call(Method::DELETE, &queue.path(), Some(&ann.access), None).await.expect(StatusCode::NO_CONTENT);
    let event = queue.event.parse().expect("an id");
    for _ in 0..2 {
        let again = eventually("a place", async || {
            let answer = queue.join(&ann.access, Some(&ticket(&first))).await;
            (answer.status == StatusCode::OK).then(|| answer.json())
        })
        .await;
        assert!(queue.place(&again).await > queue.place(&first).await);
        assert!(again.get("rebuilding").is_none());
        assert_eq!(queue.members().await, [&bob, &ann].map(|fan| fan.id.to_string()));
        // A new owner finds the store as it was left.
        assert!(shop.served.kill(event, Part::WaitingRoom).await);
    }
}
