//! The composition root: stores → cluster → actors → http, and down again in reverse.
//!
//! A node has its name in the cluster before its actors start: they claim events under it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        self,
        codes::Codes,
        directory::{Directory, LocalDirectory},
        letters::Letters,
        mailer,
        notes::Notes,
        operations::{Alone, Operations},
        papers::Papers,
        webhooks,
        worker::Worker,
    },
    cluster::{
        Cluster, Entered, Me, bundle::Bundle, credentials::Credentials, measures, placement::Placement,
        route::Router as Routes, steward::Steward,
    },
    config::Config,
    documents::fonts::Fonts,
    failure::Failure,
    http::{
        self,
        app::{App, Below},
        metrics, now, origins, sandbox,
        server::{self, Bound, Server},
    },
    stores::{
        self, Stores, database::idempotency, egress::Egress, keys::ring::KeyRing, membership::Membership, post,
        provider::Providers, secret::RootSecret, wallets::Wallets,
    },
};

/// A running node.
pub struct Node {
    app: Arc<App>,
    /// With etcd only.
    member: Option<Member>,
    directory: Arc<LocalDirectory>,
    mailer: Worker,
    webhooks: Worker,
    server: Server,
    shutdown: CancellationToken,
    stores: Stores,
}

/// This node among others.
struct Member {
    cluster: Cluster,
    routes: Arc<Routes>,
    steward: Steward,
}

/// For the list of members to say that this node serves.
const SEEN: Duration = Duration::from_secs(3);
/// For events to be given to other nodes.
const HAND_OVER: Duration = Duration::from_secs(10);
/// For mails and webhooks under way; one that is cut off goes out again.
const MAILS: Duration = Duration::from_secs(2);
/// For what is left to be flushed and given up after the last request was answered.
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
        let bundle = bundle(&config)?;
        let mut stores = stores::open(&config.stores, &config.node).await?;
        stores.providers = Providers::open(&config.payments, &stores.database)?;
        stores.database.migrate().await.map_err(|error| format!("migration: {error}"))?;
        if config.stores.database.is_empty() {
            // The lock on the data directory says that no other process is amid a request.
            let resumable = idempotency::resume_all(&stores.database, now()).await;
            resumable.map_err(|error| format!("requests cut off: {error}"))?;
        }
        let secret = root_secret(&config, bundle.as_ref())?;
        let mut http = config.http.clone();
        let bound = Bound::bind(&mut http).await?;
        let entered = enter(&config, &http, &stores, &secret, bundle.as_ref()).await?;
        let keys = KeyRing::open(secret, Arc::clone(&stores.keys)).await;
        let keys = keys.map_err(|error| format!("generations of keys: {error}"))?;
        let (directory, member) = match entered {
            Some((entered, membership)) => {
                let (directory, member) =
                    join(entered, membership, &stores, keys.clone(), config.actors.clone()).await?;
                (directory, Some(member))
            }
            None => (LocalDirectory::start(&stores, keys.clone(), config.actors.clone()).await?, None),
        };
        let (finds, operations): (Arc<dyn Directory>, Arc<dyn Operations>) = match &member {
            Some(member) => (member.routes.clone(), Arc::new(member.steward.operator(stores.database.clone()))),
            None => {
                let (public, admin) = (http.listen.clone(), http.admin_listen.clone());
                (directory.clone(), Arc::new(Alone::start(config.node.clone(), public, admin, directory.clone())))
            }
        };
        let papers = Papers::new(stores.database.clone(), fonts(&config)?, &config.documents);
        let (codes, shop_url) = (Codes::new(keys.secret()), origins::public_url(&http));
        let notes = Notes::new(stores.database.clone(), papers.clone(), codes, shop_url);
        let letters = Letters::new(stores.database.clone(), papers.clone(), notes, &config.mail.from);
        let letters = letters.map_err(|error| format!("mail.from: {error}"))?;
        let post = post::open(&config.mail, stores.data_dir.path())?;
        let egress = Arc::new(Egress::open(&config.webhooks)?);
        let below = Below {
            database: stores.database.clone(),
            queue: stores.queue.clone(),
            used_tickets: stores.used_tickets.clone(),
            waits: stores.waits.clone(),
            bus: stores.bus.clone(),
            ownership: stores.ownership.clone(),
            providers: stores.providers.clone(),
            directory: finds,
            operations,
            halt: directory.halt().clone(),
            papers,
            letters: letters.clone(),
            wallets: Wallets::open(&config.wallets)?,
            egress: egress.clone(),
        };
        let app = App::new(http, below, Arc::clone(&keys))?;
        let shutdown = CancellationToken::new();
        let server = server::serve(app.clone(), bound, more, shutdown.clone()).await?;
        sandbox::start(&app, server.public);
        if let Some(member) = &member {
            member.steward.open();
            // Before that nobody has this node run anything, itself included.
            let _ = tokio::time::timeout(SEEN, member.cluster.announced()).await;
        }
        let mailer = mailer::start(&directory, stores.database.clone(), letters, post, &config.mail);
        let webhooks = webhooks::start(stores.database.clone(), egress, keys, &config.webhooks);
        Ok(Self { app, member, directory, mailer, webhooks, server, shutdown, stores })
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
        match &self.member {
            // Those who still have an answer to come are served while the events move.
            Some(member) => {
                tokio::join!(member.steward.leave(HAND_OVER), self.server.finished());
                member.routes.shutdown();
            }
            None => self.server.finished().await,
        }
        tokio::join!(self.directory.shutdown(DRAIN), self.mailer.stop(MAILS), self.webhooks.stop(MAILS));
        if let Some(member) = self.member {
            member.cluster.stop().await;
        }
        // Left unfinished after its time, which harms nobody: the process ends.
        let _ = tokio::time::timeout(CLOSE, self.stores.database.close()).await;
    }

    /// Returns, with its name, when a part has failed that this process cannot judge or go on without: then the process must end,
    /// and the next one recovers what is durable.
    pub async fn poisoned(&self) -> &'static str {
        let steward_ended = async {
            match &self.member {
                Some(member) => member.steward.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            store = self.stores.poisoned() => store,
            () = steward_ended => "steward",
        }
    }

    /// Returns when another process has taken this node's name: then this one must end.
    pub async fn ousted(&self) {
        match &self.member {
            Some(member) => member.cluster.ousted().await,
            None => std::future::pending().await,
        }
    }

    /// Goes away at once: sockets are told, nothing is flushed.
    pub async fn abandon(self) {
        self.shutdown.cancel();
        let _ = tokio::time::timeout(ABANDON, self.server.finished()).await;
    }
}

/// What lets this node into its cluster, where the configuration names it.
pub fn bundle(config: &Config) -> Result<Option<Bundle>, Failure> {
    let file = &config.cluster.bundle;
    if file.is_empty() { Ok(None) } else { Ok(Some(Bundle::read(Path::new(file), &config.node)?)) }
}

/// What makes this installation's tokens, wherever it is kept.
pub fn root_secret(config: &Config, bundle: Option<&Bundle>) -> Result<RootSecret, Failure> {
    match (&config.http.root_secret_file, bundle) {
        (None, Some(bundle)) => Ok(bundle.secret()?),
        (file, _) => Ok(RootSecret::open(file.as_deref(), &config.stores.data_dir)?),
    }
}

/// The built-in ones, and those that the configuration names.
fn fonts(config: &Config) -> Result<Fonts, Failure> {
    config.documents.fonts.iter().try_fold(Fonts::built_in(), |fonts, path| {
        let bytes = std::fs::read(path).map_err(|error| format!("font {}: {error}", path.display()))?;
        Ok(fonts.and(bytes).map_err(|error| format!("font {}: {error}", path.display()))?)
    })
}

/// Takes this node's name, where there may be others.
async fn enter(
    config: &Config,
    http: &http::config::Config,
    stores: &Stores,
    secret: &RootSecret,
    bundle: Option<&Bundle>,
) -> Result<Option<(Entered, Arc<Membership>)>, Failure> {
    let Some(membership) = &stores.membership else { return Ok(None) };
    metrics::recorder();
    measures::describe();
    let credentials = match bundle {
        Some(bundle) => Credentials::of_bundle(bundle)?,
        None => Credentials::of_secret(secret),
    };
    let home = stores.data_dir.identity()?;
    let me = Me { home, public: http.listen.clone(), admin: http.admin_listen.clone() };
    let entered = Entered::new(&config.cluster, credentials, Arc::clone(membership), me).await?;
    Ok(Some((entered, Arc::clone(membership))))
}

/// Starts the actors of a node among others, and lets these reach it.
async fn join(
    entered: Entered,
    membership: Arc<Membership>,
    stores: &Stores,
    keys: Arc<KeyRing>,
    config: actors::config::Config,
) -> Result<(Arc<LocalDirectory>, Member), Failure> {
    let directory = LocalDirectory::start_member(stores, keys, config.clone()).await?;
    let wishes = membership.wishes().list().await.map_err(|error| format!("wishes of operators: {error}"))?;
    let (wishes, known) = watch::channel(Arc::new(wishes));
    let placement = Placement::new(entered.members(), known);
    let routes = Routes::new(&entered, directory.clone(), stores.ownership.clone(), placement, &config);
    let asked: Arc<dyn Directory> = routes.clone();
    directory.begin(Arc::downgrade(&asked));
    let cluster = entered.open(routes.clone());
    let steward = Steward::start(&cluster, stores, membership, directory.clone(), routes.clone(), wishes);
    Ok((directory, Member { cluster, routes, steward }))
}
