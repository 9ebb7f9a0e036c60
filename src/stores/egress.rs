//! The way out to addresses that others give us: organizers' webhook endpoints.
//!
//! Owns what may be called. A name is resolved once for each call, every address that it has is checked, and one of those that were
//! checked is connected to: what a name says a moment later does not matter. No proxy, no redirect, no connection that is used
//! again; of an answer only the status is read.

pub mod config;
pub mod signature;
pub mod target;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use self::{
    config::{Config, InvalidConfig},
    target::{Host, NotATarget, Rules, Target},
};

/// For everything from the name to the status.
const DEADLINE: Duration = Duration::from_secs(5);
/// Of an answer's head; its body is not read.
const MOST_BYTES: usize = 64 * 1024;

/// What names mean.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the machine has it.
struct System;

#[async_trait]
impl Resolver for System {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

pub struct Egress {
    rules: Rules,
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    per_organizer: u32,
}

/// Why there was no answer. Says nothing that the other side has said, and no address: whoever gave the URL reads it, and must
/// not learn from it what lies within our networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("the URL is not one that is called: {0}")]
    Target(#[from] NotATarget),
    #[error("the name has no address")]
    Unresolved,
    #[error("the name has an address that is not called")]
    Refused,
    #[error("nobody answers there")]
    Unreachable,
    #[error("no TLS with a certificate that is good for the name")]
    Tls,
    #[error("no answer within 5 s")]
    Late,
    #[error("the answer is no HTTP, or its head has no end")]
    Broken,
}

impl Egress {
    pub fn open(config: &Config) -> Result<Self, InvalidConfig> {
        Self::with_resolver(config, Arc::new(System))
    }

    pub fn with_resolver(config: &Config, resolver: Arc<dyn Resolver>) -> Result<Self, InvalidConfig> {
        config.check()?;
        let wrong = |wrong| InvalidConfig { key: "ca_file", wrong };
        let more: Vec<CertificateDer<'static>> = match &config.ca_file {
            Some(file) => CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect)
                .map_err(|_| wrong("has no certificates in PEM, or cannot be read"))?,
            None => Vec::new(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(more, Arc::clone(&provider));
        let verifier = verifier.map_err(|_| wrong("has a certificate that is none"))?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong("TLS is not to be had"))?
            // The system's own verification, which rustls knows under this name only.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            rules: config.rules()?,
            resolver,
            tls: TlsConnector::from(Arc::new(tls)),
            per_organizer: config.per_organizer,
        })
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Endpoints that an organizer may have.
    pub fn per_organizer(&self) -> u32 {
        self.per_organizer
    }

    /// The status of the answer, or why there was none; and how long that took.
    pub async fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> (Result<u16, NoAnswer>, Duration) {
        let began = Instant::now();
        let answer = timeout(DEADLINE, self.ask(url, headers, body)).await.unwrap_or(Err(NoAnswer::Late));
        (answer, began.elapsed())
    }

    async fn ask(&self, url: &str, headers: HeaderMap, body: Bytes) -> Result<u16, NoAnswer> {
        // Rules may have changed since the URL was taken in.
        let target = Target::parse(url, &self.rules)?;
        let addresses = self.addresses(&target).await?;
        let server = match &target.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| NoAnswer::Tls)?,
            Host::Address(address) => ServerName::from(*address),
        };
        let stream = TcpStream::connect(&addresses[..]).await.map_err(|_| NoAnswer::Unreachable)?;
        let stream = self.tls.connect(server, stream).await.map_err(|_| NoAnswer::Tls)?;
        let mut http = http1::Builder::new();
        let made = http.max_buf_size(MOST_BYTES).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = made.map_err(|_| NoAnswer::Broken)?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let answer = sender.send_request(request(&target, headers, body)?).await.map_err(|_| NoAnswer::Broken)?;
        Ok(answer.status().as_u16())
    }

    /// All of the host's, checked.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, NoAnswer> {
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.addresses(name).await.map_err(|_| NoAnswer::Unresolved)?,
        };
        if addresses.is_empty() {
            return Err(NoAnswer::Unresolved);
        }
        // One bad address condemns the name: which of them it means is its owner's choice.
        if !addresses.iter().all(|address| self.rules.allows(*address)) {
            return Err(NoAnswer::Refused);
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
    }
}

fn request(target: &Target, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, NoAnswer> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path.parse().map_err(|_| NoAnswer::Broken)?;
    *request.headers_mut() = headers;
    let host = HeaderValue::try_from(target.authority.as_str()).map_err(|_| NoAnswer::Broken)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}
