//! The audit: what the stores say, held against itself and against what fans were told.
//!
//! Reads the whole journal and the database. Believes no counter of the node's and none of the fans'.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Said,
    fans::{Outcome, Step},
    setting::Setting,
};
use crate::{
    domain::{
        id::{EventId, FanId, OrderId, OrderRef},
        inventory::{
            Inventory, View,
            entry::{Entry, Segment},
        },
        order::OrderState,
        queue::Place,
        time::EventTime,
    },
    failure::Failure,
    stores::{
        self,
        database::{Database, checks, outbox, tickets},
        error::StoreError,
    },
};

#[derive(Debug, Default)]
pub struct Audit {
    pub admitted: u64,
    pub holds: u64,
    pub tickets: u64,
    pub paid_tickets: u64,
    pub oversold: u64,
    pub overtaken: u64,
    pub segments: u64,
    pub epochs: usize,
    /// A line for each ticket type.
    pub stock: Vec<String>,
    pub wrong: Vec<String>,
}

/// What the journal says, entry by entry.
#[derive(Default)]
struct Told {
    inventory: Inventory,
    held: HashMap<OrderId, FanId>,
    sold: HashSet<OrderId>,
    admitted: HashSet<FanId>,
    last_number: u64,
}

pub async fn make(setting: &Setting, event: EventId, stock: u32, said: &Said) -> Result<Audit, Failure> {
    let mut audit = Audit::default();
    let told =
        read_journal(setting, event, stock, &mut audit).await.map_err(|error| format!("the journal: {error}"))?;
    let database =
        Database::connect(&setting.config().stores).await.map_err(|error| format!("the database: {error}"))?;
    let checked = check_database(&database, event, &told, &mut audit).await;
    let heard = check_fans(&database, &told, said, event, &mut audit).await;
    database.close().await;
    checked.and(heard).map_err(|error| format!("the database: {error}"))?;
    Ok(audit)
}

async fn read_journal(setting: &Setting, event: EventId, stock: u32, audit: &mut Audit) -> Result<Told, StoreError> {
    let journal = stores::open_journal(&setting.config().stores).await?;
    let recovered = journal.recover(event).await?;
    if recovered.snapshot.is_some() {
        audit.wrong.push("the journal has been compacted: not every entry can be seen".into());
    }
    let mut told = Told::default();
    let mut epochs = Vec::new();
    let mut furthest = Place(0);
    let mut at = EventTime(0);
    for (expected, (seq, bytes)) in (1..).zip(&recovered.segments) {
        let segment =
            Segment::from_bytes(bytes).map_err(|error| StoreError::Corrupt(format!("segment {seq}: {error}")))?;
        if *seq != expected || segment.seq != expected {
            audit.wrong.push(format!("segment {expected} is missing"));
        }
        if segment.at < at {
            audit.wrong.push(format!("time runs backwards in segment {seq}"));
        }
        at = segment.at;
        match epochs.last() {
            Some(&last) if segment.epoch < last => audit.wrong.push(format!("segment {seq} is of an older epoch")),
            Some(&last) if segment.epoch == last => {}
            _ => epochs.push(segment.epoch),
        }
        for entry in &segment.entries {
            match entry {
                Entry::Admitted { place, fan, .. } => {
                    audit.admitted += 1;
                    told.admitted.insert(*fan);
                    // Places are written in order: one that is admitted after a later one was overtaken by it.
                    audit.overtaken += u64::from(*place < furthest);
                    furthest = furthest.max(*place);
                }
                Entry::Held { order, fan, .. } | Entry::Offered { order, fan, .. } => {
                    audit.holds += 1;
                    told.held.insert(*order, *fan);
                }
                Entry::Confirmed { order, .. } => {
                    told.sold.insert(*order);
                }
                Entry::Voided { order, .. } => {
                    told.sold.remove(order);
                }
                _ => {}
            }
            told.inventory
                .apply(segment.at, entry)
                .map_err(|error| StoreError::Corrupt(format!("segment {seq}: {error}")))?;
        }
        check_sums(&told.inventory.view(segment.at), *seq, audit);
        if let Some(fact) = told.inventory.outbox(0, usize::MAX).last() {
            told.last_number = fact.number;
        }
        told.inventory.published(told.last_number);
    }
    audit.segments = recovered.segments.len() as u64;
    audit.epochs = epochs.len();
    if recovered.published != told.last_number {
        audit.wrong.push(format!("{} of {} order messages are published", recovered.published, told.last_number));
    }
    let view = told.inventory.view(at);
    let capacity: u64 = view.ticket_types.iter().map(|row| u64::from(row.capacity)).sum();
    if capacity != u64::from(stock) {
        audit.wrong.push(format!("the capacity is {capacity}, not {stock}"));
    }
    for row in &view.ticket_types {
        audit.stock.push(format!(
            "{:<9} {} = {} free + {} held + {} sold",
            row.code.as_str(),
            row.capacity,
            row.free,
            row.held,
            row.sold
        ));
        if row.held > 0 {
            audit.wrong.push(format!("{} of {} are still held", row.held, row.code));
        }
    }
    Ok(told)
}

fn check_sums(view: &View, seq: u64, audit: &mut Audit) {
    for row in &view.ticket_types {
        let sum = u64::from(row.free) + u64::from(row.held) + u64::from(row.sold) + u64::from(row.blocked);
        if sum != u64::from(row.capacity) {
            audit.wrong.push(format!("after segment {seq} {} has {sum} of {}", row.code, row.capacity));
        }
    }
}

async fn check_database(database: &Database, event: EventId, told: &Told, audit: &mut Audit) -> Result<(), StoreError> {
    audit.tickets = tickets::count_live(database, event).await?;
    let view = told.inventory.view(EventTime(u64::MAX));
    let sold: u64 = view.ticket_types.iter().map(|row| u64::from(row.sold)).sum();
    let capacity: u64 = view.ticket_types.iter().map(|row| u64::from(row.capacity)).sum();
    audit.paid_tickets = sold;
    audit.oversold = audit.tickets.max(sold).saturating_sub(capacity);
    if audit.tickets != sold {
        audit.wrong.push(format!("{} tickets, {sold} sold", audit.tickets));
    }
    for (seat, tickets) in checks::seats_sold_twice(database, event).await? {
        audit.oversold += tickets - 1;
        audit.wrong.push(format!("seat {seat} is on {tickets} tickets"));
    }
    let mut complain = |what: &str, orders: Vec<OrderRef>| {
        audit.wrong.extend(orders.into_iter().map(|order| format!("{what}: {order}")))
    };
    complain("tickets without a sale", checks::ticketed_without_sale(database, event).await?);
    complain("ticketed with another number of tickets", checks::miscounted(database, event).await?);
    complain("paid twice", checks::paid_twice(database, event).await?);
    complain("money that does not fit the tickets", checks::unbalanced(database, event).await?);
    let states: BTreeMap<String, u64> = checks::orders_by_state(database, event)
        .await?
        .into_iter()
        .map(|(state, count)| (format!("{state:?}"), count))
        .collect();
    let of = |state: OrderState| states.get(&format!("{state:?}")).copied().unwrap_or(0);
    if of(OrderState::Ticketed) != told.sold.len() as u64 {
        audit.wrong.push(format!(
            "{} orders ticketed, {} sold in the journal",
            of(OrderState::Ticketed),
            told.sold.len()
        ));
    }
    for open in [OrderState::Pending, OrderState::Paying, OrderState::Paid, OrderState::Refunding] {
        if of(open) > 0 {
            audit.wrong.push(format!("{} orders are still {open:?}", of(open)));
        }
    }
    let orders: u64 = states.values().sum();
    if orders != audit.holds {
        audit.wrong.push(format!("{orders} orders of {} holds", audit.holds));
    }
    let unsent = outbox::count_unsent(database).await?;
    if unsent > 0 {
        audit.wrong.push(format!("{unsent} payment messages are not published"));
    }
    if audit.overtaken > 0 {
        audit.wrong.push(format!("{} fans were overtaken", audit.overtaken));
    }
    Ok(())
}

/// Every fan came to an end, and whatever a fan was told is so.
async fn check_fans(
    database: &Database,
    told: &Told,
    said: &Said,
    event: EventId,
    audit: &mut Audit,
) -> Result<(), StoreError> {
    let fans: HashSet<FanId> = said.steps.iter().map(|report| report.fan).collect();
    for fan in fans.iter().filter(|fan| !said.outcomes.contains_key(fan)) {
        audit.wrong.push(format!("fan {fan} came to no end"));
    }
    for report in &said.steps {
        match report.step {
            Step::Admitted if !told.admitted.contains(&report.fan) => {
                audit.wrong.push(format!("fan {} was told of an admission that the journal does not have", report.fan));
            }
            Step::Held { reference, .. } if told.held.get(&reference.order) != Some(&report.fan) => {
                audit
                    .wrong
                    .push(format!("fan {} was told of hold {reference}, which the journal does not have", report.fan));
            }
            _ => {}
        }
    }
    let mut ticketed = 0;
    for (fan, outcome) in &said.outcomes {
        match outcome {
            Outcome::Ticketed { reference, tickets } => {
                ticketed += u64::from(*tickets);
                let stored = tickets::of_order(database, *reference).await?;
                if stored.len() as u64 != u64::from(*tickets) || stored.iter().any(|ticket| ticket.fan != *fan) {
                    audit.wrong.push(format!(
                        "fan {fan} was told of {tickets} tickets of {reference}, stored are {}",
                        stored.len()
                    ));
                }
            }
            Outcome::Lapsed { reference } | Outcome::Declined { reference } | Outcome::Refunded { reference } => {
                if told.sold.contains(&reference.order) {
                    audit.wrong.push(format!("fan {fan} did not buy {reference}, and it is sold"));
                }
            }
            Outcome::Failed { why } => audit.wrong.push(format!("fan {fan}: {why}")),
            Outcome::SoldOut | Outcome::Left => {}
        }
    }
    if ticketed != audit.tickets {
        audit.wrong.push(format!("event {event}: fans were told of {ticketed} tickets, stored are {}", audit.tickets));
    }
    Ok(())
}
