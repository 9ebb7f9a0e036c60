//! Orders that many make, or ask for, at the same time.

use super::{Order, changed, of_row, open_checkout, select, table, take};
use crate::{
    domain::{id::OrderRef, order::OrderState, time::EventTime},
    stores::{
        crash_point::Step,
        database::{Database, idempotency, together::Work},
        error::StoreError,
    },
};

/// The order of a hold.
pub(in crate::stores::database) struct Ensure(pub Order);

impl Work for Ensure {
    type Done = Order;

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Order>>, StoreError> {
        let mut orders: Vec<Order> = all.iter().map(|Self(order)| order.clone()).collect();
        orders.sort_by_key(|order| order.reference);
        let references: Vec<OrderRef> = all.iter().map(|Self(order)| order.reference).collect();
        let mut write = database.begin().await?;
        write.is_step(Step::OrderEnsured);
        table::insert(&mut write, &orders).await?;
        let stored = table::select(&mut write, &references).await?;
        write.commit().await?;
        Ok(references.iter().map(|reference| stored.get(reference).cloned()).collect())
    }

    async fn alone(self, database: &Database) -> Result<Order, StoreError> {
        let Self(order) = self;
        let reference = order.reference;
        if let Some(order) = super::by_reference(database, reference).await? {
            return Ok(order);
        }
        let mut write = database.begin().await?;
        write.is_step(Step::OrderEnsured);
        table::insert(&mut write, &[order]).await?;
        let stored = take(&mut write, reference).await?;
        write.commit().await?;
        Ok(stored)
    }
}

pub(in crate::stores::database) struct ByReference(pub OrderRef);

impl Work for ByReference {
    type Done = Option<Order>;

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Option<Order>>>, StoreError> {
        let references: Vec<OrderRef> = all.iter().map(|Self(reference)| *reference).collect();
        let stored = table::read(database, &references).await?;
        Ok(references.iter().map(|reference| Some(stored.get(reference).cloned())).collect())
    }

    async fn alone(self, database: &Database) -> Result<Option<Order>, StoreError> {
        let select = select("WHERE reference = $1");
        database.fetch_optional(select.bind(self.0.to_string())).await?.map(|row| of_row(&row)).transpose()
    }
}

/// The checkout of an order is open, and a request is answered with that.
pub struct Opening {
    pub reference: OrderRef,
    /// The request's, as `idempotency` has it.
    pub key: String,
    pub status: u16,
    /// What is answered, by the order as it is then.
    pub answer: Box<dyn Fn(Order) -> String + Send + Sync>,
    pub now: EventTime,
}

impl Work for Opening {
    /// What was answered.
    type Done = Option<String>;

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Option<String>>>, StoreError> {
        let references: Vec<OrderRef> = all.iter().map(|one| one.reference).collect();
        let mut write = database.begin().await?;
        write.is_step(Step::CheckedOut);
        let mut orders = table::take(&mut write, &references).await?;
        let (mut opened, mut answers, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for one in all {
            // Taken out: a second request for one order is not plain.
            let order = match orders.remove(&one.reference) {
                Some(order) if order.state == OrderState::Paying => order,
                Some(mut order) if order.state == OrderState::Pending => {
                    order.known.checkout_open = true;
                    let order = changed(order, one.now);
                    opened.push(order.clone());
                    order
                }
                _ => {
                    done.push(None);
                    continue;
                }
            };
            let answer = (one.answer)(order);
            answers.push((one.key.as_str(), one.status, answer.clone()));
            done.push(Some(Some(answer)));
        }
        if !table::update_many(&mut write, &mut opened).await?
            || !idempotency::finish_many(&mut write, &answers).await?
        {
            return Ok(all.iter().map(|_| None).collect());
        }
        write.commit().await?;
        Ok(done)
    }

    async fn alone(self, database: &Database) -> Result<Option<String>, StoreError> {
        let mut write = database.begin().await?;
        let order = open_checkout(&mut write, self.reference, self.now).await?;
        let answer = (self.answer)(order);
        match idempotency::finish(&mut write, &self.key, self.status, &answer).await {
            Err(StoreError::Conflict(_)) => return Ok(None),
            other => other?,
        }
        write.commit().await?;
        Ok(Some(answer))
    }
}
