//! TLS in the process: a certificate from files, read again when they change, or one made for a trial.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use crate::http::config::Config;

/// How often the files are looked at.
const RELOAD: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("tls_cert and tls_key go together, and not with tls_self_signed")]
    Options,
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Pem { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("certificate and key: {0}")]
    Pair(#[from] rustls::Error),
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// `None`: plain. The task that watches the files ends with the future that it is raced against.
pub struct Tls {
    pub acceptor: TlsAcceptor,
    files: Option<Files>,
    current: Arc<Current>,
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// The certificate shown to the next client.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    pub fn open(config: &Config) -> Result<Option<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (files, pair) = match (&config.tls_cert, &config.tls_key, config.tls_self_signed) {
            (None, None, false) => return Ok(None),
            (None, None, true) => (None, self_signed(config, &provider)?),
            (Some(cert), Some(key), false) => {
                let files = Files { cert: cert.clone(), key: key.clone() };
                let pair = files.read(&provider)?;
                (Some(files), pair)
            }
            _ => return Err(TlsError::Options),
        };
        let current = Arc::new(Current(ArcSwap::from_pointee(pair)));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(server)), files, current }))
    }

    /// Takes up changed files; broken ones are logged, and the old certificate stays. Never returns.
    pub async fn watch(&self) {
        let Some(files) = &self.files else { return std::future::pending().await };
        let provider = aws_lc_rs::default_provider();
        let mut seen = files.changed_at();
        let mut tick = tokio::time::interval(RELOAD);
        loop {
            tick.tick().await;
            let now = files.changed_at();
            if now == seen {
                continue;
            }
            seen = now;
            match files.read(&provider) {
                Ok(pair) => {
                    self.current.0.store(Arc::new(pair));
                    tracing::info!("TLS certificate read again");
                }
                // Written in two steps, certificate and key do not fit for a moment: the second step is another change.
                Err(error) => tracing::warn!(%error, "changed TLS files not taken; the old certificate stays"),
            }
        }
    }
}

impl Files {
    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let read = |path: &Path| fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source });
        let pem = |path: &Path| {
            let path = path.to_owned();
            |source| TlsError::Pem { path, source }
        };
        let chain = CertificateDer::pem_slice_iter(&read(&self.cert)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(pem(&self.cert))?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(pem(&self.key))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?)
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.cert, &self.key].map(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
    }
}

fn self_signed(config: &Config, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let host = config.listen.rsplit_once(':').map_or("localhost", |(host, _)| host);
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(host.trim_matches(['[', ']']).to_owned());
    names.dedup();
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| rustls::Error::General(error.to_owned()))?;
    Ok(CertifiedKey::from_der(vec![made.cert.der().clone()], key, provider)?)
}
