//! What a node must hold to be let in: a file, made by `onsale cluster invite`, and the authority that makes such files.
//!
//! Owns their form. One bundle is for one node: its certificate is made out to the node's name. Certificates do not expire: a
//! sale must not end because a date has passed. Who is to be kept out is kept out by a new authority.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::stores::{membership::is_node_name, secret::RootSecret};

/// A cookie with fewer random bytes could be found from one handshake that somebody overheard.
const COOKIE_BYTES: usize = 32;
/// Of the certificate authority of every installation: what tells two apart is the key.
const AUTHORITY_NAME: &str = "onsale cluster";
const AUTHORITY_FILE: &str = "authority.toml";

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} can be read by others: its mode must be 0600 or 0400", .0.display())]
    Exposed(PathBuf),
    #[error("{} is not what onsale cluster makes: {reason}", .path.display())]
    Form { path: PathBuf, reason: String },
    #[error("the bundle {} is for node {bundle}, and this node is called {node}", .path.display())]
    OtherNode { path: PathBuf, bundle: String, node: String },
    #[error("{0:?} cannot be a node's name: up to 32 of a-z, 0-9 and -, with a letter or digit first and last")]
    Name(String),
    #[error("certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("no randomness from the system")]
    NoRandomness,
}

/// Read by one node.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub node: String,
    /// Base64.
    pub cookie: String,
    /// As in a root secret's file.
    pub root_secret: String,
    /// PEM, all three.
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

/// What makes bundles. Kept by the operator, needed by no node.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    cookie: String,
    root_secret: String,
    /// PEM, both.
    certificate: String,
    key: String,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        [&mut self.cookie, &mut self.root_secret, &mut self.key].into_iter().for_each(Zeroize::zeroize);
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        [&mut self.cookie, &mut self.root_secret, &mut self.key].into_iter().for_each(Zeroize::zeroize);
    }
}

impl Bundle {
    pub fn read(path: &Path, node: &str) -> Result<Self, BundleError> {
        let bundle: Self = read(path)?;
        if bundle.node != node {
            let (path, bundle) = (path.to_owned(), bundle.node.clone());
            return Err(BundleError::OtherNode { path, bundle, node: node.to_owned() });
        }
        let form = |reason: String| BundleError::Form { path: path.to_owned(), reason };
        bundle.cookie().map_err(|reason| form(reason.to_owned()))?;
        bundle.secret().map_err(|error| form(error.to_string()))?;
        Ok(bundle)
    }

    pub fn cookie(&self) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let cookie = STANDARD.decode(&self.cookie).map_err(|_| "the cookie is not base64")?;
        if cookie.len() < COOKIE_BYTES { Err("the cookie has fewer than 32 bytes") } else { Ok(Zeroizing::new(cookie)) }
    }

    /// The installation's root secret, the same on all nodes.
    pub fn secret(&self) -> Result<RootSecret, crate::stores::secret::SecretError> {
        RootSecret::parse(&self.root_secret)
    }

    pub fn write(&self, path: &Path) -> Result<(), BundleError> {
        write(path, "# Lets one node into the cluster. Keep it secret.", self)
    }
}

impl Authority {
    /// Makes a new one in `dir`, where none may be yet. Gives its file.
    pub fn init(dir: &Path) -> Result<PathBuf, BundleError> {
        let key = KeyPair::generate()?;
        let certificate = authority_params().self_signed(&key)?.pem();
        let (cookie, root_secret) = (random()?, random()?);
        let authority = Self { cookie, root_secret, certificate, key: key.serialize_pem() };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| BundleError::Io { path: dir.to_owned(), source })?;
        let path = dir.join(AUTHORITY_FILE);
        write(
            &path,
            "# Makes bundles, which let nodes into the cluster. Keep it secret, and off the nodes.",
            &authority,
        )?;
        Ok(path)
    }

    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        read(&dir.join(AUTHORITY_FILE))
    }

    /// A bundle for a node of this name.
    pub fn invite(&self, node: &str) -> Result<Bundle, BundleError> {
        if !is_node_name(node) {
            return Err(BundleError::Name(node.to_owned()));
        }
        let issuer = Issuer::new(authority_params(), KeyPair::from_pem(&self.key)?);
        let mut params = CertificateParams::new(vec![node.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, node);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Bundle {
            node: node.to_owned(),
            cookie: self.cookie.clone(),
            root_secret: self.root_secret.clone(),
            authority: self.certificate.clone(),
            certificate,
            key: key.serialize_pem(),
        })
    }
}

/// Always the same, so that the certificate need not be read to sign in its name.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn random() -> Result<String, BundleError> {
    let mut bytes = Zeroizing::new([0; COOKIE_BYTES]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| BundleError::NoRandomness)?;
    Ok(STANDARD.encode(bytes.as_slice()))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, BundleError> {
    let io = |source| BundleError::Io { path: path.to_owned(), source };
    if fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
        return Err(BundleError::Exposed(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
    // The error's own text would quote the file.
    toml::from_str(&text)
        .map_err(|error| BundleError::Form { path: path.to_owned(), reason: error.message().to_owned() })
}

fn write<T: Serialize>(path: &Path, heading: &str, content: &T) -> Result<(), BundleError> {
    let failed = |source| BundleError::Io { path: path.to_owned(), source };
    let content = Zeroizing::new(toml::to_string(content).expect("strings only"));
    // `create_new`: what nodes already hold must not be lost by a command given twice.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(format!("{heading}\n").as_bytes()).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_for_one_node_and_all_bundles_fit_together() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = Authority::init(&dir.path().join("new")).expect("made");
        assert_eq!(fs::metadata(&made).expect("there").permissions().mode() & 0o777, 0o600);
        let authority = Authority::open(&dir.path().join("new")).expect("read");
        let path = |node: &str| dir.path().join(node);
        for node in ["n1", "n2"] {
            authority.invite(node).expect("invited").write(&path(node)).expect("written");
        }
        let (one, two) =
            (Bundle::read(&path("n1"), "n1").expect("read"), Bundle::read(&path("n2"), "n2").expect("read"));
        assert_eq!((&one.cookie, &one.root_secret, &one.authority), (&two.cookie, &two.root_secret, &two.authority));
        assert_ne!((&one.certificate, &one.key), (&two.certificate, &two.key));
        assert_ne!(one.cookie, one.root_secret);
        assert_eq!(one.cookie().expect("base64").len(), COOKIE_BYTES);

        let other = Bundle::read(&path("n1"), "n2").err().expect("refused").to_string();
        assert!(other.contains("is for node n1, and this node is called n2"), "{other}");
        assert!(matches!(authority.invite("N 1"), Err(BundleError::Name(_))));
        assert!(matches!(one.write(&path("n1")), Err(BundleError::Io { .. })), "nothing is overwritten");
        assert!(matches!(Authority::init(&dir.path().join("new")), Err(BundleError::Io { .. })));
    }

    #[test]
    fn s_53_a_bundle_that_others_can_read_or_that_is_weak_is_refused_and_not_quoted() {
        let dir = tempfile::tempdir().expect("a folder");
        Authority::init(dir.path()).expect("made");
        let authority = Authority::open(dir.path()).expect("read");
        let path = dir.path().join("n1");
        authority.invite("n1").expect("invited").write(&path).expect("written");
        let good = fs::read_to_string(&path).expect("read");
        let refused = |text: &str, mode: u32| {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
            Bundle::read(&path, "n1").err().map(|error| error.to_string())
        };
        assert_eq!(refused(&good, 0o600), None);
        assert!(refused(&good, 0o640).is_some_and(|why| why.contains("can be read by others")));
        let cookie = authority.cookie.as_str();
        assert!(refused(&good.replace(cookie, "c2hvcnQ="), 0o600).is_some_and(|why| why.contains("fewer than 32")));
        let broken = refused(&good.replace("cookie = ", "cookies = "), 0o600).expect("refused");
        assert!(!broken.contains(cookie), "{broken}");
    }
}
