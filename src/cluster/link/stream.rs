//! The stream under a link, as ractor_cluster takes it: it fails when the other side has been silent for too long.
//!
//! ractor_cluster pings, but waits for no answer: a frozen peer, or one behind a cut cable, would not be noticed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ractor_cluster::{BoxRead, BoxWrite, ClusterBidiStream};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf, split},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_rustls::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Six heartbeats. Shorter than the lease, so that a dead node is asked nothing before its events are free.
pub const SILENCE: Duration = Duration::from_millis(1_500);
/// ractor_cluster reads in small pieces.
const READ_AHEAD: usize = 64 * 1024;

/// For a connection between nodes: nothing waits for a full packet, and what is sent and not acknowledged counts as silence.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(SILENCE))
}

pub struct Stream {
    read: BoxRead,
    write: BoxWrite,
    label: String,
    cut: CancellationToken,
}

/// Both ways of a connection whose other side is known.
pub struct Halves(BoxRead, BoxWrite);

impl From<TcpStream> for Halves {
    fn from(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self(Box::new(read), Box::new(write))
    }
}

impl From<TlsStream<TcpStream>> for Halves {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        let (read, write) = split(stream);
        Self(Box::new(read), Box::new(write))
    }
}

impl Stream {
    /// `label` comes back with everything that ractor_cluster tells of the session. Fails once `cut` is cancelled.
    pub fn new(Halves(read, write): Halves, label: String, cut: CancellationToken) -> Self {
        Self { read, write, label, cut }
    }
}

impl ClusterBidiStream for Stream {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        let read = Listening {
            inner: self.read,
            silence: Box::pin(sleep(SILENCE)),
            cut: Box::pin(self.cut.clone().cancelled_owned()),
        };
        let write = Speaking { inner: self.write, cut: Box::pin(self.cut.cancelled_owned()) };
        (Box::new(BufReader::with_capacity(READ_AHEAD, read)), Box::new(write))
    }

    fn peer_label(&self) -> Option<String> {
        Some(self.label.clone())
    }
}

struct Listening {
    inner: BoxRead,
    silence: Pin<Box<Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

struct Speaking {
    inner: BoxWrite,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

fn was_cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut by this side")
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(was_cut()));
        }
        // What has come counts before the time does: after a pause of this process both are there.
        if let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(context, buffer) {
            self.silence.as_mut().reset(Instant::now() + SILENCE);
            return Poll::Ready(read);
        }
        ready!(self.silence.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other node is silent")))
    }
}

impl AsyncWrite for Speaking {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(was_cut()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn link() -> (BoxRead, BoxWrite, tokio::io::DuplexStream, CancellationToken) {
        let (here, there) = duplex(64);
        let (read, write) = split(here);
        let cut = CancellationToken::new();
        let stream = Stream::new(Halves(Box::new(read), Box::new(write)), "x".into(), cut.clone());
        let (read, write) = Box::new(stream).split();
        (read, write, there, cut)
    }

    #[tokio::test]
    async fn silence_is_an_error_and_every_byte_ends_it() {
        let (mut read, _write, mut there, _cut) = link();
        for _ in 0..2 {
            sleep(SILENCE * 2 / 3).await;
            there.write_u8(7).await.expect("written");
            assert_eq!(read.read_u8().await.expect("heard"), 7);
        }
        let heard = Instant::now();
        assert_eq!(read.read_u8().await.expect_err("silent").kind(), io::ErrorKind::TimedOut);
        assert!(heard.elapsed() >= SILENCE);
    }

    #[tokio::test]
    async fn a_cut_ends_both_ways_at_once_also_one_that_is_stuck() {
        let (mut read, mut write, _there, cut) = link();
        let stuck = tokio::spawn(async move { write.write_all(&[0; 1000]).await });
        let waiting = tokio::spawn(async move { read.read_u8().await });
        tokio::task::yield_now().await;
        cut.cancel();
        assert_eq!(stuck.await.expect("no panic").expect_err("cut").kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(waiting.await.expect("no panic").expect_err("cut").kind(), io::ErrorKind::ConnectionAborted);
    }
}
