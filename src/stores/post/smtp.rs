//! An SMTP server (RFC 5321), by lettre. A connection for each mail: one that was given up amid a mail would answer for it when
//! the next one is sent.

use std::time::Duration;

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    address::{Address, Envelope},
    transport::smtp::{
        self,
        authentication::Credentials,
        client::{Certificate, Tls as Encryption, TlsParameters},
    },
};
use tokio::time::timeout;

use super::{
    Accepted, InvalidConfig, Outgoing, Post, PostError,
    config::{Config, Tls},
};
use crate::stores::secret;

pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    patience: Duration,
}

impl Smtp {
    pub fn new(config: &Config) -> Result<Self, InvalidConfig> {
        let patience = Duration::from_secs(config.smtp_timeout);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.smtp_host)
            .port(config.port())
            .timeout(Some(patience))
            .tls(encryption(config)?);
        if let Some(file) = &config.smtp_password_file {
            let password = secret::read(file).map_err(|wrong| InvalidConfig { key: "smtp_password_file", wrong })?;
            builder = builder.credentials(Credentials::new(config.smtp_user.clone(), password.to_string()));
        }
        Ok(Self { transport: builder.build(), patience })
    }
}

fn encryption(config: &Config) -> Result<Encryption, InvalidConfig> {
    let wrong = |key, wrong| InvalidConfig { key, wrong };
    if config.smtp_tls == Tls::Off {
        return Ok(Encryption::None);
    }
    let mut parameters = TlsParameters::builder(config.smtp_host.clone());
    if let Some(file) = &config.smtp_ca_file {
        let pem = std::fs::read(file).map_err(|_| wrong("smtp_ca_file", "cannot be read"))?;
        let certificate =
            Certificate::from_pem(&pem).map_err(|_| wrong("smtp_ca_file", "has no certificates in PEM"))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = parameters.build().map_err(|_| wrong("smtp_host", "cannot be spoken to by TLS"))?;
    Ok(match config.smtp_tls {
        Tls::On => Encryption::Wrapper(parameters),
        _ => Encryption::Required(parameters),
    })
}

#[async_trait]
impl Post for Smtp {
    async fn send(&self, mail: &Outgoing) -> Result<Accepted, PostError> {
        let envelope = envelope(mail).ok_or_else(|| PostError::Never("an address that cannot be written to".into()))?;
        match timeout(self.patience, self.transport.send_raw(&envelope, &mail.message)).await {
            Ok(Ok(_)) => Ok(Accepted("taken by the SMTP server")),
            Ok(Err(error)) => Err(judged(&error)),
            Err(_) => Err(PostError::Later("the SMTP server did not answer in time".into())),
        }
    }
}

fn envelope(mail: &Outgoing) -> Option<Envelope> {
    let [from, to]: [Address; 2] = [mail.from.parse().ok()?, mail.to.parse().ok()?];
    Envelope::new(Some(from), vec![to]).ok()
}

/// Replies about us rather than about the mail: who signs in wrongly is to be helped by a person, and then all mails go out.
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

/// The server's own words are left out: they often repeat the address.
fn judged(error: &smtp::Error) -> PostError {
    let Some(code) = error.status().map(u16::from) else {
        let what = if error.is_timeout() {
            "the SMTP server did not answer in time"
        } else if error.is_tls() {
            "no TLS with the SMTP server"
        } else if error.is_client() {
            "the SMTP server does not offer what is needed"
        } else if error.is_response() {
            "the SMTP server's answer cannot be read"
        } else {
            "the SMTP server cannot be reached"
        };
        return PostError::Later(what.into());
    };
    let reply = format!("the SMTP server replied {code}");
    if error.is_permanent() && !ABOUT_US.contains(&code) { PostError::Never(reply) } else { PostError::Later(reply) }
}
