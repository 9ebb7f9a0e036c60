//! Nodes of one cluster, as processes of their own, and this test's process as one more of them.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use onsale::{
    cluster::{
        Cluster, Entered, Me,
        bundle::Bundle,
        config::Config,
        credentials::Credentials,
        gateway::{Inbox, NothingHere, Remote},
        link::Peers,
        measures,
    },
    http,
    stores::{
        etcd::{Etcd, lease::LeaseKeeper},
        membership::{Incarnation, Membership, Record},
        secret::RootSecret,
    },
};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    harness::{in_time, one_etcd},
    node::Site,
};

/// Names and a root secret of one test's own, on the etcd of all tests: others with another secret are no members.
pub struct Clan {
    pub etcd: String,
    pub folder: TempDir,
    tag: u32,
}

impl Clan {
    pub fn new() -> Option<Self> {
        let etcd = one_etcd()?;
        let clan = Self { etcd, folder: tempfile::tempdir().expect("a folder"), tag: rand::random() };
        let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(clan.secret_file()).expect("made");
        std::io::Write::write_all(&mut file, secret.as_bytes()).expect("written");
        Some(clan)
    }

    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("root.secret")
    }

    pub fn secret(&self) -> RootSecret {
        RootSecret::open(Some(&self.secret_file()), self.folder.path()).expect("a secret")
    }

    /// Of two names, the one whose letter comes first dials.
    pub fn name(&self, letter: char) -> String {
        format!("{letter}-{:08x}", self.tag)
    }

    /// For a node of its own data directory, with the clan's secret.
    pub fn site(&self, letter: char) -> Site {
        Site::embedded()
            .set("stores.etcd", &self.etcd)
            .set("node", &self.name(letter))
            .set("http.root_secret_file", &self.secret_file().display().to_string())
    }

    /// The same with a bundle, from which it has the secret too.
    pub fn site_with(&self, letter: char, bundle: &std::path::Path) -> Site {
        Site::embedded()
            .set("stores.etcd", &self.etcd)
            .set("node", &self.name(letter))
            .set("cluster.bundle", &bundle.display().to_string())
    }

    /// This process as a member that runs nothing.
    pub async fn here(&self, letter: char) -> Here {
        self.here_with_inbox(letter, Arc::new(NothingHere)).await
    }

    /// The same, with this process told what others say.
    pub async fn here_with_inbox(&self, letter: char, inbox: Arc<dyn Inbox>) -> Here {
        self.here_with(letter, Credentials::of_secret(&self.secret()), inbox).await
    }

    pub async fn here_by(&self, letter: char, bundle: &std::path::Path) -> Here {
        let bundle = Bundle::read(bundle, &self.name(letter)).expect("a good bundle");
        let credentials = Credentials::of_bundle(&bundle).expect("good certificates");
        self.here_with(letter, credentials, Arc::new(NothingHere)).await
    }

    async fn here_with(&self, letter: char, credentials: Credentials, inbox: Arc<dyn Inbox>) -> Here {
        static ONE: Mutex<()> = Mutex::const_new(());
        let alone = ONE.lock().await;
        // As the boot does it.
        http::metrics::recorder();
        measures::describe();
        let endpoints = [self.etcd.clone()];
        let connect = async || Etcd::new(&endpoints).await.expect("an address");
        let lease = LeaseKeeper::start(connect().await);
        let store = Membership::new(Arc::new(connect().await), lease, self.name(letter));
        let me = Me { home: self.name(letter), public: String::new(), admin: String::new() };
        let config = Config::default();
        let entered = in_time(Entered::new(&config, credentials, Arc::new(store), me)).await.expect("a member");
        Here { cluster: entered.open(inbox), _alone: alone }
    }

    pub async fn etcd_client(&self) -> etcd_client::Client {
        etcd_client::Client::connect([&self.etcd], None).await.expect("etcd")
    }

    /// Renews the lease of a node that may be unable to do so itself, until the guard is dropped.
    pub async fn keep_lease(&self, letter: char) -> AbortOnDropHandle<()> {
        let mut client = self.etcd_client().await;
        let found = client.get(self.key(letter), None).await.expect("read");
        let lease = found.kvs().first().expect("registered").lease();
        let (mut keeper, mut renewed) = client.lease_keep_alive(lease).await.expect("a lease that lives");
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                keeper.keep_alive().await.expect("sent");
                renewed.message().await.expect("renewed");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }))
    }

    pub fn key(&self, letter: char) -> String {
        format!("onsale/node/{}", self.name(letter))
    }
}

/// One at a time: what ractor keeps of remote actors is the process's, and tells two of them apart by the number of a session
/// only.
pub struct Here {
    pub cluster: Cluster,
    _alone: MutexGuard<'static, ()>,
}

impl Here {
    /// Waits until the link to it is up.
    pub async fn linked(&self, node: &str) -> Remote {
        let mut peers = self.cluster.peers();
        let up = timeout(Duration::from_secs(60), peers.wait_for(|peers| peers.get(node).is_some())).await;
        let peers = up.unwrap_or_else(|_| unreachable!("no link to {node} within a minute")).expect("it runs");
        peers.get(node).expect("up").clone()
    }

    /// Waits until the link to this life of it is down. Gives how long that took.
    pub async fn lost(&self, peer: &Incarnation) -> Duration {
        let began = Instant::now();
        let mut peers = self.cluster.peers();
        let down = in_time(peers.wait_for(|peers| is_lost(peers, peer))).await;
        drop(down.expect("it runs"));
        began.elapsed()
    }

    pub fn has_lost(&self, peer: &Incarnation) -> bool {
        is_lost(&self.cluster.peers().borrow(), peer)
    }

    /// Waits until it is registered so.
    pub async fn sees(&self, node: &str, so: impl Fn(Option<&Record>) -> bool) {
        let mut members = self.cluster.members();
        let seen = in_time(members.wait_for(|members| so(members.get(node)))).await;
        drop(seen.expect("it runs"));
    }
}

fn is_lost(peers: &Peers, peer: &Incarnation) -> bool {
    peers.get(&peer.node).is_none_or(|remote| remote.peer != *peer)
}
