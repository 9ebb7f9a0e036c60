//! The composition root: stores → actors → http, and down again in reverse.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::{
    actors::directory::LocalDirectory,
    config::Config,
    failure::Failure,
    http::{
        app::{App, Below},
        now, sandbox,
        server::{self, Bound, Server},
    },
    stores::{
        self, Stores,
        database::idempotency,
        secret::{RootSecret, TicketKey},
    },
};

/// A running node.
pub struct Node {
    app: Arc<App>,
    directory: Arc<LocalDirectory>,
    server: Server,
    shutdown: CancellationToken,
    stores: Stores,
}

/// For events to be flushed and given up after the last request was answered.
const DRAIN: Duration = Duration::from_secs(4);
/// For the database's connections to be closed in order; the server notices an end without it, too.
const CLOSE: Duration = Duration::from_millis(500);
/// For sockets to be told when nothing can be saved any more.
const ABANDON: Duration = Duration::from_secs(1);

impl Node {
    pub async fn start(config: Config) -> Result<Self, Failure> {
        Self::start_with(config, Router::new()).await
    }

    /// With more public routes, behind the same middleware as all.
    pub async fn start_with(config: Config, more: Router<Arc<App>>) -> Result<Self, Failure> {
        let stores = stores::open(&config.stores, &config.node).await?;
        stores.database.migrate().await.map_err(|error| format!("migration: {error}"))?;
        if config.stores.database.is_empty() {
            // The lock on the data directory says that no other process is amid a request.
            let resumable = idempotency::resume_all(&stores.database, now()).await;
            resumable.map_err(|error| format!("requests cut off: {error}"))?;
        }
        let secret = RootSecret::open(config.http.root_secret_file.as_deref(), &config.stores.data_dir)?;
        let key = TicketKey::all(&secret).into_iter().next().ok_or("the root secret gives no ticket key")?;
        let directory = LocalDirectory::start(&stores, key, config.actors.clone()).await?;
        let below = Below {
            database: stores.database.clone(),
            queue: stores.queue.clone(),
            bus: stores.bus.clone(),
            ownership: stores.ownership.clone(),
            directory: directory.clone(),
        };
        let mut http = config.http;
        let bound = Bound::bind(&mut http).await?;
        let app = App::new(http, below, &secret)?;
        let shutdown = CancellationToken::new();
        let server = server::serve(app.clone(), bound, more, shutdown.clone()).await?;
        sandbox::start(&app, server.public);
        Ok(Self { app, directory, server, shutdown, stores })
    }

    pub fn app(&self) -> &Arc<App> {
        &self.app
    }
    pub fn directory(&self) -> &Arc<LocalDirectory> {
        &self.directory
    }
    pub fn stores(&self) -> &Stores {
        &self.stores
    }
    /// Of the public listener.
    pub fn address(&self) -> SocketAddr {
        self.server.public
    }
    pub fn admin_address(&self) -> SocketAddr {
        self.server.admin
    }

    /// Stops intake, finishes what is under way, gives the events up.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.server.finished().await;
        self.directory.shutdown(DRAIN).await;
        // Left unfinished after its time, which harms nobody: the process ends.
        let _ = tokio::time::timeout(CLOSE, self.stores.database.close()).await;
    }

    /// Returns, with the store's name, when a store has failed in a way that this process cannot judge: then the process must
    /// end, and the next one recovers what is durable.
    pub async fn poisoned(&self) -> &'static str {
        self.stores.poisoned().await
    }

    /// Goes away at once: sockets are told, nothing is flushed.
    pub async fn abandon(self) {
        self.shutdown.cancel();
        let _ = tokio::time::timeout(ABANDON, self.server.finished()).await;
    }
}
