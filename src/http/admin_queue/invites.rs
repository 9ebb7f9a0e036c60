//! Making invites to an event's queue, and withdrawing them.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Refused, body::MOST, record};
use crate::{
    domain::{
        id::{EventId, InviteId},
        inventory::request::{Answer, Command, Request},
        time::{EventTime, Millis},
    },
    http::{
        acting::Acting,
        app::App,
        extract::{Json, Path},
        now,
        problem::{Code, Problem},
        refusals::NotAllowed,
        shapes::{FieldError, Timestamp, Wrong},
    },
};

/// An invite is used within a year.
const LONGEST: Millis = Millis::minutes(366 * 24 * 60);

/// Either so many, or one for each of these.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitesBody {
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    pub count: Option<u32>,
    /// Whom each is for, in any words of 1 to 200 characters: told back beside the token, kept nowhere, and binds nobody.
    #[serde(default, rename = "for")]
    #[schema(min_items = 1, max_items = 1_000)]
    pub people: Option<Vec<String>>,
    /// Until when they can be used; a year from now at most.
    pub expires_at: Timestamp,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invites {
    pub invites: Vec<Invite>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invite {
    /// To withdraw it by.
    #[schema(value_type = String)]
    pub invite: InviteId,
    /// What the invited person brings: `Onsale-Invite: TOKEN`. Told here only.
    pub token: String,
    pub r#for: Option<String>,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawBody {
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1_000)]
    pub invites: Vec<InviteId>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Withdrawn {
    /// Those that were not withdrawn before.
    pub withdrawn: u32,
}

impl InvitesBody {
    fn check(&self, now: EventTime) -> Result<(), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        match (self.count, &self.people) {
            (Some(count), None) => wrong.number("count", count, 1..=MOST as u32),
            (None, Some(people)) => {
                wrong.number("for", people.len(), 1..=MOST);
                for (at, name) in people.iter().enumerate() {
                    wrong.text(&format!("for[{at}]"), name, 1..=200, false);
                }
            }
            _ => wrong.add("count", "either count or for is expected"),
        }
        if self.expires_at.0 <= now || self.expires_at.0 > now + LONGEST {
            wrong.add("expires_at", "must be within a year from now");
        }
        wrong.add_reason(&self.reason);
        wrong.or(())
    }
}

/// Makes invites. Each is one person's: the first account that joins with it has it. They matter where `queue.invite_only` is set.
#[utoipa::path(post, path = "/events/{event}/queue/invites", tag = "admin", params(("event" = String, Path)),
    request_body = InvitesBody, security(("bearer" = [])), responses((status = 201, body = Invites), NotAllowed, Refused))]
pub async fn mint(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Json(body): Json<InvitesBody>,
) -> Result<(StatusCode, Json<Invites>), Problem> {
    body.check(now())?;
    let people: Vec<Option<String>> = match body.people {
        Some(people) => people.into_iter().map(Some).collect(),
        None => vec![None; body.count.unwrap_or_default() as usize],
    };
    let reason = format!("{} until {}: {}", people.len(), body.expires_at, body.reason);
    record(&app, &acting, event, "queue.invites", &reason).await?;
    let made = people.into_iter().map(|r#for| {
        let (invite, expires_at) = (InviteId::from_u128(rand::random()), body.expires_at);
        Invite { invite, token: app.invites.make(event, invite, expires_at.ms() / 1000), r#for, expires_at }
    });
    Ok((StatusCode::CREATED, Json(Invites { invites: made.collect() })))
}

/// Nobody gets in by these any more. Whoever has a place by one keeps it.
#[utoipa::path(post, path = "/events/{event}/queue/invites/withdraw", tag = "admin", params(("event" = String, Path)),
    request_body = WithdrawBody, security(("bearer" = [])), responses((status = 200, body = Withdrawn), NotAllowed,
    (status = 409, description = "too_many_invites"), Refused))]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Json(body): Json<WithdrawBody>,
) -> Result<Json<Withdrawn>, Problem> {
    let mut wrong = Wrong::default();
    wrong.number("invites", body.invites.len(), 1..=MOST);
    wrong.add_reason(&body.reason);
    wrong.or(())?;
    let reason = format!("{}: {}", body.invites.len(), body.reason);
    let handles = record(&app, &acting, event, "queue.withdraw", &reason).await?;
    let command = Command::WithdrawInvites(body.invites);
    match handles.inventory.ask(Request { identity: None, command }).await? {
        Answer::InvitesWithdrawn { count } => Ok(Json(Withdrawn { withdrawn: count })),
        other => {
            tracing::error!(?other, "not an answer to WithdrawInvites");
            Err(Code::Internal.into())
        }
    }
}
