//! A socket's bytes: the one place that reads and writes them, so frames never mix.
//!
//! Whoever has a frame to send writes it at once, from whatever thread; what the client does not take stays here, in order, and
//! the socket's own task sends it on. Nobody else waits for a client.

#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use fastwebsockets::Frame;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

use crate::http::server::Connection;

/// Bytes that may wait for one client.
const UNSENT: usize = 64 * 1024;
/// Bytes that are read at once.
const HEARD: usize = 1024;
/// A client that does not take what waits within this is cut.
const WRITE: Duration = Duration::from_secs(5);

pub struct Line(Mutex<Wire>);

struct Wire {
    stream: Connection,
    /// Read, and not yet asked for; at first what came together with the handshake.
    heard: Bytes,
    unsent: Bytes,
    /// All is written, but not sent: by TLS.
    is_unflushed: bool,
    /// The last frame was given: nothing follows.
    is_closed: bool,
    failed: bool,
    /// Of the socket's task.
    tending: Option<Waker>,
}

/// The client is gone, or takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

impl Line {
    pub fn new(stream: Connection, early: Bytes) -> Self {
        Self(Mutex::new(Wire {
            stream,
            heard: early,
            unsent: Bytes::new(),
            is_unflushed: false,
            is_closed: false,
            failed: false,
            tending: None,
        }))
    }

    /// Whether nothing waits: what is sent now goes out now, as far as the client takes it.
    pub fn is_clear(&self) -> bool {
        self.lock().is_clear()
    }

    pub fn send(&self, frame: Frame<'_>) -> Result<(), Broken> {
        let bytes = encoded(frame);
        self.lock().send(bytes)
    }

    /// What is encoded already, if nothing waits before it. Whether it is taken: what the client does not take of it stays here, as a
    /// part of the bytes given.
    pub fn send_if_clear(&self, frames: &Bytes) -> Result<bool, Broken> {
        let mut wire = self.lock();
        if wire.failed || wire.is_closed {
            return Err(Broken);
        }
        if !wire.is_clear() {
            return Ok(false);
        }
        wire.write(frames.clone()).map(|()| true)
    }

    /// Sends the last frame. Says nothing if the last one has been sent.
    pub fn close(&self, code: u16, reason: &str) {
        self.close_with(Frame::close(code, reason.as_bytes()));
    }

    pub fn close_with(&self, frame: Frame<'_>) {
        let bytes = encoded(frame);
        let mut wire = self.lock();
        // A broken line is seen by its task; on a closed one the last frame was another.
        let _ = wire.send(bytes);
        wire.is_closed = true;
        wire.wake();
    }

    /// Sends on what waits; until the last frame is sent, or the line is broken.
    pub async fn tend(&self) -> Result<(), Broken> {
        loop {
            poll_fn(|context| self.lock().poll_needed(context)).await;
            let sent = timeout(WRITE, poll_fn(|context| self.lock().poll_send(context))).await;
            match sent {
                Ok(Ok(is_closed)) if is_closed => return Ok(()),
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => {
                    self.lock().failed = true;
                    return Err(Broken);
                }
            }
        }
    }

    /// Until something can be read, if only the end. Costs no buffer while nothing is said.
    pub async fn hear(&self) -> io::Result<()> {
        poll_fn(|context| self.lock().poll_hear(context)).await
    }

    /// A half close: the client reads what was sent, then the end.
    pub async fn shutdown(&self) {
        let shut = poll_fn(|context| Pin::new(&mut self.lock().stream).poll_shutdown(context));
        let _ = timeout(WRITE, shut).await;
    }

    /// Nothing that runs under the lock can panic half way.
    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As it travels.
pub fn encoded(mut frame: Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // It makes room for the longest header.
    let length = frame.write(&mut bytes).len();
    bytes.truncate(length);
    bytes
}

impl Wire {
    fn is_clear(&self) -> bool {
        self.unsent.is_empty() && !self.is_unflushed
    }

    fn send(&mut self, frame: Vec<u8>) -> Result<(), Broken> {
        if self.failed || self.is_closed {
            return Err(Broken);
        }
        if !self.is_clear() {
            if self.unsent.len() + frame.len() > UNSENT {
                self.fail();
                return Err(Broken);
            }
            self.unsent = [&*self.unsent, &*frame].concat().into();
            return Ok(());
        }
        self.write(frame.into())
    }

    /// Nothing waits.
    fn write(&mut self, mut frames: Bytes) -> Result<(), Broken> {
        match self.stream.write_now(&frames) {
            Ok((written, is_flushed)) => {
                self.is_unflushed = !is_flushed;
                if written < frames.len() {
                    self.unsent = frames.split_off(written);
                }
                if !self.is_clear() {
                    self.wake();
                }
                Ok(())
            }
            Err(_) => {
                self.fail();
                Err(Broken)
            }
        }
    }

    fn fail(&mut self) {
        self.failed = true;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(task) = self.tending.take() {
            task.wake();
        }
    }

    fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.heard.is_empty() {
            let mut bytes = [0; HEARD];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            self.heard = Bytes::copy_from_slice(buffer.filled());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_needed(&mut self, context: &Context<'_>) -> Poll<()> {
        if !self.is_clear() || self.is_closed || self.failed {
            return Poll::Ready(());
        }
        self.tending = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether that was the last.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        while !self.unsent.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(written);
            self.is_unflushed = true;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.is_unflushed = false;
        self.unsent = Bytes::new();
        Poll::Ready(Ok(self.is_closed))
    }
}

/// The client's side of it.
impl AsyncRead for &Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.lock();
        ready!(wire.poll_hear(context))?;
        let length = wire.heard.len().min(buffer.remaining());
        buffer.put_slice(&wire.heard.split_to(length));
        Poll::Ready(Ok(()))
    }
}
