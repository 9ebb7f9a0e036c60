//! What needs a person, on one page: nothing is stuck in silence.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{acting::Acting, app::App, extract::Json, now, problem::Problem, refusals::NotAllowed, shapes::Timestamp};
use crate::{
    domain::account::Role,
    stores::{
        database::attention::{self, Concern, Kind},
        provider::NAMES,
    },
};

#[derive(Debug, Serialize, ToSchema)]
pub struct Attention {
    /// Empty, as a rule.
    items: Vec<Item>,
    as_of: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Item {
    /// `refund_failed` (the provider refuses to give money back), `refund_slow` (it has not within an hour), `payment_undecided` (money is
    /// here, and for ten minutes nothing was decided about it), `payment_open` (has neither come nor ended within a day),
    /// `dead_letter`, `mail_failed`, `message_unsent` (has not reached the broker within a minute), `seat_move` (a ticket was to move, and for
    /// ten minutes the inventory was not told what became of it), or `provider_down` (this node does not ask it for now).
    #[schema(example = "refund_failed")]
    kind: &'static str,
    count: u64,
    /// Since when the oldest of them is there; of a provider, `null`.
    oldest_at: Option<Timestamp>,
    /// Where they are listed, under `/api/v1/admin`, if they are.
    see: Option<&'static str>,
}

/// Says what does not go on by itself, or not as fast as it should.
#[utoipa::path(get, path = "/attention", tag = "admin", security(("bearer" = [])),
    responses((status = 200, body = Attention), NotAllowed))]
pub async fn read(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<Attention>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    let now = now();
    let concerns = attention::all(&app.database, now).await?;
    let mut items: Vec<Item> = concerns
        .into_iter()
        .map(|Concern { kind, count, oldest_at }| Item {
            kind: kind.as_str(),
            count,
            oldest_at: Some(oldest_at.into()),
            see: listed(kind),
        })
        .collect();
    let down = NAMES.iter().filter_map(|name| app.providers.health(name)).filter(|health| health.retry_after.0 > 0);
    let count = down.count() as u64;
    if count > 0 {
        items.push(Item { kind: "provider_down", count, oldest_at: None, see: Some("/providers") });
    }
    Ok(Json(Attention { items, as_of: now.into() }))
}

fn listed(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::RefundFailed => Some("/refunds?state=failed"),
        Kind::RefundSlow => Some("/refunds?state=asked"),
        Kind::DeadLetter => Some("/dead-letters?state=waiting"),
        Kind::MailFailed => Some("/mails?state=failed"),
        Kind::PaymentUndecided | Kind::PaymentOpen | Kind::MessageUnsent | Kind::SeatMove => None,
    }
}
