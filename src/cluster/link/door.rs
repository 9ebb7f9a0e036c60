//! Connections until the other side is known: dialled or accepted, encrypted, introduced. What comes out belongs to a node that
//! is registered and has the cookie.
//!
//! Owns the bounds on strangers: how long they may take, and how many there may be.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ractor::ActorRef;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsStream;

use super::{
    hello::{HelloError, Refusal, Speaker},
    stream::{Halves, tune},
    switchboard,
};
use crate::{
    cluster::{
        credentials::{Credentials, Tls, is_made_out_to},
        membership::Members,
    },
    stores::membership::Incarnation,
};

/// From the first packet until both sides know each other.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// For this side's list to show a node that has just registered.
const REGISTERED: Duration = Duration::from_secs(3);
/// Handshakes under way; more are hung up on.
const STRANGERS: usize = 64;
/// Refusals are logged so often at most: anybody may knock.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// When no descriptor is left.
const PAUSE: Duration = Duration::from_millis(20);
/// Binds what was said to the TLS session that it was said in (RFC 5705).
const SESSION_LABEL: &[u8] = b"EXPORTER-onsale-link";

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error("no answer in time")]
    Late,
    #[error("it is not on loopback, and this node has no cluster.bundle")]
    Exposed,
}

/// A connection whose other side is known.
pub struct Introduced {
    pub peer: Incarnation,
    pub halves: Halves,
}

pub struct Door {
    pub me: Incarnation,
    pub credentials: Credentials,
    pub members: watch::Receiver<Arc<Members>>,
}

impl Door {
    /// Takes connections for as long as it is polled.
    pub async fn listen(self: Arc<Self>, listener: Arc<TcpListener>, to: ActorRef<switchboard::Message>) {
        let strangers = Arc::new(Semaphore::new(STRANGERS));
        let told = Arc::new(Mutex::new(None));
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&strangers).try_acquire_owned() else { continue };
            let (door, to, told) = (Arc::clone(&self), to.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                let _permit = permit;
                match timeout(HANDSHAKE, door.accept(stream)).await.unwrap_or(Err(DoorError::Late)) {
                    // Without a switchboard it is hung up on, and dialled again.
                    Ok(introduced) => drop(to.cast(switchboard::Message::Introduced(introduced))),
                    Err(error) if is_time(&told) => tracing::warn!(%from, %error, "a connection for links is refused"),
                    Err(error) => tracing::debug!(%from, %error, "a connection for links is refused"),
                }
            });
        }
    }

    pub async fn dial(&self, address: &str, to: &Incarnation) -> Result<Introduced, DoorError> {
        timeout(HANDSHAKE, self.try_dial(address, to)).await.unwrap_or(Err(DoorError::Late))
    }

    async fn try_dial(&self, address: &str, to: &Incarnation) -> Result<Introduced, DoorError> {
        let mut stream = TcpStream::connect(address).await?;
        tune(&stream)?;
        let halves = match &self.credentials.tls {
            Some(tls) => {
                let name =
                    ServerName::try_from(to.node.clone()).map_err(|error| DoorError::Tls(io::Error::other(error)))?;
                let stream = tls.connector.connect(name, stream).await.map_err(DoorError::Tls)?;
                let mut stream = TlsStream::from(stream);
                let session = session(&stream)?;
                self.speaker(&session).dial(&mut stream, to).await?;
                stream.into()
            }
            None if !stream.peer_addr()?.ip().is_loopback() => return Err(DoorError::Exposed),
            None => {
                self.speaker(&[]).dial(&mut stream, to).await?;
                stream.into()
            }
        };
        Ok(Introduced { peer: to.clone(), halves })
    }

    async fn accept(&self, mut stream: TcpStream) -> Result<Introduced, DoorError> {
        tune(&stream)?;
        match &self.credentials.tls {
            Some(tls) => self.accept_tls(tls, stream).await,
            None => {
                let peer = self.speaker(&[]).accept(&mut stream, async |peer| self.check(peer, None).await).await?;
                Ok(Introduced { peer, halves: stream.into() })
            }
        }
    }

    async fn accept_tls(&self, tls: &Tls, stream: TcpStream) -> Result<Introduced, DoorError> {
        let stream = tls.acceptor.accept(stream).await.map_err(DoorError::Tls)?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
        let mut stream = TlsStream::from(stream);
        let session = session(&stream)?;
        let check = async |peer: &Incarnation| self.check(peer, Some(certificate.as_ref())).await;
        let peer = self.speaker(&session).accept(&mut stream, check).await?;
        Ok(Introduced { peer, halves: stream.into() })
    }

    fn speaker<'a>(&'a self, session: &'a [u8]) -> Speaker<'a> {
        Speaker { me: &self.me, key: &self.credentials.hello, session }
    }

    /// Of somebody who has the cookie. `certificate`: what was shown, where one must be shown.
    async fn check(
        &self,
        peer: &Incarnation,
        certificate: Option<Option<&CertificateDer<'static>>>,
    ) -> Result<(), Refusal> {
        if peer.node >= self.me.node {
            return Err(Refusal::Direction);
        }
        if let Some(shown) = certificate
            && !shown.is_some_and(|shown| is_made_out_to(shown, &peer.node))
        {
            return Err(Refusal::Certificate);
        }
        let mut members = self.members.clone();
        let registered = timeout(REGISTERED, members.wait_for(|members| members.has(peer))).await;
        registered.is_ok_and(|found| found.is_ok()).then_some(()).ok_or(Refusal::NotRegistered)
    }
}

/// To tell of a refusal again.
fn is_time(told: &Mutex<Option<Instant>>) -> bool {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let is_time = told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
    if is_time {
        *told = Some(Instant::now());
    }
    is_time
}

fn session(stream: &TlsStream<TcpStream>) -> Result<[u8; 32], DoorError> {
    let exported = match stream {
        TlsStream::Client(stream) => stream.get_ref().1.export_keying_material([0; 32], SESSION_LABEL, None),
        TlsStream::Server(stream) => stream.get_ref().1.export_keying_material([0; 32], SESSION_LABEL, None),
    };
    exported.map_err(|error| DoorError::Tls(io::Error::other(error)))
}
