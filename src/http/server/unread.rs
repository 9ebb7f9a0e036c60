//! Requests that are answered before their body was read to its end.
//!
//! hyper then closes the connection without saying so, and a client that keeps connections may send its next request into it
//! and lose it. So the answer says that the connection is closed, and the connection is read on until the client has heard it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::body::Body;
use hyper::{
    Request, Response, Version,
    body::{Body as _, Bytes, Frame, Incoming, SizeHint},
    header::{CONNECTION, HeaderValue},
};

/// Of one request: `None` where there is nothing to read.
pub struct Rest(Option<Arc<AtomicBool>>);

struct Watched {
    body: Incoming,
    was_read: Arc<AtomicBool>,
}

pub fn watch(request: Request<Incoming>) -> (Request<Body>, Rest) {
    // Only there a body that is left is in the way of the next request.
    if request.body().is_end_stream() || request.version() > Version::HTTP_11 {
        return (request.map(Body::new), Rest(None));
    }
    let was_read = Arc::new(AtomicBool::new(false));
    let rest = Rest(Some(Arc::clone(&was_read)));
    (request.map(|body| Body::new(Watched { body, was_read })), rest)
}

impl Rest {
    pub fn tell(&self, mut answer: Response<Body>, lingers: &AtomicBool) -> Response<Body> {
        if self.0.as_ref().is_some_and(|was_read| !was_read.load(Ordering::Relaxed)) {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            lingers.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if frame.is_none() || this.body.is_end_stream() {
            this.was_read.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
