//! Nodes of one cluster on one database, their events, and who owns those.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;
use onsale::{
    cluster::{membership::Members, placement},
    demo::fans::Headers,
    domain::{id::EventId, time::Millis},
    http::{now, shapes::Timestamp},
    stores::{
        etcd::Etcd,
        membership::{Boot, Record, State},
        ownership::Owner,
        wishes::{WishStore, Wishes},
    },
};
use reqwest::Method;
use serde_json::json;

use super::clan::Clan;
use crate::{
    harness::{Opened, database_of_its_own, open_etcd, until},
    node::{Node, Site},
    rush::event_body,
};

pub struct Fleet {
    pub clan: Clan,
    pub nodes: BTreeMap<char, (Site, Node)>,
    pub wishes: WishStore,
    stores: Opened,
    database: String,
}

impl Fleet {
    pub async fn open(letters: &[char]) -> Option<Self> {
        Self::open_on(Clan::new()?, letters).await
    }

    pub async fn open_on(clan: Clan, letters: &[char]) -> Option<Self> {
        let database = database_of_its_own().await?;
        let endpoints = [clan.etcd.clone()];
        let wishes = WishStore::new(Arc::new(Etcd::new(&endpoints).await.expect("an address")));
        let stores = open_etcd(&endpoints, "reader").await;
        let mut fleet = Self { clan, nodes: BTreeMap::new(), wishes, stores, database };
        let started = join_all(letters.iter().map(|letter| fleet.start(*letter))).await;
        fleet.nodes = letters.iter().copied().zip(started).collect();
        fleet.linked().await;
        Some(fleet)
    }

    pub fn name(&self, letter: char) -> String {
        self.clan.name(letter)
    }

    async fn start(&self, letter: char) -> (Site, Node) {
        let site = self.clan.site(letter).set("stores.database", &self.database);
        let site = site.set("log.filter", "info,ractor_cluster=error");
        let node = site.start().await;
        (site, node)
    }

    pub async fn add(&mut self, letter: char) {
        let started = self.start(letter).await;
        self.nodes.insert(letter, started);
        self.linked().await;
    }

    /// After it was killed.
    pub async fn start_again(&mut self, letter: char, site: Site) {
        let node = site.start().await;
        self.nodes.insert(letter, (site, node));
        self.linked().await;
    }

    /// Waits until all are linked with one another.
    async fn linked(&self) {
        let links = format!("\nonsale_cluster_links {}\n", self.nodes.len() - 1);
        for (site, _) in self.nodes.values() {
            until("the nodes are linked", async || site.metrics().await.contains(&links)).await;
        }
    }

    pub fn site(&self, letter: char) -> &Site {
        &self.nodes[&letter].0
    }

    /// Nothing of it runs any more; its site stays.
    pub async fn kill(&mut self, letter: char) -> Site {
        let (site, node) = self.nodes.remove(&letter).expect("it runs");
        node.kill().await;
        site
    }

    /// Events that must run, because they open tomorrow.
    pub async fn events(&self, letter: char, count: usize) -> BTreeSet<EventId> {
        let site = self.site(letter);
        let (client, access) = (site.client(), site.organizer().await);
        let headers = Headers { access: Some(&access), ..Headers::default() };
        let day = Millis::minutes(24 * 60);
        let mut body = event_body();
        body["on_sale_at"] = json!(Timestamp(now() + day));
        (body["starts_at"], body["ends_at"]) =
            (json!(Timestamp(now() + day + day)), json!(Timestamp(now() + day + day + day)));
        body["ticket_types"].as_array_mut().expect("a list").truncate(1);
        let mut events = BTreeSet::new();
        for _ in 0..count {
            let made = client.send(Method::POST, "/events", headers, Some(&body)).await.expect("an answer");
            let id = made.text("id").unwrap_or_else(|_| unreachable!("{made:?}"));
            let path = format!("/events/{id}/publish");
            let published = client.send(Method::POST, &path, headers, Some(&json!({}))).await.expect("an answer");
            assert!(published.status.is_success(), "{published:?}");
            events.insert(id.parse().expect("an id"));
        }
        events
    }

    /// Of those of these events that have one.
    pub async fn owners(&self, events: &BTreeSet<EventId>) -> BTreeMap<EventId, Owner> {
        let owners = self.stores.ownership.owners().await.expect("listed");
        owners.into_iter().filter(|(event, _)| events.contains(event)).collect()
    }

    pub async fn owned_by(&self, events: &BTreeSet<EventId>, letter: char) -> BTreeSet<EventId> {
        let (owners, name) = (self.owners(events).await, self.name(letter));
        owners.into_iter().filter(|(_, owner)| owner.node == name).map(|(event, _)| event).collect()
    }

    /// Where the events belong, if these nodes may run them.
    pub fn homes(&self, events: &BTreeSet<EventId>, letters: &[char]) -> BTreeMap<EventId, String> {
        let record = || Record {
            boot: Boot::random(),
            home: String::new(),
            cluster: String::new(),
            link: String::new(),
            public: String::new(),
            admin: String::new(),
            version: String::new(),
            state: State::Up,
            since_ms: 0,
        };
        let members: Members = letters.iter().map(|letter| (self.name(*letter), record())).collect();
        let home = |event| placement::order(event, &members, &Wishes::default()).remove(0);
        events.iter().map(|event| (*event, home(*event))).collect()
    }

    /// Waits until each event is owned by the node to which placement gives it, among these.
    pub async fn at_home(&self, events: &BTreeSet<EventId>, letters: &[char]) {
        let homes = self.homes(events, letters);
        until("all events run where they belong", async || {
            let owners = self.owners(events).await;
            homes.iter().all(|(event, home)| owners.get(event).is_some_and(|owner| owner.node == *home))
        })
        .await;
    }
}
