//! A queue as those who steer it watch it: its report each second, as server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{DEFAULT_MEMBERS, STEERERS, report};
use crate::{
    domain::id::EventId,
    http::{
        acting::Acting,
        app::App,
        events::steered,
        extract::Path,
        problem::Problem,
        queue::stream::{event, told},
        refusals::NotAllowed,
    },
};

const EVERY: Duration = Duration::from_secs(1);

/// Tells the queue at once and each second: events `queue`, as `GET …/queue` answers, and `unavailable` with a `code` while nothing
/// can be told. Ends with `close` and a `code` when the token has expired or the role is gone.
#[utoipa::path(get, path = "/events/{event}/queue/live", tag = "admin", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "a stream of events", content_type = "text/event-stream", body = String), NotAllowed))]
pub async fn watch(State(app): State<Arc<App>>, acting: Acting, Path(id): Path<EventId>) -> Result<Response, Problem> {
    steered(&app, &acting, id, &STEERERS).await?;
    let (events, body) = mpsc::channel(1);
    app.tasks.spawn(run(app.clone(), acting, id, events));
    Ok(told(body))
}

async fn run(app: Arc<App>, acting: Acting, id: EventId, events: mpsc::Sender<Event>) {
    let mut each = interval(EVERY);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = events.closed() => return,
            () = app.closing.cancelled() => return,
            _ = each.tick() => {}
        }
        let next = match allowed(&app, &acting, id).await {
            Err(problem) => {
                let _ = events.send(refused("close", &problem)).await;
                return;
            }
            Ok(()) => match look(&app, id).await {
                Ok(report) => event("queue", &report),
                Err(problem) => refused("unavailable", &problem),
            },
        };
        tokio::select! {
            sent = events.send(next) => if sent.is_err() { return },
            () = app.closing.cancelled() => return,
        }
    }
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

async fn look(app: &App, id: EventId) -> Result<super::QueueReport, Problem> {
    let handles = app.directory.event(id).await?;
    report(&handles, None, DEFAULT_MEMBERS).await
}

fn refused(name: &str, problem: &Problem) -> Event {
    event(name, &json!({"code": problem.code().row().name}))
}
