//! Answers that go on: server-sent events, given one by one by a task of the handler's.
//!
//! Owns how they travel and their limits. What they say is the handler's.

use std::{convert::Infallible, time::Duration};

pub use axum::response::sse::Event;
use axum::{
    body::Body,
    response::{
        IntoResponse, Response,
        sse::{KeepAlive, Sse},
    },
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};

use super::server::Lasting;

/// A comment when nothing else was said, so that nobody on the way takes the stream for dead.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// A client that takes no event within this is cut.
const WRITE: Duration = Duration::from_secs(30);

/// The end that tells. The answer ends when it is dropped.
pub struct Events {
    told: mpsc::Sender<Event>,
    _lasting: Lasting,
}

/// The client has gone, or takes nothing.
#[derive(Debug)]
pub struct Gone;

/// An answer that is still to be given.
pub fn open() -> (Events, Response) {
    let (told, events) = mpsc::channel(1);
    let events = stream::unfold(events, |mut events| async move {
        let event: Event = events.recv().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // Otherwise nginx keeps what is said until there is more of it.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    let lasting = Lasting::default();
    response.extensions_mut().insert(lasting.clone());
    (Events { told, _lasting: lasting }, response)
}

/// The same for what is encoded already, heartbeats too.
pub struct Pieces {
    told: mpsc::Sender<Bytes>,
    _lasting: Lasting,
}

pub fn open_encoded() -> (Pieces, Response) {
    let (told, pieces) = mpsc::channel(1);
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece: Bytes = pieces.recv().await?;
        Some((Ok::<_, Infallible>(piece), pieces))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    let mut response = (headers, Body::from_stream(pieces)).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    let lasting = Lasting::default();
    response.extensions_mut().insert(lasting.clone());
    (Pieces { told, _lasting: lasting }, response)
}

impl Pieces {
    pub async fn tell(&self, piece: Bytes) -> Result<(), Gone> {
        match timeout(WRITE, self.told.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Waits until the client is known to have gone.
    pub async fn closed(&self) {
        self.told.closed().await;
    }
}

impl Events {
    pub async fn tell(&self, event: Event) -> Result<(), Gone> {
        match timeout(WRITE, self.told.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Waits until the client is known to have gone.
    pub async fn closed(&self) {
        self.told.closed().await;
    }
}

pub fn event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).expect("words are plain values"))
}
