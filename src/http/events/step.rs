//! The steps of an event's life, by its organizer; which lead where, `domain` says.

use std::sync::Arc;

use axum::extract::State;
use utoipa::IntoResponses;

use super::{answer::EventAnswer, reconfigure, steered, told};
use crate::{
    domain::{event::Step, id::EventId},
    http::{
        acting::Acting,
        app::App,
        extract::{Json, Path},
        problem::{Code, Problem},
        refusals::NotAllowed,
    },
};

/// By every step.
#[derive(IntoResponses)]
pub enum Refused {
    #[response(status = 409, description = "invalid_transition")]
    NotFromHere,
    #[response(status = 503, description = "event_unavailable or outcome_unknown")]
    NotNow,
}

type Stepped = Result<Json<EventAnswer>, Problem>;

/// Out of the draft: it can be found, and is sold from its on-sale on.
#[utoipa::path(post, path = "/events/{event}/publish", tag = "events", params(("event" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = EventAnswer), NotAllowed, Refused,
    (status = 422, description = "invalid_event: there is nothing to sell")))]
pub async fn publish(app: State<Arc<App>>, acting: Acting, event: Path<EventId>) -> Stepped {
    take(app, acting, event, Step::Publish, "event.publish").await
}

/// Stops selling for now; holds, payments and places stay.
#[utoipa::path(post, path = "/events/{event}/pause", tag = "events", params(("event" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = EventAnswer), NotAllowed, Refused))]
pub async fn pause(app: State<Arc<App>>, acting: Acting, event: Path<EventId>) -> Stepped {
    take(app, acting, event, Step::Pause, "event.pause").await
}

/// Sells again.
#[utoipa::path(post, path = "/events/{event}/resume", tag = "events", params(("event" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = EventAnswer), NotAllowed, Refused))]
pub async fn resume(app: State<Arc<App>>, acting: Acting, event: Path<EventId>) -> Stepped {
    take(app, acting, event, Step::Resume, "event.resume").await
}

/// Ends the sale for good.
#[utoipa::path(post, path = "/events/{event}/end", tag = "events", params(("event" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = EventAnswer), NotAllowed, Refused))]
pub async fn end(app: State<Arc<App>>, acting: Acting, event: Path<EventId>) -> Stepped {
    take(app, acting, event, Step::End, "event.end").await
}

/// Cancels the event: nothing is sold any more, and a payment that comes later goes back.
#[utoipa::path(post, path = "/events/{event}/cancel", tag = "events", params(("event" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = EventAnswer), NotAllowed, Refused))]
pub async fn cancel(app: State<Arc<App>>, acting: Acting, event: Path<EventId>) -> Stepped {
    take(app, acting, event, Step::Cancel, "event.cancel").await
}

async fn take(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    step: Step,
    action: &str,
) -> Stepped {
    let (event, role) = steered(&app, &acting, id, &[]).await?;
    let act = acting.act(role, action, id, "");
    let event = reconfigure(&app, event, act, |configuration| {
        configuration.phase = configuration.phase.after(step).ok_or_else(|| {
            Problem::new(Code::InvalidTransition).detail(format!("the event is {}", configuration.phase))
        })?;
        Ok(())
    })
    .await?;
    Ok(Json(told(&app, event).await))
}
