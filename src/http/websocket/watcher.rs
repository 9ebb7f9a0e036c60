//! A socket that only watches an event's stock: for anybody, without an account and without a place.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use fastwebsockets::upgrade::{IncomingUpgrade, UpgradeFut};
use http::{HeaderMap, StatusCode};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    PING_EVERY, agreed, goodbye, is_upgrade, line, part,
    reader::{self, Said, Stop},
    send_ping,
};
use crate::{
    domain::{id::EventId, stock::Mark},
    http::{
        app::App,
        availability::public_event,
        extract::{ClientAddress, Path, Query},
        problem::{Code, Problem},
        stock::resume::Resume,
    },
};

/// Which seats are free and how much of the rest there is, as the stream tells it. The client may say `{"type": "stock", "epoch",
/// "lastSeq"}` to be told what is new since, or all of it, and `{"type": "ping"}`.
#[utoipa::path(get, path = "/events/{event}/stock/socket", tag = "sale", params(("event" = String, Path), Resume,
        ("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`onsale.v1`, or nothing")), responses(
    (status = 101, description = "a WebSocket; the first message comes at once"),
    (status = 400, description = "invalid_query"),
    (status = 403, description = "origin_not_allowed"),
    (status = 404, description = "not_found"),
    (status = 426, description = "websocket_expected"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    Path(event): Path<EventId>,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
    upgrade: Result<IncomingUpgrade, StatusCode>,
) -> Result<Response, Problem> {
    app.origins.check(&headers)?;
    let seen = resume.mark()?;
    app.limits.watch_address.check(address)?;
    let upgrade = upgrade.ok().filter(|_| is_upgrade(&headers)).ok_or(Code::WebsocketExpected)?;
    public_event(&app, event).await?;
    let (response, upgraded) = upgrade.upgrade().map_err(|_| Problem::new(Code::WebsocketExpected))?;
    app.tasks.spawn(serve(app.clone(), event, seen, upgraded));
    Ok(agreed(response.into_response(), &headers))
}

async fn serve(app: Arc<App>, event: EventId, seen: Option<Mark>, upgraded: UpgradeFut) {
    let Some(line) = Box::pin(line(upgraded)).await else { return };
    let line = Arc::new(line);
    let watch = |seen| app.stations.station(&app.directory, event).watch(&line, seen);
    let mut watching = watch(seen);
    let mut hear = |said| match said {
        Said::Stock(seen) => {
            watching = watch(seen.mark());
            true
        }
        _ => false,
    };
    let goodbye = goodbye(app.closing.clone(), app.operations.state());
    let (reading, tending) = (reader::read(&line, &mut hear), line.tend());
    tokio::pin!(goodbye, reading, tending);
    let mut each = interval(PING_EVERY);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    each.reset();
    let is_told = loop {
        tokio::select! {
            biased;
            () = &mut goodbye => {
                line.close(1001, "going_away");
                break true;
            }
            stop = &mut reading => match stop {
                Stop::Closed => break true,
                Stop::Gone => break false,
                Stop::Refused(code) => {
                    line.close(code, "");
                    break true;
                }
            },
            // The client takes nothing.
            tended = &mut tending => break tended.is_ok(),
            _ = each.tick() => send_ping(&line),
        }
    };
    if is_told {
        part(&line).await;
    }
}
