//! One connection: its bytes, its place under the cap, and when it is cut.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{MissedTickBehavior, Sleep, interval, sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::unread;
use crate::http::{edge::Peer, metrics};

/// Turns of the idle clock, each as long as a head may take: then no further request is awaited,
const IDLE_TURNS: u32 = 3;
/// and then what is still being sent is cut off.
const STUCK_TURNS: u32 = 12;

/// What still comes of a body that was answered already is read for so long, and so many bytes of it.
const LINGER: Duration = Duration::from_secs(10);
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// A client's connection, plain or TLS. Keeps its place under the cap for as long as anybody holds it: also as a socket.
pub struct Connection {
    stream: Stream,
    /// Closed while its client still sends, it is read on: otherwise what was answered last may be lost with the rest.
    lingers: Arc<AtomicBool>,
    linger: Option<Linger>,
    _place: Place,
}

struct Linger {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

/// Counts the connection as open.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    open: ::metrics::Gauge,
}

impl Place {
    pub fn new(permit: OwnedSemaphorePermit, listener: &'static str) -> Self {
        let open = ::metrics::gauge!(metrics::CONNECTIONS, "listener" => listener);
        open.increment(1);
        Self { _permit: permit, open }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}

impl Connection {
    /// Shakes hands if there is TLS; `None` if that fails or takes too long.
    pub async fn open(stream: TcpStream, place: Place, tls: Option<TlsAcceptor>, within: Duration) -> Option<Self> {
        let on = |stream| Self { stream, lingers: Arc::default(), linger: None, _place: place };
        let Some(tls) = tls else { return Some(on(Stream::Plain(stream))) };
        match tokio::time::timeout(within, tls.accept(stream)).await {
            Ok(Ok(stream)) => Some(on(Stream::Tls(Box::new(stream)))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS handshake");
                None
            }
            Err(_) => None,
        }
    }

    #[cfg(test)]
    pub async fn for_a_test(stream: TcpStream, tls: Option<TlsAcceptor>) -> Self {
        let permit = Arc::new(tokio::sync::Semaphore::new(1)).acquire_owned().await.expect("open");
        let place = Place::new(permit, "test");
        Self::open(stream, place, tls, Duration::from_secs(10)).await.expect("a handshake")
    }

    /// Until nothing more comes, or there was enough of it.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let begin = || Linger { until: Box::pin(sleep(LINGER)), bytes: LINGER_BYTES };
        let Linger { until, bytes } = self.linger.get_or_insert_with(begin);
        let mut unheeded = [0; 16 * 1024];
        while *bytes > 0 && until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut unheeded);
            let read = ready!(self.stream.poll_read(context, &mut buffer));
            let count = buffer.filled().len();
            if read.is_err() || count == 0 {
                break;
            }
            *bytes = bytes.saturating_sub(count);
        }
        Poll::Ready(())
    }

    /// As many of `bytes` as go without waiting, and whether all that was written before them is sent. The one who flushes
    /// later is woken for it only if nobody calls this meanwhile.
    pub fn write_now(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let mut tls = match &mut self.stream {
            Stream::Plain(stream) => match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((0, true)),
                written => return written.map(|written| (written, true)),
            },
            Stream::Tls(stream) => Pin::new(stream),
        };
        let mut nobody = Context::from_waker(Waker::noop());
        let count = match tls.as_mut().poll_write(&mut nobody, bytes) {
            Poll::Ready(count) => count?,
            Poll::Pending => 0,
        };
        match tls.poll_flush(&mut nobody) {
            Poll::Ready(flushed) => flushed.map(|()| (count, true)),
            Poll::Pending => Ok((count, false)),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(match &mut this.stream {
                Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
                Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            })?;
        }
        if this.lingers.load(Ordering::Relaxed) {
            ready!(this.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// What a connection is served with.
#[derive(Clone)]
pub struct Serving {
    pub http: auto::Builder<TokioExecutor>,
    pub router: Router,
    pub header_timeout: Duration,
    /// No new requests: finish and close.
    pub closing: CancellationToken,
    /// The time to finish is over.
    pub cut: CancellationToken,
}

/// Requests begun and under way on one connection: hyper's own timeouts do not cover a client that sends nothing at all, an
/// idle HTTP/2 connection, or one that does not read.
#[derive(Default)]
struct Activity {
    begun: AtomicU64,
    under_way: AtomicU32,
}

impl Serving {
    /// Ends when the client goes, idles too long, or the server closes. A connection that became a socket lives on elsewhere.
    pub async fn run(self, connection: Connection, peer: SocketAddr) {
        let activity = Arc::new(Activity::default());
        let service = service_fn({
            let (activity, lingers, router) = (activity.clone(), connection.lingers.clone(), self.router);
            move |mut request: Request<Incoming>| {
                activity.begun.fetch_add(1, Ordering::Relaxed);
                activity.under_way.fetch_add(1, Ordering::Relaxed);
                request.extensions_mut().insert(Peer(peer));
                let (request, rest) = unread::watch(request);
                let answer = router.clone().call(request);
                let (activity, lingers) = (activity.clone(), lingers.clone());
                async move {
                    let under_way = UnderWay(activity);
                    answer.await.map(|mut answer| {
                        if let Some(lasting) = answer.extensions_mut().remove::<Lasting>() {
                            // It is in one answer only.
                            let _ = lasting.0.set(under_way);
                        }
                        rest.tell(answer, &lingers)
                    })
                }
            }
        });
        let served = self.http.serve_connection_with_upgrades(TokioIo::new(connection), service);
        tokio::pin!(served);
        let mut clock = interval(self.header_timeout);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.reset();
        let (mut seen, mut idle_turns, mut closing) = (0, 0, false);
        loop {
            tokio::select! {
                ended = &mut served => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, %peer, "connection ended");
                    }
                    return;
                }
                () = self.closing.cancelled(), if !closing => {
                    closing = true;
                    served.as_mut().graceful_shutdown();
                }
                () = self.cut.cancelled() => return,
                _ = clock.tick() => {
                    let begun = activity.begun.load(Ordering::Relaxed);
                    let busy = activity.under_way.load(Ordering::Relaxed) > 0 || begun != seen;
                    idle_turns = if busy { 0 } else { idle_turns + 1 };
                    seen = begun;
                    if (begun == 0 && idle_turns > 0) || idle_turns >= STUCK_TURNS {
                        return;
                    }
                    if idle_turns == IDLE_TURNS {
                        served.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

struct UnderWay(Arc<Activity>);

/// Among the extensions of an answer that goes on: its request is under way for as long as anybody holds another copy.
#[derive(Clone, Default)]
pub struct Lasting(Arc<OnceLock<UnderWay>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
