//! The stock as server-sent events.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::HeaderMap;
use tokio::time::sleep;

use super::{edition::Way, resume::Resume, station::Station};
use crate::{
    domain::{id::EventId, stock::Mark},
    http::{
        app::App,
        availability::public_event,
        extract::{ClientAddress, Path, Query},
        problem::Problem,
        sse::{self, Pieces},
        websocket::goodbye,
    },
};

/// Which seats are free and how much of the rest there is, at once and on change, until the client goes. Events: `stock.snapshot`,
/// `stock.delta`, and as the last `goaway` where this node goes down: open it again. Their `id` says how to go on.
#[utoipa::path(get, path = "/events/{event}/stock/stream", tag = "sale",
    params(("event" = String, Path), Resume, ("last-event-id" = Option<String>, Header, description = "`EPOCH-SEQ`")),
    responses(
    (status = 200, description = "a stream of events; the first one comes at once", content_type = "text/event-stream", body = String),
    (status = 400, description = "invalid_query"),
    (status = 404, description = "not_found"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    Path(event): Path<EventId>,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = resume.mark_of_stream(&headers)?;
    app.limits.watch_address.check(address)?;
    public_event(&app, event).await?;
    let station = app.stations.station(&app.directory, event);
    let (pieces, response) = sse::open_encoded();
    app.tasks.spawn(run(app.clone(), station, seen, pieces));
    Ok(response)
}

async fn run(app: Arc<App>, station: Arc<Station>, mut seen: Option<Mark>, pieces: Pieces) {
    let goodbye = goodbye(app.closing.clone(), app.operations.state());
    tokio::pin!(goodbye);
    let mut editions = station.editions();
    loop {
        let edition = editions.borrow_and_update().clone();
        if let Some(edition) = edition {
            let missed = edition.since(seen, Way::Stream);
            // A slow client is told the newest when it has taken this.
            if !missed.is_empty() && pieces.tell(missed).await.is_err() {
                return;
            }
            seen = Some(edition.mark());
        }
        let said = tokio::select! {
            biased;
            () = pieces.closed() => return,
            () = &mut goodbye => {
                // A client that takes nothing is not told why either.
                let _ = pieces.tell(Bytes::from_static(b"event: goaway\ndata: {}\n\n")).await;
                return;
            }
            changed = editions.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = sleep(sse::HEARTBEAT) => pieces.tell(Bytes::from_static(b":\n\n")).await,
        };
        if said.is_err() {
            return;
        }
    }
}
