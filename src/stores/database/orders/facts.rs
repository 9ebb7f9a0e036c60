//! What the inventory tells of orders: any number of times, in any order, and the row comes out the same.

use std::collections::BTreeMap;

use super::{Order, refunding::undo, table};
use crate::{
    domain::{
        id::{EventId, OrderRef},
        inventory::fact::{FactKind, OrderFact},
        message::Kind,
        money::Money,
        order::{Known, OrderState},
        time::EventTime,
    },
    stores::{
        crash_point::Step,
        database::{
            Database, Write, fault,
            messages::{self, Details, New},
            payments::outstanding,
        },
        error::StoreError,
    },
};

/// How often a batch is tried again because another was in between.
const ATTEMPTS: usize = 5;

/// Any number of times, in any order. Makes the row if it is not there; a voided order's tickets become void with it, and
/// their money goes back.
pub async fn apply_fact(database: &Database, event: EventId, fact: &OrderFact) -> Result<(), StoreError> {
    apply(database, BTreeMap::from([(OrderRef { event, order: fact.order }, vec![fact])])).await
}

/// [`apply_fact`] for many, in one transaction.
pub async fn apply_facts(database: &Database, facts: &[(EventId, OrderFact)]) -> Result<(), StoreError> {
    // By reference, so that two batches take the rows they share in the same order.
    let mut by_order: BTreeMap<OrderRef, Vec<&OrderFact>> = BTreeMap::new();
    for (event, fact) in facts {
        by_order.entry(OrderRef { event: *event, order: fact.order }).or_default().push(fact);
    }
    apply(database, by_order).await
}

async fn apply(database: &Database, by_order: BTreeMap<OrderRef, Vec<&OrderFact>>) -> Result<(), StoreError> {
    let by_order: Vec<_> = by_order.into_iter().collect();
    let mut last = fault::contended();
    for _ in 0..ATTEMPTS {
        match apply_once(database, &by_order).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if fault::is_collision(&error) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// `false`: somebody was faster with an order that was not there, and nothing was done.
///
/// All rows are taken first, then what is not there is added, each by reference: so two batches never wait for each other.
async fn apply_once(database: &Database, by_order: &[(OrderRef, Vec<&OrderFact>)]) -> Result<bool, StoreError> {
    let references: Vec<_> = by_order.iter().map(|(reference, _)| *reference).collect();
    let mut write = database.begin().await?;
    write.is_step(Step::FactsTakenIn);
    let mut stored = table::take(&mut write, &references).await?;
    let is_new = |(reference, _): &&(OrderRef, Vec<&OrderFact>)| !stored.contains_key(reference);
    let new: Vec<_> =
        by_order.iter().filter(is_new).filter_map(|(reference, facts)| first(*reference, facts)).collect();
    if !table::insert(&mut write, &new).await? {
        return Ok(false);
    }
    let known = by_order.iter().filter_map(|(reference, facts)| Some((stored.remove(reference)?, facts)));
    teach(&mut write, known).await?;
    void_tickets(&mut write, by_order).await?;
    let latest = by_order.iter().flat_map(|(_, facts)| facts).map(|fact| fact.at).max();
    announce(&mut write, by_order, latest.unwrap_or_default()).await?;
    write.commit().await?;
    Ok(true)
}

/// Whom something was offered is told, once.
async fn announce(write: &mut Write, rows: &[(OrderRef, Vec<&OrderFact>)], now: EventTime) -> Result<(), StoreError> {
    let offers = rows.iter().filter_map(|(reference, facts)| {
        let fact = facts.iter().find(|fact| matches!(fact.what, FactKind::Offered))?;
        let (about, event) = (reference.to_string(), Some(reference.event));
        Some(New { account: fact.fan, kind: Kind::Offer, about, event, details: Details::new() })
    });
    messages::write(write, &offers.collect::<Vec<_>>(), now).await
}

/// Writes what orders whose rows are taken learn from the facts.
async fn teach<'a>(
    write: &mut Write,
    known: impl Iterator<Item = (Order, &'a Vec<&'a OrderFact>)>,
) -> Result<(), StoreError> {
    let (mut changed, mut ended) = (Vec::new(), Vec::new());
    for (order, facts) in known {
        let learned = learn(order.clone(), facts);
        if learned == order {
            continue;
        }
        let is_ended = learned.state == OrderState::Cancelled && order.state != OrderState::Cancelled;
        if is_ended && learned.known.checkout_open {
            ended.push((learned.reference, learned.updated_at));
        }
        changed.push(learned);
    }
    if !table::update_many(write, &mut changed).await? {
        return Err(StoreError::Corrupt("orders changed while their rows were taken".into()));
    }
    for (reference, at) in ended {
        outstanding::close_now(write, reference, at).await?;
    }
    Ok(())
}

/// The row that the facts make when there is none.
fn first(reference: OrderRef, facts: &[&OrderFact]) -> Option<Order> {
    let fact = facts.first()?;
    let order = Order {
        reference,
        fan: fact.fan,
        state: Known::default().state(),
        known: Known::default(),
        lines: Vec::new(),
        total: Money { minor: 0, currency: fact.currency },
        event_version: fact.version,
        expires_at: fact.expires_at,
        revision: 1,
        created_at: fact.at,
        updated_at: fact.at,
        takes_others: false,
    };
    Some(learn(order, facts))
}

fn learn(mut order: Order, facts: &[&OrderFact]) -> Order {
    for fact in facts {
        let is_newest = fact.number > order.known.fact_number;
        order.known.learn(fact);
        // What tickets were made for changes with them alone: the inventory may know of a seat more, or of what is left.
        if is_newest && !order.known.settled {
            order.lines.clone_from(&fact.lines);
            order.total.minor = fact.total_minor;
        }
        if is_newest {
            order.event_version = fact.version;
            order.expires_at = fact.expires_at;
        }
        order.created_at = order.created_at.min(fact.at);
        order.updated_at = order.updated_at.max(fact.at);
    }
    order.state = order.known.state();
    order
}

/// Whoever voided them: what they cost goes back.
async fn void_tickets(write: &mut Write, rows: &[(OrderRef, Vec<&OrderFact>)]) -> Result<(), StoreError> {
    for (reference, facts) in rows {
        if let Some(fact) = facts.iter().find(|fact| matches!(fact.what, FactKind::Voided)) {
            undo(write, *reference, fact.at).await?;
        }
    }
    Ok(())
}
