//! What every handler can reach.
//!
//! Owns nothing that lives longer than the process; is made once by the boot and shared.

use std::{ops::Deref, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use zeroize::Zeroizing;

use super::{
    auth::RefreshTokens,
    captcha::Captcha,
    challenge::Challenges,
    config::{Config, InvalidConfig},
    copies::Copies,
    exclusive::Organizers,
    health::Readiness,
    invites::Invites,
    limits::Limits,
    origins::Origins,
    password::Passwords,
    proof::Proofs,
    session::Sessions,
    stock::station::Stations,
    tokens::{Lives, Tokens},
    websocket::Sockets,
};
use crate::{
    actors::{directory::Directory, halt::Halt, letters::Letters, operations::Operations, papers::Papers},
    stores::{
        database::Database, egress::Egress, keys::ring::KeyRing, order_bus::OrderBus, ownership::Ownership,
        provider::Providers, queue::QueueStore, used_tickets::UsedTickets, waits::Waits, wallets::Wallets,
    },
};

/// What the layers below give. The boot fills it in.
#[derive(Clone)]
pub struct Below {
    pub database: Database,
    pub queue: Arc<dyn QueueStore>,
    pub used_tickets: Arc<dyn UsedTickets>,
    pub waits: Arc<dyn Waits>,
    pub bus: Arc<dyn OrderBus>,
    pub ownership: Arc<dyn Ownership>,
    pub providers: Providers,
    pub directory: Arc<dyn Directory>,
    pub operations: Arc<dyn Operations>,
    pub halt: Halt,
    pub papers: Papers,
    pub letters: Letters,
    pub wallets: Wallets,
    pub egress: Arc<Egress>,
}

/// Handlers take it as `State(app): State<Arc<App>>`.
pub struct App {
    pub config: Config,
    below: Below,
    pub tokens: Tokens,
    pub refresh_tokens: RefreshTokens,
    pub keys: Arc<KeyRing>,
    /// What the sandbox provider signs with, newest first; all are believed while a root secret is replaced.
    pub webhook_keys: Vec<Zeroizing<[u8; 32]>>,
    pub passwords: Passwords,
    pub sessions: Sessions,
    pub limits: Limits,
    pub challenges: Challenges,
    pub captcha: Captcha,
    pub invites: Invites,
    pub organizers: Organizers,
    pub proofs: Proofs,
    pub origins: Origins,
    pub sockets: Sockets,
    pub copies: Copies,
    pub stations: Stations,
    pub readiness: Readiness,
    /// Cancelled when the server begins to go down: sockets say goodbye.
    pub closing: CancellationToken,
    /// What a shutdown waits for beside connections: each socket's task.
    pub tasks: TaskTracker,
}

/// A handler asks for what is below as for what is here.
impl Deref for App {
    type Target = Below;

    fn deref(&self) -> &Below {
        &self.below
    }
}

impl App {
    /// Refuses a configuration that would weaken the edge. Costs a password hash.
    pub fn new(config: Config, below: Below, keys: Arc<KeyRing>) -> Result<Arc<Self>, InvalidConfig> {
        config.check()?;
        let (secret, lives) = (keys.secret(), Lives { access_s: config.access_ttl });
        Ok(Arc::new(Self {
            tokens: Tokens::new(Arc::clone(&keys), &config.issuer, lives),
            refresh_tokens: RefreshTokens::new(secret),
            webhook_keys: secret.keys("sandbox webhook"),
            passwords: Passwords::new(secret, &config),
            sessions: Sessions::new(&config),
            limits: Limits::new(&config),
            challenges: Challenges::new(&config),
            captcha: Captcha::new(&config)?,
            invites: Invites::new(secret),
            organizers: Organizers::default(),
            proofs: Proofs::new(&config),
            origins: Origins::new(&config),
            sockets: Sockets::new(config.max_sockets_per_account),
            copies: Copies::default(),
            stations: Stations::default(),
            readiness: Readiness::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            keys,
            config,
            below,
        }))
    }
}
