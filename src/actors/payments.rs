//! Payments between the shop and its providers: what is asked of them, and what they say, however it gets here.
//!
//! Owns what is believed of an answer: the money must be the payment's, to the last unit and in its currency. Money that has
//! moved is stored with what follows from it, in one transaction; what follows is worked off elsewhere.

use crate::{
    actors::orders::PaymentFact,
    domain::{
        id::OrderRef,
        money::Money,
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            Database, orders,
            payments::{
                self, Payment, State,
                outstanding::{self, Outstanding},
            },
            webhooks::{self, Received},
        },
        error::StoreError,
        provider::{Agreement, PaymentProvider, Providers, Standing},
    },
};

/// A payment that nobody has heard of is asked about after this, and then less and less often.
pub const FIRST_LOOK: Millis = Millis::seconds(60);
/// Whoever asks has the payment to himself for so long: longer than a provider may take.
pub const LEASE: Millis = Millis::seconds(30);

#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    #[error("there is no provider {0:?} here")]
    NoProvider(String),
    /// The provider has said something that is not so.
    #[error("the provider has another amount than the payment's")]
    Mismatch,
    /// Certainly not done, and never will be.
    #[error("the provider refuses: {0}")]
    Refused(StoreError),
    #[error("the provider: {0}")]
    Provider(StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Everybody who speaks with providers about payments has one. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub database: Database,
    pub providers: Providers,
}

impl Desk {
    /// The provider's session; opened if it is not yet, under the same key as ever.
    pub async fn open(&self, outstanding: &Outstanding) -> Result<Payment, PaymentError> {
        let payment = outstanding.payment.clone();
        if !payment.url.is_empty() {
            return Ok(payment);
        }
        let request = outstanding.request.as_ref();
        let request = request.ok_or_else(|| StoreError::Corrupt("a payment without its request".into()))?;
        let opened = asked(self.provider(&payment)?.open(request).await)?;
        outstanding::opened(&self.database, payment.id, &opened).await?;
        Ok(Payment { provider_session: opened.session, url: opened.url, ..payment })
    }

    pub async fn look(&self, payment: &Payment, now: EventTime) -> Result<Standing, PaymentError> {
        let standing = asked(self.provider(payment)?.look(&payment.provider_session).await)?;
        self.take_in(payment, standing, now).await
    }

    /// The fan has agreed; the money is taken now where the provider waits for that.
    pub async fn confirm(&self, payment: &Payment, token: &str, now: EventTime) -> Result<Standing, PaymentError> {
        let agreement = Agreement {
            key: payment.id,
            session: payment.provider_session.clone(),
            token: token.to_owned(),
            amount: payment.amount,
        };
        match asked(self.provider(payment)?.confirm(&agreement).await) {
            Err(PaymentError::Refused(why)) => {
                outstanding::agreed(&self.database, payment.id, "", now + FIRST_LOOK, now).await?;
                Err(PaymentError::Refused(why))
            }
            standing => self.take_in(payment, standing?, now).await,
        }
    }

    /// Nobody can pay it at the provider from then on, unless somebody has already. Where the provider may never have heard of it,
    /// its session is asked for once more, to be closed.
    pub async fn close(&self, outstanding: Outstanding, now: EventTime) -> Result<Standing, PaymentError> {
        let payment = match self.open(&outstanding).await {
            Err(PaymentError::Refused(_)) => {
                orders::decline(&self.database, outstanding.payment.reference, outstanding.payment.id, now).await?;
                return Ok(Standing::Ended);
            }
            opened => opened?,
        };
        let standing = asked(self.provider(&payment)?.close(&payment.provider_session).await)?;
        self.take_in(&payment, standing, now).await
    }

    /// What is open for this order, as far as its provider answers now; the rest is closed as soon as it does.
    pub async fn give_up(&self, reference: OrderRef, now: EventTime) -> Result<(), StoreError> {
        let open = payments::of_order(&self.database, reference).await?;
        for payment in open.into_iter().filter(|payment| payment.state == State::Open) {
            let Some(outstanding) = outstanding::by_id(&self.database, payment.id).await? else { continue };
            // Whoever took the fan's word may be having the money taken.
            if !outstanding.token.is_empty() {
                continue;
            }
            match self.close(outstanding, now).await {
                Ok(_) => {}
                Err(PaymentError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(payment = %payment.id, %reference, %error, "a payment is not closed yet");
                }
            }
        }
        Ok(())
    }

    fn provider(&self, payment: &Payment) -> Result<std::sync::Arc<dyn PaymentProvider>, PaymentError> {
        let provider = self.providers.by_name(&payment.provider);
        provider.ok_or_else(|| PaymentError::NoProvider(payment.provider.clone()))
    }

    /// What the provider says when it is asked.
    async fn take_in(&self, payment: &Payment, standing: Standing, now: EventTime) -> Result<Standing, PaymentError> {
        match standing {
            Standing::Open | Standing::Processing => {}
            Standing::Ended => {
                orders::decline(&self.database, payment.reference, payment.id, now).await?;
            }
            Standing::Paid(amount) => {
                self.check(payment, amount)?;
                // Its own message, if that comes, is another one and does no harm.
                let id = format!("asked-{}", payment.id);
                said(&self.database, (&payment.provider, &id), payment, true, now).await?;
            }
        }
        Ok(standing)
    }

    fn check(&self, payment: &Payment, amount: Money) -> Result<(), PaymentError> {
        if amount == payment.amount {
            return Ok(());
        }
        let (is, should) = (amount.to_string(), payment.amount.to_string());
        tracing::error!(payment = %payment.id, reference = %payment.reference, is, should, "a person must look at this payment");
        Err(PaymentError::Mismatch)
    }
}

/// The provider has said that the money is here, or that it will not come. `message` names its provider and itself there: it is
/// taken in once for ever.
pub async fn said(
    database: &Database,
    message: (&str, &str),
    payment: &Payment,
    captured: bool,
    now: EventTime,
) -> Result<Received, StoreError> {
    let fact = PaymentFact {
        payment: payment.id,
        reference: payment.reference,
        amount_minor: payment.amount.minor,
        currency: payment.amount.currency,
        captured,
    };
    let routing_key = if captured { "order.payment-success" } else { "order.payment-cancelled" };
    let body = serde_json::to_string(&fact).expect("a fact is plain values");
    let money = captured.then_some((payment.reference, payment.id));
    let received = webhooks::receive(database, message, (routing_key, &body), money, now).await?;
    tracing::info!(provider = message.0, id = message.1, reference = %fact.reference, captured, ?received, "payment message");
    Ok(received)
}

/// A refusal is an answer; everything else is none.
fn asked<T>(answer: Result<T, StoreError>) -> Result<T, PaymentError> {
    answer.map_err(|error| match error {
        StoreError::Invalid(_) | StoreError::Conflict(_) => PaymentError::Refused(error),
        error => PaymentError::Provider(error),
    })
}
