//! Who belongs to which class of a queue, and moves by hand: recorded, and counted where everybody can see it.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Refused, STEERERS, body::MOST, record};
use crate::{
    domain::{
        code::Code as ClassCode,
        id::{EventId, FanId},
        inventory::{
            classes::{Classes, RESERVED},
            request::{Command, Request},
        },
        queue::{Class, Outcome, Standing},
    },
    http::{
        acting::Acting,
        app::App,
        events::steered,
        extract::{Json, Path},
        problem::{Code, Problem},
        queue::standing_after,
        refusals::NotAllowed,
        shapes::{FieldError, Wrong},
    },
};

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MembersChange {
    /// Of the event's list, or `default`: then they belong to none.
    #[schema(value_type = String, example = "VIP")]
    pub class: ClassCode,
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1_000)]
    pub fans: Vec<FanId>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Classified {
    /// Fans who were named.
    pub classified: usize,
}

/// To a class, or to the front: one of the two.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    #[schema(value_type = String)]
    pub fan: FanId,
    /// Of the event's list, or `default`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub class: Option<ClassCode>,
    /// Before everybody else.
    #[serde(default)]
    pub front: bool,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Moved {
    /// Where the fan waits now.
    pub moved_to: String,
}

/// These fans are in that class whenever they join from now on. Who waits stays where they are.
#[utoipa::path(put, path = "/events/{event}/queue/classes/members", tag = "admin", params(("event" = String, Path)),
    request_body = MembersChange, security(("bearer" = [])), responses((status = 200, body = Classified), NotAllowed, Refused))]
pub async fn set_members(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<MembersChange>,
) -> Result<Json<Classified>, Problem> {
    let mut wrong = Wrong::default();
    wrong.number("fans", body.fans.len(), 1..=MOST);
    if body.fans.iter().any(|fan| fan.is_device()) {
        wrong.add("fans", "a device belongs to no class: nobody knows whose it is");
    }
    wrong.add_reason(&body.reason);
    wrong.or(())?;
    steered(&app, &acting, id, &STEERERS).await?;
    let handles = app.directory.event(id).await?;
    let class = known_class(&handles.inventory.configuration().classes, &body.class)?;
    let classified = body.fans.len();
    let reason = format!("{classified} to {}: {}", body.class, body.reason);
    let inventory = record(&app, &acting, id, "queue.classify", &reason).await?.inventory;
    let class = (class != Class::DEFAULT).then_some(body.class);
    let command = Command::Classify { fans: body.fans, class };
    inventory.ask(Request { identity: None, command }).await?;
    Ok(Json(Classified { classified }))
}

/// Moves a waiting fan to another class, behind everybody who is there, or before everybody else. Counted in public, whatever
/// the reason.
#[utoipa::path(post, path = "/events/{event}/queue/move", tag = "admin", params(("event" = String, Path)),
    request_body = MoveBody, security(("bearer" = [])), responses(
    (status = 200, body = Moved),
    NotAllowed,
    (status = 409, description = "not_in_queue: the fan does not wait"),
    Refused,
))]
pub async fn move_fan(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<MoveBody>,
) -> Result<Json<Moved>, Problem> {
    let mut wrong = Wrong::default();
    if body.front == body.class.is_some() {
        wrong.add("class", "either class or front is expected");
    }
    wrong.add_reason(&body.reason);
    wrong.or(())?;
    steered(&app, &acting, id, &STEERERS).await?;
    let handles = app.directory.event(id).await?;
    let class = match &body.class {
        Some(code) => known_class(&handles.inventory.configuration().classes, code)?,
        None => Class::FRONT,
    };
    // An act on somebody who does not wait is none: nothing is recorded.
    if !matches!(handles.waiting_room.standing(body.fan).await?, Standing::Waiting(_)) {
        return Err(not_waiting());
    }
    let moved_to = handles.inventory.configuration().classes.code(class).to_owned();
    let reason = format!("{} to {moved_to}: {}", body.fan, body.reason);
    let room = record(&app, &acting, id, "queue.move", &reason).await?.waiting_room;
    match room.move_fan(body.fan, class).await? {
        Outcome::Waiting { .. } => Ok(Json(Moved { moved_to })),
        Outcome::Admitted(_) | Outcome::NotHere => Err(not_waiting()),
        outcome => Err(standing_after(outcome).err().unwrap_or_else(not_waiting)),
    }
}

fn not_waiting() -> Problem {
    Problem::new(Code::NotInQueue).detail("the fan does not wait in this queue")
}

fn known_class(classes: &Classes, code: &ClassCode) -> Result<Class, Problem> {
    let [default, _] = RESERVED;
    let found = if code.as_str() == default { Some(Class::DEFAULT) } else { classes.by_code(code) };
    found.ok_or_else(|| {
        vec![FieldError { field: "class".to_owned(), message: format!("the queue has no class {code}") }].into()
    })
}
