//! Passes for Apple's wallet: a ZIP of the pass, its pictures and a list of their hashes, and a signature over that list (CMS, detached).

use std::{
    fs,
    io::{Cursor, Write},
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    rand::SystemRandom,
    rsa::KeyPair,
    signature::RSA_PKCS1_SHA256,
};
use cms::{
    cert::{CertificateChoices, IssuerAndSerialNumber},
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Map, Value, json};
use x509_cert::{
    Certificate,
    attr::Attribute,
    der::{
        self, Any, AnyRef, Encode,
        asn1::{ObjectIdentifier, OctetString, OctetStringRef, SetOfVec, UtcTime},
        oid::db::{
            rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_TIME},
            rfc5912::{ID_SHA_256, RSA_ENCRYPTION},
        },
    },
    spki::AlgorithmIdentifierOwned,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{
    NotPacked,
    config::{Config, InvalidConfig},
};
use crate::stores::secret;

/// A picture is required.
const ICONS: [(&str, &[u8]); 2] = [
    ("icon.png", include_bytes!("../../../assets/wallet/icon.png")),
    ("icon@2x.png", include_bytes!("../../../assets/wallet/icon@2x.png")),
];

pub struct Apple {
    pub pass_type: String,
    pub team: String,
    pub organization: String,
    /// The first one's key is `key`.
    certificates: Vec<Certificate>,
    key: KeyPair,
}

impl Apple {
    pub(super) fn open(config: &Config) -> Result<Option<Self>, InvalidConfig> {
        if config.apple_pass_type.is_empty() {
            return Ok(None);
        }
        let certificate_file = config.apple_certificate_file.as_ref();
        let certificate_file = certificate_file
            .ok_or_else(|| InvalidConfig::new("apple_certificate_file", "is needed with apple_pass_type"))?;
        let key_file = config.apple_key_file.as_ref();
        let key_file =
            key_file.ok_or_else(|| InvalidConfig::new("apple_key_file", "is needed with apple_pass_type"))?;
        if config.apple_team.is_empty() {
            return Err(InvalidConfig::new("apple_team", "is needed with apple_pass_type"));
        }
        let wrong = |why: &str| InvalidConfig::new("apple_certificate_file", why);
        let pem = fs::read(certificate_file).map_err(|_| wrong("cannot be read"))?;
        let certificates =
            Certificate::load_pem_chain(&pem).map_err(|_| wrong("is not a list of certificates (PEM)"))?;
        if certificates.is_empty() {
            return Err(wrong("has no certificate"));
        }
        let wrong = |why: &str| InvalidConfig::new("apple_key_file", why);
        let pem = secret::read(key_file).map_err(wrong)?;
        let key =
            PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong("is not a key (PEM, PKCS #8)"))?;
        let key = KeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| wrong("is not an RSA key"))?;
        Ok(Some(Self {
            pass_type: config.apple_pass_type.clone(),
            team: config.apple_team.clone(),
            organization: config.organization.clone(),
            certificates,
            key,
        }))
    }

    /// A `.pkpass` of this pass.
    pub fn pack(&self, pass: &Value, now: SystemTime) -> Result<Vec<u8>, NotPacked> {
        let pass = pass.to_string().into_bytes();
        let mut files: Vec<(&str, &[u8])> = vec![("pass.json", &pass)];
        files.extend(ICONS);
        // Apple lists by SHA-1.
        let listed = files.iter().map(|(name, bytes)| {
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
            ((*name).to_owned(), json!(hex(hash.as_ref())))
        });
        let manifest = Value::Object(listed.collect::<Map<_, _>>()).to_string().into_bytes();
        let signature = self.sign(&manifest, now).map_err(NotPacked::because)?;
        files.push(("manifest.json", &manifest));
        files.push(("signature", &signature));
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
            zip.start_file(name, options).map_err(NotPacked::because)?;
            zip.write_all(bytes).map_err(NotPacked::because)?;
        }
        Ok(zip.finish().map_err(NotPacked::because)?.into_inner())
    }

    /// RFC 5652, SignedData without its content.
    fn sign(&self, content: &[u8], now: SystemTime) -> Result<Vec<u8>, der::Error> {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let signed_at = UtcTime::from_unix_duration(Duration::from_secs(since.as_secs()))?;
        let hash = digest(&SHA256, content);
        let attributes = SetOfVec::try_from(vec![
            attribute(ID_CONTENT_TYPE, Any::encode_from(&ID_DATA)?)?,
            attribute(ID_SIGNING_TIME, Any::encode_from(&signed_at)?)?,
            attribute(ID_MESSAGE_DIGEST, Any::encode_from(&OctetStringRef::new(hash.as_ref())?)?)?,
        ])?;
        // What is signed is the set itself, without the tag that it has in the message.
        let signed = attributes.to_der()?;
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, &signed, &mut signature)
            .map_err(|_| der::Error::from(der::ErrorKind::Failed))?;
        let sha256 = AlgorithmIdentifierOwned { oid: ID_SHA_256, parameters: None };
        let first = self.certificates.first().ok_or(der::ErrorKind::Failed)?;
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: first.tbs_certificate.issuer.clone(),
                serial_number: first.tbs_certificate.serial_number.clone(),
            }),
            digest_alg: sha256.clone(),
            signed_attrs: Some(attributes),
            signature_algorithm: AlgorithmIdentifierOwned {
                oid: RSA_ENCRYPTION,
                parameters: Some(AnyRef::NULL.into()),
            },
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        let certificates: Vec<_> = self.certificates.iter().cloned().map(CertificateChoices::Certificate).collect();
        let message = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::try_from(vec![sha256])?,
            encap_content_info: EncapsulatedContentInfo { econtent_type: ID_DATA, econtent: None },
            certificates: Some(certificates.try_into()?),
            crls: None,
            signer_infos: vec![signer].try_into()?,
        };
        ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&message)? }.to_der()
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, der::Error> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
