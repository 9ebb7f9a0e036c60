//! What proves that a node belongs: keys that follow from the cookie, and a certificate.
//!
//! With a bundle, both, and links are encrypted and authenticated by TLS. Without one, a cookie that follows from the root
//! secret, which all nodes on one machine have in common anyway.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::{ParsedCertificate, WebPkiClientVerifier},
    version::TLS13,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::bundle::Bundle;
use crate::stores::{error::Source, secret::RootSecret};

const PROTOCOL: &[u8] = b"onsale-link/1";

pub struct Credentials {
    /// Of the proofs with which nodes introduce themselves.
    pub hello: hmac::Key,
    /// What ractor_cluster asks for. Its own proof is weak (a challenge of 32 bits), so it comes second.
    pub cookie: String,
    /// The same for all that have the same cookie; tells nothing about it.
    pub cluster: String,
    pub tls: Option<Tls>,
}

#[derive(Debug, thiserror::Error)]
#[error("cluster.bundle: {0}")]
pub struct NoCredentials(#[source] Source);

pub struct Tls {
    pub acceptor: TlsAcceptor,
    pub connector: TlsConnector,
}

impl Credentials {
    pub fn of_bundle(bundle: &Bundle) -> Result<Self, NoCredentials> {
        let cookie = bundle.cookie().map_err(|reason| NoCredentials(reason.into()))?;
        let tls = Tls::new(bundle).map_err(NoCredentials)?;
        Ok(Self { tls: Some(tls), ..Self::of_cookie(&cookie) })
    }

    /// The oldest generation's: while a secret is rotated, all nodes have that one.
    pub fn of_secret(secret: &RootSecret) -> Self {
        let keys = secret.keys("cluster cookie");
        Self::of_cookie(keys.last().map_or(&[][..], |key| key.as_slice()))
    }

    fn of_cookie(cookie: &[u8]) -> Self {
        let cookie = hmac::Key::new(hmac::HMAC_SHA256, cookie);
        let derive = |purpose: &str| hmac::sign(&cookie, purpose.as_bytes());
        Self {
            hello: hmac::Key::new(hmac::HMAC_SHA256, derive("onsale hello").as_ref()),
            cookie: STANDARD.encode(derive("onsale ractor").as_ref()),
            cluster: derive("onsale cluster").as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
            tls: None,
        }
    }
}

impl Tls {
    fn new(bundle: &Bundle) -> Result<Self, Source> {
        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(bundle.authority.as_bytes())?)?;
        let roots = Arc::new(roots);
        let chain = || CertificateDer::pem_slice_iter(bundle.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let key = || PrivateKeyDer::from_pem_slice(bundle.key.as_bytes());

        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build()?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain()?, key()?)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain()?, key()?)?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), connector: TlsConnector::from(Arc::new(client)) })
    }
}

/// Whether a certificate, already known to be our authority's, is made out to this node.
pub fn is_made_out_to(certificate: &CertificateDer<'_>, node: &str) -> bool {
    let (Ok(name), Ok(certificate)) = (ServerName::try_from(node), ParsedCertificate::try_from(certificate)) else {
        return false;
    };
    verify_server_name(&certificate, &name).is_ok()
}
