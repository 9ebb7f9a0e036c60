//! Settling one payment: the inventory decides, then the database follows.
//!
//! Every step may be repeated: the inventory answers the same payment in the same way for ever, and the database keeps the
//! first settling. So whatever is lost between the steps, the payment comes again and ends the same.

use std::sync::Arc;

use aws_lc_rs::hmac::{self, HMAC_SHA256};

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
            instruments::{self, Paid},
            orders::{self, Order},
            payments,
        },
        error::StoreError,
        keys::ring::KeyRing,
        provider::Providers,
    },
};

#[derive(Clone)]
pub(super) struct Settler {
    pub inventory: inventory::Handle,
    pub database: Database,
    pub keys: Arc<KeyRing>,
    pub providers: Providers,
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
        let command = if self.is_beyond_instrument(fact, order).await? {
            Command::RefuseInstrument(confirm)
        } else if order.takes_others {
            Command::ConfirmOrOthers(confirm)
        } else {
            Command::Confirm(confirm)
        };
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

    /// Whether more would be bought with the payment's card than the event allows. If its provider does not say which card it was,
    /// it is not; if the provider cannot be asked, the order waits.
    async fn is_beyond_instrument(&self, fact: &PaymentFact, order: &Order) -> Result<bool, SettleError> {
        let Some(most) = self.inventory.configuration().limits.per_instrument else { return Ok(false) };
        let payment = payments::by_id(&self.database, fact.payment).await.map_err(store_error)?;
        let payment = payment.ok_or_else(|| never(format!("there is no payment {}", fact.payment)))?;
        let Some(provider) = self.providers.by_name(&payment.provider) else { return Ok(false) };
        let instrument = match provider.instrument(&payment.provider_session).await {
            Err(StoreError::Invalid(_)) => None,
            instrument => instrument.map_err(|error| later(error.to_string()))?,
        };
        let Some(instrument) = instrument else { return Ok(false) };
        let tickets = order.lines.iter().map(|line| line.quantity).fold(0, u32::saturating_add);
        let instrument = self.hashed(&payment.provider, &instrument);
        let paid = Paid { payment: fact.payment, reference: fact.reference, tickets };
        let claimed = instruments::claim(&self.database, paid, &instrument, most, wall()).await;
        Ok(!claimed.map_err(store_error)?)
    }

    /// What is stored of a card: worth nothing without the root secret.
    fn hashed(&self, provider: &str, instrument: &str) -> String {
        let key = self.keys.secret().keys("instrument").into_iter().next().expect("one signs");
        let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &*key), format!("{provider} {instrument}").as_bytes());
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
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
        if self.inventory.configuration().limits.per_instrument.is_some() {
            instruments::free(&self.database, fact.payment).await.map_err(store_error)?;
        }
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
