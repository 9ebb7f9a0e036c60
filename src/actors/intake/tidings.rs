//! What happens to an order, told to its fan: of the outbox's messages, before they are marked as sent. A crash makes them come by
//! again, and a fan is told once.

use std::collections::HashMap;

use serde::Deserialize;

use crate::{
    actors::clock::wall,
    domain::{
        id::{FanId, OrderRef, PaymentId, RefundId, TicketId},
        message::Kind,
        money::{Currency, Money},
    },
    stores::{
        database::{
            Database,
            messages::{self, Details, New},
            orders,
            outbox::Unsent,
            tickets,
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

/// What they say of a ticket that has taken another's place.
#[derive(Deserialize)]
struct Replaced {
    reference: OrderRef,
    ticket: TicketId,
    by: TicketId,
    fan: FanId,
}

pub(super) async fn tell(database: &Database, unsent: &[Unsent]) -> Result<(), StoreError> {
    match write(database, unsent).await {
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

async fn write(database: &Database, unsent: &[Unsent]) -> Result<(), StoreError> {
    let told: Vec<(Kind, About)> = unsent.iter().filter_map(of_unsent).collect();
    let nameless: Vec<OrderRef> =
        told.iter().filter(|(_, about)| about.fan.is_none()).map(|(_, about)| about.reference).collect();
    let fans = orders::fans(database, &nameless).await?;
    let mut new: Vec<New> = told.iter().filter_map(|(kind, about)| of_fan(*kind, about, &fans)).collect();
    for one in unsent.iter().filter(|unsent| unsent.routing_key == "ticket.replaced") {
        if let Ok(replaced) = serde_json::from_str(&one.body) {
            new.extend(of_ticket(database, replaced).await?);
        }
    }
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

/// Whose the new one is, and whose the old one was.
async fn of_ticket(database: &Database, replaced: Replaced) -> Result<Vec<New>, StoreError> {
    let Replaced { reference, ticket, by, fan } = replaced;
    let of = |account, kind, about: TicketId| New {
        account,
        kind,
        about: about.to_string(),
        event: Some(reference.event),
        details: Details::from([("order".to_owned(), reference.to_string())]),
    };
    let giver = tickets::by_id(database, ticket).await?.map(|old| old.fan).filter(|giver| *giver != fan);
    let given = giver.map(|giver| of(giver, Kind::TicketGiven, ticket));
    Ok([of(fan, Kind::TicketReplaced, by)].into_iter().chain(given).collect())
}
