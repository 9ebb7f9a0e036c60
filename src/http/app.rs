//! What every handler can reach.
//!
//! Owns nothing that lives longer than the process; is made once by the boot and shared.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{config::Config, limits::Limits, password::Passwords, session::Sessions, tokens::Tokens};
use crate::{
    actors::directory::Directory,
    stores::{
        database::Database,
        order_bus::OrderBus,
        ownership::Ownership,
        queue::QueueStore,
        secret::{RootSecret, TicketKey},
    },
};

/// What the layers below give. The boot fills it in.
#[derive(Clone)]
pub struct Below {
    pub database: Database,
    pub queue: Arc<dyn QueueStore>,
    pub bus: Arc<dyn OrderBus>,
    pub ownership: Arc<dyn Ownership>,
    pub directory: Arc<dyn Directory>,
}

/// Handlers take it as `State(app): State<Arc<App>>`.
pub struct App {
    pub config: Config,
    pub database: Database,
    pub queue: Arc<dyn QueueStore>,
    pub bus: Arc<dyn OrderBus>,
    pub ownership: Arc<dyn Ownership>,
    pub directory: Arc<dyn Directory>,
    pub tokens: Tokens,
    pub ticket_keys: Vec<TicketKey>,
    pub passwords: Passwords,
    pub sessions: Sessions,
    pub limits: Limits,
    /// Cancelled when the server begins to go down: sockets say goodbye.
    pub closing: CancellationToken,
}

impl App {
    pub fn new(config: Config, below: Below, secret: &RootSecret) -> Arc<Self> {
        let Below { database, queue, bus, ownership, directory } = below;
        Arc::new(Self {
            tokens: Tokens::new(secret, &config.issuer),
            ticket_keys: TicketKey::all(secret),
            passwords: Passwords::new(secret, &config),
            sessions: Sessions::new(&config),
            limits: Limits::new(&config),
            closing: CancellationToken::new(),
            config,
            database,
            queue,
            bus,
            ownership,
            directory,
        })
    }
}
