//! What becomes of tickets once they are sold: another seat, another fan, another code, and back to who waits.

use onsale::{
    domain::{id::OrderRef, time::Millis},
    http::{now, shapes::Timestamp},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::walk::{Bought, PRICE, Shop, standing, standing_tickets};
use crate::harness::{eventually, until};

impl Shop {
    /// The old one is void, and the new one in its place; their codes are tried at the door in the end.
    async fn is_replaced(&mut self, fan: usize, old: &Value, new: &Value) {
        let path = format!("/tickets/{}", old["id"].as_str().expect("an id"));
        let told = self.ask(self.fan(fan), Method::GET, &path, None).await.body;
        assert_eq!((&told["state"], &told["replaced_by"]), (&json!("void"), &new["id"]), "{told}");
        let code = |ticket: &Value| ticket["code"].as_str().expect("a code").to_owned();
        let reference: OrderRef = old["order"].as_str().expect("an order").parse().expect("a reference");
        self.codes.push((reference.event, [code(old), code(new)]));
    }

    /// At the door: where a ticket was replaced only the new one counts.
    pub async fn try_codes(&self) {
        for (event, codes) in &self.codes {
            let scan =
                |code: &String| json!({"id": Uuid::new_v4().simple().to_string(), "code": code, "direction": "in"});
            let body = json!({"device": "north", "scans": codes.iter().map(scan).collect::<Vec<_>>()});
            let path = format!("/events/{event}/scans");
            let answer = self.ask(&self.staff, Method::POST, &path, Some(body)).await.body;
            let outcomes = [0, 1].map(|n| answer["scans"][n]["outcome"].clone());
            assert_eq!(outcomes, [json!("void"), json!("accepted")], "{answer}");
        }
        println!("{} tickets were replaced", self.codes.len());
    }

    /// Of which one moves. The seat that it leaves is free again.
    pub async fn move_one(&mut self) {
        let (fan, (seats, to)) = (self.next(), self.new_seats());
        let (_, reference) = self.hold(&self.seated, fan, json!({"seats": seats})).await;
        let old = self.buy(fan, reference).await.swap_remove(0);
        let path = format!("/admin/tickets/{}/seat", old["id"].as_str().expect("an id"));
        let new = self.ask_admin(Method::POST, &path, Some(json!({"seat": to, "reason": "a pillar"}))).await.body;
        assert_eq!((&new["seat"], &new["state"]), (&json!(to), &json!("live")), "{new}");
        self.bought.push(Bought::ticketed(reference, 2, 0));
        let of_hall = self.bought.iter().filter(|bought| bought.reference.event == self.seated.event);
        let sold: i64 = of_hall.map(|bought| bought.tickets).sum();
        let path = format!("/admin/events/{}/stock", self.seated.event);
        until("the seat is free that was left", async || {
            self.ask_admin(Method::GET, &path, None).await.body["ticket_types"][0]["sold"] == sold
        })
        .await;
        let now_has = self.tickets(fan, reference).await;
        let new = now_has.iter().find(|ticket| ticket["id"] == new["id"]).expect("the fan's").clone();
        self.is_replaced(fan, &old, &new).await;
    }

    /// Who has the code gets the ticket, and gets it again.
    pub async fn hand_one_on(&mut self) {
        let (fan, other) = (self.next(), self.next() + 1);
        let (_, reference) = self.hold(&self.standing, fan, standing_tickets(2)).await;
        let old = self.buy(fan, reference).await.swap_remove(0);
        let path = format!("/tickets/{}/transfers", old["id"].as_str().expect("an id"));
        let code = self.ask(self.fan(fan), Method::POST, &path, Some(json!({}))).await.body["code"].clone();
        let accept = async || {
            let body = Some(json!({"code": code}));
            self.ask(self.fan(other), Method::POST, "/transfers/accept", body).await.body
        };
        let new = accept().await;
        assert_eq!(accept().await, new, "again");
        assert_eq!(self.tickets(other, reference).await, std::slice::from_ref(&new));
        self.is_replaced(fan, &old, &new).await;
        self.bought.push(Bought::ticketed(reference, 2, 0));
    }

    pub async fn make_one_anew(&mut self) {
        let fan = self.next();
        let (_, reference) = self.hold(&self.standing, fan, standing_tickets(2)).await;
        let old = self.buy(fan, reference).await.swap_remove(0);
        let path = format!("/admin/tickets/{}/reissue", old["id"].as_str().expect("an id"));
        let new = self.ask_admin(Method::POST, &path, Some(json!({"reason": "seen by others"}))).await.body;
        let now_has = self.tickets(fan, reference).await;
        assert_eq!(now_has.len(), 3, "once: {now_has:?}");
        let new = now_has.iter().find(|ticket| ticket["id"] == new["id"]).expect("the fan's").clone();
        self.is_replaced(fan, &old, &new).await;
        self.bought.push(Bought::ticketed(reference, 2, 0));
    }

    /// All is sold, one waits, and one of two tickets is offered back.
    pub async fn return_one(&mut self) {
        let (buyer, waits) = (0, 1);
        let hall = self.new_hall(standing(2), None, 1).await;
        let list = json!({
            "mode": "open", "returns_until": Timestamp(now() + Millis::minutes(60)), "reason": "a test",
        });
        self.ask_admin(Method::PUT, &format!("/admin/events/{}/waitlist", hall.event), Some(list)).await;
        let (_, reference) = self.hold(&hall, buyer, standing_tickets(2)).await;
        let given_back = self.buy(buyer, reference).await.swap_remove(0);
        let list = format!("/events/{}/waitlist", hall.event);
        let wish = json!({"ticket_types": ["GA"], "quantity": 1});
        let entry = self.ask(self.fan(waits), Method::PUT, &list, Some(wish)).await.body;
        assert_eq!(entry["state"], "waiting", "{entry}");
        let path = format!("/tickets/{}/return", given_back["id"].as_str().expect("an id"));
        self.offer_back(buyer, &path).await;
        let offer = eventually("an offer", async || {
            let entry = self.ask(self.fan(waits), Method::GET, &list, None).await.body;
            Some(entry["hold"].clone()).filter(|_| entry["state"] == "offered")
        })
        .await;
        let offered: OrderRef = offer["reference"].as_str().expect("a reference").parse().expect("a reference");
        assert_eq!(offer["total"]["minor"], PRICE, "{offer}");
        assert_eq!(self.buy(waits, offered).await.len(), 1);
        self.is_refunded(reference).await;
        self.bought.push(Bought::ticketed(reference, 1, 1));
        self.bought.push(Bought::ticketed(offered, 1, 0));
    }
}
