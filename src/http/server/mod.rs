//! The listeners: accepts connections under a cap, serves them, and goes down in order.
//!
//! An accept loop of our own, because the ready one has no time-out for a request's head, no cap, and sleeps for a second
//! when descriptors run out.

mod connection;
mod tls;
mod unread;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    sync::Semaphore,
    task::JoinHandle,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use self::connection::{Connection, Lasting};
pub use self::tls::TlsError;
use self::{
    connection::{Place, Serving},
    tls::Tls,
};
use super::{
    app::App,
    config::Config,
    edge::{self, Edge},
    metrics,
    proxies::{NotANetwork, Proxies},
    routes, session, upkeep,
};

/// Connections of the kernel's queue before they are accepted.
const BACKLOG: u32 = 4_096;
/// Connections to the admin listener, whatever the public one has.
const ADMIN_CONNECTIONS: usize = 256;
/// Bytes of a request's head.
const HEAD_BYTES: u32 = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// Requests at once on one HTTP/2 connection, and resets that are not waited for.
const HTTP2_STREAMS: u32 = 64;
const HTTP2_RESETS: usize = 32;
const HTTP2_PING: Duration = Duration::from_secs(20);
/// Pause when no descriptor is left: long enough for some to be closed, too short for anybody to notice.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(20);
/// While that lasts, it is logged so often.
const TELL_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("http.trusted_proxies: {0}")]
    Proxies(#[from] NotANetwork),
}

/// The listeners' sockets. Bound before anything names the server's own address: a port that was left to the system is known
/// only then.
pub struct Bound {
    public: TcpListener,
    admin: TcpListener,
}

impl Bound {
    /// What `config` names; writes the ports that were bound into it.
    pub async fn bind(config: &mut Config) -> Result<Self, ServeError> {
        Ok(Self { public: bind(&mut config.listen).await?, admin: bind(&mut config.admin_listen).await? })
    }
}

/// A running server.
pub struct Server {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    done: JoinHandle<()>,
}

impl Server {
    /// Returns when the last connection is closed, after `shutdown` was cancelled.
    pub async fn finished(self) {
        if let Err(error) = self.done.await {
            tracing::error!(%error, "the server's task failed");
        }
    }
}

/// Serves until `shutdown` is cancelled: then accepts nothing more, tells sockets, lets requests finish, and cuts what is left
/// after `shutdown_grace`. `more` public routes stand behind the same middleware: a benchmark brings its own.
pub async fn serve(
    app: Arc<App>,
    bound: Bound,
    more: Router<Arc<App>>,
    shutdown: CancellationToken,
) -> Result<Server, ServeError> {
    let config = app.config.clone();
    let proxies = Proxies::parse(&config.trusted_proxies)?;
    let tls = Tls::open(&config)?;
    metrics::recorder();
    let edge = |paths| {
        Arc::new(Edge {
            proxies: proxies.clone(),
            in_flight: Semaphore::new(config.max_in_flight),
            routes: metrics::Routes::new(paths),
            request_timeout: Duration::from_secs(config.request_timeout),
            tls: tls.is_some(),
        })
    };
    let (public, public_paths) = routes::public_service(&app, more);
    let (admin, admin_paths) = routes::admin_service(&app);
    let wrap = |router: Router, paths| router.layer(axum::middleware::from_fn_with_state(edge(paths), edge::pass));
    let (public, admin) = (wrap(public, public_paths), wrap(admin, admin_paths));

    let cut = CancellationToken::new();
    let tracker = TaskTracker::new();
    let listener = |router| Listener {
        serving: Serving {
            http: protocol(Duration::from_secs(config.header_timeout)),
            router,
            header_timeout: Duration::from_secs(config.header_timeout),
            closing: app.closing.clone(),
            cut: cut.clone(),
        },
        tls: tls.as_ref().map(|tls| tls.acceptor.clone()),
        tracker: tracker.clone(),
    };
    let addresses = (local(&bound.public, &config.listen)?, local(&bound.admin, &config.admin_listen)?);
    let (public, admin) = (listener(public), listener(admin));
    let most = config.max_connections.clamp(1, Semaphore::MAX_PERMITS);
    let grace = Duration::from_secs(config.shutdown_grace);

    let done = tokio::spawn(async move {
        let watch = async {
            match &tls {
                Some(tls) => tls.watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = public.accept(bound.public, most, "public") => {}
            () = admin.accept(bound.admin, ADMIN_CONNECTIONS, "admin") => {}
            () = watch => {}
            () = metrics::upkeep() => {}
            () = upkeep::run(app.clone()) => {}
            () = session::follow(app.clone()) => {}
            () = shutdown.cancelled() => {}
        }
        // The sockets of the accept loops are closed now.
        app.closing.cancel();
        tracker.close();
        app.tasks.close();
        let finished = async { tokio::join!(tracker.wait(), app.tasks.wait()) };
        if tokio::time::timeout(grace, finished).await.is_err() {
            tracing::warn!(left = tracker.len() + app.tasks.len(), "connections cut: they did not finish in time");
            cut.cancel();
            tracker.wait().await;
        }
    });
    let (public, admin) = addresses;
    tracing::info!(%public, %admin, "listening");
    Ok(Server { public, admin, done })
}

fn protocol(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        // A client may have said all it has to say. Not looking whether it hung up spares each answer a system call; what was
        // begun for it is finished all the same.
        .half_close(true)
        .max_buf_size(HEAD_BYTES as usize)
        .max_headers(MAX_HEADERS);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_pending_accept_reset_streams(HTTP2_RESETS)
        .max_local_error_reset_streams(HTTP2_RESETS)
        .max_header_list_size(HEAD_BYTES)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    http
}

/// Keeps the host as it was named: links and certificates go by it.
async fn bind(address: &mut String) -> Result<TcpListener, ServeError> {
    let listener = listen(address).await?;
    if let Some((host, _)) = address.rsplit_once(':') {
        *address = format!("{host}:{}", local(&listener, address)?.port());
    }
    Ok(listener)
}

async fn listen(address: &str) -> Result<TcpListener, ServeError> {
    let listen = async {
        let address = lookup_host(address).await?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // So that a restart need not wait for the old connections' minute to end.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen.await.map_err(|source| ServeError::Listen { address: address.to_owned(), source })
}

fn local(listener: &TcpListener, address: &str) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(|source| ServeError::Listen { address: address.to_owned(), source })
}

struct Listener {
    serving: Serving,
    tls: Option<tokio_rustls::TlsAcceptor>,
    tracker: TaskTracker,
}

impl Listener {
    /// Never returns: dropped, it stops listening. A connection is accepted only when there is a place for it; until then it
    /// waits in the kernel.
    async fn accept(&self, listener: TcpListener, most: usize, name: &'static str) {
        let places = Arc::new(Semaphore::new(most));
        let mut told: Option<Instant> = None;
        loop {
            let permit = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "no TCP_NODELAY");
                    }
                    let (serving, tls, place) = (self.serving.clone(), self.tls.clone(), Place::new(permit, name));
                    self.tracker.spawn(async move {
                        let within = serving.header_timeout;
                        if let Some(connection) = Connection::open(stream, place, tls, within).await {
                            serving.run(connection, peer).await;
                        }
                    });
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                        tracing::error!(%error, "cannot accept");
                        told = Some(Instant::now());
                    }
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                }
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
