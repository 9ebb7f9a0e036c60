//! Settling one payment: the inventory decides, then the database follows.
//!
//! Every step may be repeated: the inventory answers the same payment in the same way for ever, and the database keeps the
//! first settling. So whatever is lost between the steps, the payment comes again and ends the same.

use std::sync::Arc;

use super::{PaymentFact, SettleError, tickets};
use crate::{
    actors::{
        clock::wall,
        inventory::{self, AskError},
        measures,
    },
    domain::{
        inventory::request::{Answer, Command, Confirm, ConfirmRefusal, Line, Request},
        money::Money,
    },
    stores::{
        database::{
            Database,
            orders::{self, Order},
        },
        error::StoreError,
        keys::ring::KeyRing,
    },
};

#[derive(Clone)]
pub(super) struct Settler {
    pub inventory: inventory::Handle,
    pub database: Database,
    pub keys: Arc<KeyRing>,
}

impl Settler {
    pub async fn settle(&self, fact: &PaymentFact) -> Result<(), SettleError> {
        let order = self.order(fact).await?;
        if !fact.captured {
            return self.decline(fact).await;
        }
        if order.total != (Money { minor: fact.amount_minor, currency: fact.currency }) {
            return Err(never(format!("{} was paid with another amount than it costs", fact.reference)));
        }
        match self.confirm(fact, &order).await? {
            Ok(lines) => self.issue(fact, &Order { lines, ..order }).await,
            Err(why) => self.give_back(fact, why).await,
        }
    }

    /// The row is there since checkout at the latest; a strong read makes up for one that was never written.
    async fn order(&self, fact: &PaymentFact) -> Result<Order, SettleError> {
        if let Some(order) = orders::by_reference(&self.database, fact.reference).await.map_err(store_error)? {
            return Ok(order);
        }
        let hold = self.inventory.order(fact.reference.order).await.map_err(|error| later(error.to_string()))?;
        let Some(hold) = hold else { return Err(never(format!("there is no order {}", fact.reference))) };
        orders::ensure(&self.database, fact.reference.event, &hold, wall()).await.map_err(store_error)
    }

    async fn decline(&self, fact: &PaymentFact) -> Result<(), SettleError> {
        let declined = orders::decline(&self.database, fact.reference, fact.payment, wall()).await;
        if declined.map_err(store_error)? {
            measures::payment_settled("declined");
        }
        Ok(())
    }

    /// Says what was sold.
    async fn confirm(
        &self,
        fact: &PaymentFact,
        order: &Order,
    ) -> Result<Result<Vec<Line>, ConfirmRefusal>, SettleError> {
        let (fan, lines) = (order.fan, order.lines.clone());
        let confirm = Confirm { order: fact.reference.order, payment: fact.payment, fan, lines: lines.clone() };
        let command = if order.takes_others { Command::ConfirmOrOthers(confirm) } else { Command::Confirm(confirm) };
        match self.inventory.ask(Request { identity: None, command }).await {
            Ok(Answer::Confirmed) => Ok(Ok(lines)),
            Ok(Answer::ConfirmedAs(lines)) => Ok(Ok(lines)),
            Ok(Answer::ConfirmRefused(why)) => Ok(Err(why)),
            Ok(other) => Err(never(format!("a confirmation was answered with {other:?}"))),
            // A rule that says no to the question itself: these lines were never this event's.
            Err(AskError::Refused(refusal)) => Err(never(refusal.to_string())),
            Err(error) => Err(later(error.to_string())),
        }
    }

    async fn issue(&self, fact: &PaymentFact, order: &Order) -> Result<(), SettleError> {
        let (now, reference) = (wall(), fact.reference);
        let tickets = tickets::of(order, self.keys.load().ticket_key(now), now);
        let settled = orders::settle(&self.database, reference, fact.payment, &order.lines, &tickets, now).await;
        settled.map_err(store_error)?;
        measures::payment_settled("ticketed");
        Ok(())
    }

    async fn give_back(&self, fact: &PaymentFact, why: ConfirmRefusal) -> Result<(), SettleError> {
        let refused = orders::settle_refused(&self.database, fact.reference, fact.payment, why, wall()).await;
        refused.map_err(store_error)?;
        tracing::info!(reference = %fact.reference, payment = %fact.payment, ?why, "paid too late: the money goes back");
        measures::payment_settled("refunding");
        Ok(())
    }
}

fn store_error(error: StoreError) -> SettleError {
    if error.is_final() { never(error.to_string()) } else { later(error.to_string()) }
}

fn later(why: String) -> SettleError {
    SettleError::Later(why)
}

fn never(why: String) -> SettleError {
    SettleError::Never(why)
}
