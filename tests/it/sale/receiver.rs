//! A webhook receiver of other people's making, as far as the shop can tell: HTTPS with a certificate of a test's own authority.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use onsale::stores::egress::config::Config;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Notify};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::until;

/// Whose certificates the shop believes, if it is told to.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { issuer: Issuer::new(parameters, key), folder }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn for_names(&self, names: &[&str]) -> ServerConfig {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(names).expect("names");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        config.expect("TLS").with_no_client_auth().with_single_cert(chain, key).expect("good")
    }
}

#[derive(Debug, Clone)]
pub struct Heard {
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Heard {
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).expect(name).to_str().expect("text").to_owned()
    }
}

/// How the receiver answers the next request; without any more, 200.
pub enum Reply {
    Status(u16),
    /// To this place.
    Redirect(String),
    /// A head that does not end.
    Endless,
    /// Once it is let.
    Held(Arc<Notify>),
}

pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct State {
    heard: Mutex<Vec<Heard>>,
    replies: Mutex<VecDeque<Reply>>,
    connections: Mutex<usize>,
}

impl Receiver {
    pub async fn start(authority: &Authority) -> Self {
        Self::at(authority, "127.0.0.1:0", &["localhost", "hooks.example.com"]).await
    }

    pub async fn at(authority: &Authority, address: &str, names: &[&str]) -> Self {
        let listener = TcpListener::bind(address).await.expect("listens");
        let address = listener.local_addr().expect("bound");
        let acceptor = TlsAcceptor::from(Arc::new(authority.for_names(names)));
        let state = Arc::new(State::default());
        let task = tokio::spawn(run(listener, acceptor, Arc::clone(&state)));
        Self { address, state, _task: AbortOnDropHandle::new(task) }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/hook", self.address.port())
    }

    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.replies.lock().expect("unharmed").extend(replies);
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.state.heard.lock().expect("unharmed").clone()
    }

    pub fn connections(&self) -> usize {
        *self.state.connections.lock().expect("unharmed")
    }

    pub async fn heard_so_many(&self, count: usize) -> Vec<Heard> {
        until("the receiver has heard of it", async || self.heard().len() >= count).await;
        self.heard()
    }

    /// Loopback by this port, and certificates of the authority.
    pub fn allowed(&self, authority: &Authority) -> Config {
        Config {
            ports: vec![self.address.port()],
            allow_networks: vec!["127.0.0.0/8".into(), "::1".into()],
            ca_file: Some(authority.file()),
            retry_after: 1,
            ..Config::default()
        }
    }
}

async fn run(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.expect("accepts");
        *state.connections.lock().expect("unharmed") += 1;
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            // One that does not believe us hangs up.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, Arc::clone(&state)));
            let _ = http1::Builder::new().max_buf_size(1 << 20).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let heard = Heard { headers: parts.headers, body: String::from_utf8(body.to_vec()).expect("UTF-8") };
    state.heard.lock().expect("unharmed").push(heard);
    let reply = state.replies.lock().expect("unharmed").pop_front();
    let mut response = Response::new(Full::from("a secret of the receiver's"));
    match reply {
        None => {}
        Some(Reply::Status(status)) => *response.status_mut() = http::StatusCode::from_u16(status).expect("a status"),
        Some(Reply::Redirect(to)) => {
            *response.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert("location", to.parse().expect("a header"));
        }
        Some(Reply::Endless) => {
            let long = http::HeaderValue::try_from("x".repeat(8_192)).expect("a header");
            for n in 0..16 {
                response
                    .headers_mut()
                    .insert(http::HeaderName::try_from(format!("x-{n}")).expect("a name"), long.clone());
            }
        }
        Some(Reply::Held(let_go)) => let_go.notified().await,
    }
    Ok(response)
}
