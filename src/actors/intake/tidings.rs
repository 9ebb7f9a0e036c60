//! What happens to an order, told to its fan: of the outbox's messages, before they are marked as sent. A crash makes them come by
//! again, and a fan is told once.

use std::collections::HashMap;

use serde::Deserialize;

use crate::{
    actors::clock::wall,
    domain::{
        id::{FanId, OrderRef, PaymentId, RefundId},
        message::Kind,
        money::{Currency, Money},
    },
    stores::{
        database::{
            Database,
            messages::{self, Details, New},
            orders,
            outbox::Unsent,
        },
        error::StoreError,
    },
};

/// What bodies of the outbox say, as far as fans are told of it.
#[derive(Deserialize)]
struct About {
    reference: OrderRef,
    fan: Option<FanId>,
    payment: PaymentId,
    refund: Option<RefundId>,
    amount_minor: Option<i64>,
    currency: Currency,
}

pub(super) async fn tell(database: &Database, unsent: &[Unsent]) -> Result<(), StoreError> {
    let told: Vec<(Kind, About)> = unsent.iter().filter_map(of_unsent).collect();
    match write(database, &told).await {
        // Payments must not wait for it.
        Err(error) if error.is_final() => {
            tracing::error!(%error, "fans are not told of what can never be written");
            Ok(())
        }
        written => written,
    }
}

fn of_unsent(unsent: &Unsent) -> Option<(Kind, About)> {
    let kind = match unsent.routing_key.as_str() {
        "order.payment-success" => Kind::OrderReceived,
        "order.payment-cancelled" => Kind::PaymentRefused,
        "ticket.issued" => Kind::Tickets,
        "refund.begun" => Kind::RefundBegun,
        "refund.done" => Kind::RefundDone,
        _ => return None,
    };
    Some((kind, serde_json::from_str(&unsent.body).ok()?))
}

async fn write(database: &Database, told: &[(Kind, About)]) -> Result<(), StoreError> {
    let nameless: Vec<OrderRef> =
        told.iter().filter(|(_, about)| about.fan.is_none()).map(|(_, about)| about.reference).collect();
    let fans = orders::fans(database, &nameless).await?;
    let new: Vec<New> = told.iter().filter_map(|(kind, about)| of_fan(*kind, about, &fans)).collect();
    messages::write_alone(database, &new, wall()).await
}

fn of_fan(kind: Kind, about: &About, fans: &HashMap<OrderRef, FanId>) -> Option<New> {
    let account = about.fan.or_else(|| fans.get(&about.reference).copied())?;
    let mut details = Details::from([("order".to_owned(), about.reference.to_string())]);
    let amount = about.amount_minor.map(|minor| Money { minor, currency: about.currency });
    details.extend(amount.map(|amount| ("amount".to_owned(), amount.to_string())));
    let this = about.refund.map_or_else(|| about.payment.to_string(), |refund| refund.to_string());
    Some(New { account, kind, about: this, event: Some(about.reference.event), details })
}
