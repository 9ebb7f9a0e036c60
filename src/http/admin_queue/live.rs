//! A queue as those who steer it watch it: its report each second, as server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{DEFAULT_MEMBERS, STEERERS, body::QueueReport, report};
use crate::{
    domain::id::EventId,
    http::{
        acting::Acting,
        app::App,
        events::steered,
        extract::Path,
        problem::Problem,
        refusals::NotAllowed,
        sse::{self, Event, Events, event},
        websocket::Seat,
    },
};

const EVERY: Duration = Duration::from_secs(1);

/// Tells the queue at once and each second: events `queue`, as `GET …/queue` answers, and `unavailable` with a `code` while nothing
/// can be told. Ends with `close` and a `code` when the token has expired or the role is gone, or when newer streams and sockets
/// have taken the account's places.
#[utoipa::path(get, path = "/events/{event}/queue/live", tag = "admin", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "a stream of events", content_type = "text/event-stream", body = String), NotAllowed))]
pub async fn watch(State(app): State<Arc<App>>, acting: Acting, Path(id): Path<EventId>) -> Result<Response, Problem> {
    steered(&app, &acting, id, &STEERERS).await?;
    let seat = app.sockets.take_seat(acting.signed_in.account);
    let (events, response) = sse::open();
    app.tasks.spawn(run(app.clone(), acting, id, seat, events));
    Ok(response)
}

async fn run(app: Arc<App>, acting: Acting, id: EventId, seat: Seat, events: Events) {
    let mut each = interval(EVERY);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = loop {
        tokio::select! {
            biased;
            () = events.closed() => return,
            () = app.closing.cancelled() => return,
            () = seat.displaced.cancelled() => break refused("close", "too_many_sockets"),
            _ = each.tick() => {}
        }
        if let Err(problem) = allowed(&app, &acting, id).await {
            break refused("close", problem.code().row().name);
        }
        let next = match look(&app, id).await {
            Ok(report) => event("queue", &report),
            Err(problem) => refused("unavailable", problem.code().row().name),
        };
        if events.tell(next).await.is_err() {
            return;
        }
    };
    // A client that takes nothing is not told why either.
    let _ = events.tell(last).await;
}

/// Still: a refusal for the moment, such as a database that does not answer, is none.
async fn allowed(app: &App, acting: &Acting, id: EventId) -> Result<(), Problem> {
    let checked = async {
        let acting = acting.renewed(app).await?;
        steered(app, &acting, id, &STEERERS).await
    };
    match checked.await {
        Err(problem) if !problem.code().row().retryable => Err(problem),
        _ => Ok(()),
    }
}

async fn look(app: &App, id: EventId) -> Result<QueueReport, Problem> {
    let handles = app.directory.event(id).await?;
    report(app, &handles, None, DEFAULT_MEMBERS).await
}

fn refused(name: &str, code: &str) -> Event {
    event(name, &json!({"code": code}))
}
