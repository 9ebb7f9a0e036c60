//! Money that takes its time, and money that buys nothing.

use onsale::{http::shapes::Timestamp, stores::provider::config::Config as Payments};
use serde_json::{Value, json};

use super::walk::{Bought, PAY, PROCESSING, Shop, standing, standing_tickets};

impl Shop {
    /// The hold stays, once, until the money is there.
    pub async fn wait_for_the_money(&mut self) {
        let fan = self.next();
        let (hold, reference) = self.hold(&self.standing, fan, standing_tickets(1)).await;
        let page = self.check_out(fan, reference, json!({})).await;
        self.pay(&page, PROCESSING).await;
        let order = self.becomes(fan, reference, "ticketed").await;
        // Unless the node was dead for as long as the money took.
        let longer = [0, Payments::default().processing_seconds * 1_000];
        let until =
            |told: &Value| serde_json::from_value::<Timestamp>(told["expires_at"].clone()).expect("a time").ms();
        let waited = until(&order) - until(&hold);
        assert!(longer.contains(&waited), "once at most: {waited} ms");
        self.bought.push(Bought::ticketed(reference, 1, 0));
    }

    /// The fan lets the hold go while the money is under way, and another one buys one of its seats.
    pub async fn be_overtaken(&mut self) {
        let (fan, other) = (self.next(), self.next() + 1);
        // Where tickets were moved some seats are taken.
        let best = json!({"best_available": {"ticket_type": "VIP", "quantity": 2}});
        let (hold, reference) = self.hold(&self.seated, fan, best).await;
        let page = self.check_out(fan, reference, json!({"accept_other_seats": true})).await;
        self.pay(&page, PROCESSING).await;
        self.let_go(fan, reference).await;
        let seat = hold["lines"][0]["seats"][1].clone();
        let (_, others) = self.hold(&self.seated, other, json!({"seats": [seat]})).await;
        self.buy(other, others).await;
        let order = self.becomes(fan, reference, "ticketed").await;
        let seats = order["lines"][0]["seats"].as_array().expect("seats");
        assert!(seats.len() == 2 && !seats.contains(&seat), "{order}");
        let mut of_tickets: Vec<Value> =
            self.tickets(fan, reference).await.iter().map(|ticket| ticket["seat"].clone()).collect();
        of_tickets.sort_by_key(ToString::to_string);
        let mut of_order = seats.clone();
        of_order.sort_by_key(ToString::to_string);
        assert_eq!(of_tickets, of_order);
        self.bought.push(Bought::ticketed(reference, 2, 0));
        self.bought.push(Bought::ticketed(others, 1, 0));
    }

    /// It may buy two tickets to the event; another fan comes with it for a third.
    pub async fn buy_too_much_with_a_card(&mut self) {
        let mut limited = standing(10);
        limited["limits"]["per_instrument"] = json!(2);
        let hall = self.new_hall(limited, None, 2).await;
        let (_, first) = self.hold(&hall, 0, standing_tickets(2)).await;
        self.buy(0, first).await;
        let (_, beyond) = self.hold(&hall, 1, standing_tickets(1)).await;
        let page = self.check_out(1, beyond, json!({})).await;
        self.pay(&page, PAY).await;
        self.becomes(1, beyond, "refunded").await;
        self.bought.push(Bought::ticketed(first, 2, 0));
        self.bought.push(Bought::refunded(beyond, 1));
    }
}
