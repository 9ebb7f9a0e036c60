//! Links come up, are noticed to be gone, and come back.

use std::time::Duration;

use onsale::{
    cluster::{
        credentials::Credentials,
        gateway::{Answer, NotAnswered, Notice, Piece, Question, Taken},
        link::hello::{HelloError, Refusal, Speaker},
        wire::{MOST_BYTES, Opaque},
    },
    domain::id::EventId,
    stores::membership::{Boot, Incarnation, State},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::clan::Clan;
use crate::harness::{new_event, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_link_up_answer_each_other_and_say_goodbye() {
    let Some(clan) = Clan::new() else { return };
    let (a, z) = (clan.site('a'), clan.site('z'));
    let (first, last) = tokio::join!(a.start(), z.start());
    let here = clan.here('m').await;
    here.cluster.announce(State::Up);
    for (letter, site) in [('a', &a), ('z', &z)] {
        let node = clan.name(letter);
        let remote = here.linked(&node).await;
        here.sees(&node, |record| record.is_some_and(|record| record.state == State::Up)).await;
        let within = Duration::from_secs(10);
        assert_eq!(remote.ask(Question::Take(new_event()), within).await, Ok(Answer::Taken(Taken::UnknownEvent)));
        // The other two see each other as well.
        until("it counts two links and three nodes", async || {
            let metrics = site.metrics().await;
            metrics.contains("\nonsale_cluster_links 2\n") && metrics.contains("\nonsale_cluster_nodes 3\n")
        })
        .await;
    }
    let gone = here.linked(&clan.name('a')).await.peer;
    first.signal("TERM").await;
    let (status, log) = first.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {log}");
    here.lost(&gone).await;
    // Not by its lease: that would be told apart here.
    let mut client = clan.etcd_client().await;
    assert!(client.get(clan.key('a'), None).await.expect("read").kvs().is_empty(), "it has taken its record away");
    here.sees(&clan.name('a'), |record| record.is_none()).await;
    here.cluster.stop().await;
    last.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_other_node_cannot_read_it_counts_and_the_link_stays() {
    let Some(clan) = Clan::new() else { return };
    let site = clan.site('z');
    let node = site.start().await;
    let here = clan.here('m').await;
    let remote = here.linked(&clan.name('z')).await;
    // Over the limit nothing is sent but the fact, which no version can read as a notice.
    let piece = Piece { id: 1, more: true, bytes: Opaque(vec![0; MOST_BYTES]) };
    assert!(remote.tell(Notice::Errands { from: here.cluster.me().clone(), pieces: vec![piece] }));
    until("it counts what it could not read", async || {
        site.metrics().await.contains("\nonsale_cluster_unreadable_total 1\n")
    })
    .await;
    assert!(here.linked(&clan.name('z')).await.is_same_link(&remote));
    drop(node);
}

async fn is_registered(clan: &Clan, letter: char) -> bool {
    let found = clan.etcd_client().await.get(clan.key(letter), None).await.expect("read");
    !found.kvs().is_empty()
}

/// Once as the side that dials, once as the side that listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_is_noticed_although_its_lease_lives_on_and_comes_back_when_it_thaws() {
    let Some(clan) = Clan::new() else { return };
    let (a, z) = (clan.site('a'), clan.site('z'));
    let (first, last) = tokio::join!(a.start(), z.start());
    let here = clan.here('m').await;
    for (letter, node) in [('a', &first), ('z', &last)] {
        let name = clan.name(letter);
        let remote = here.linked(&name).await;
        let lease = clan.keep_lease(letter).await;
        node.freeze().await;
        let within = Duration::from_millis(500);
        let began = Instant::now();
        let asked = remote.ask(Question::Take(new_event()), within).await;
        let unknown = asked == Err(NotAnswered::Unknown) || here.has_lost(&remote.peer);
        assert!(unknown, "nobody can have answered: {asked:?}");
        here.lost(&remote.peer).await;
        println!("{letter}: noticed after {:?}", began.elapsed());
        assert!(is_registered(&clan, letter).await, "it is not its lease that tells");
        // The link is told to be down first, the actors behind it end just after.
        let ask = async || remote.ask(Question::Take(new_event()), within).await;
        until("it is certain that nothing is sent", async || ask().await == Err(NotAnswered::NotSent)).await;

        node.signal("CONT").await;
        let began = Instant::now();
        assert_eq!(here.linked(&name).await.peer, remote.peer, "the same life of it");
        println!("{letter}: back after {:?}", began.elapsed());
        drop(lease);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_frozen_for_longer_than_its_lease_is_no_member_and_becomes_one_again() {
    let Some(clan) = Clan::new() else { return };
    let site = clan.site('z');
    let node = site.start().await;
    let here = clan.here('m').await;
    let name = clan.name('z');
    let remote = here.linked(&name).await;
    node.freeze().await;
    // Its record goes with its lease.
    here.sees(&name, |record| record.is_none()).await;
    node.signal("CONT").await;
    here.sees(&name, |record| record.is_some_and(|record| record.boot == remote.peer.boot)).await;
    assert_eq!(here.linked(&name).await.peer, remote.peer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_noticed_and_its_next_life_begins_although_its_lease_lives_on() {
    let Some(clan) = Clan::new() else { return };
    for letter in ['a', 'z'] {
        let (site, here, name) = (clan.site(letter), clan.here('m').await, clan.name(letter));
        let node = site.start().await;
        let before = here.linked(&name).await.peer;
        let mut client = clan.etcd_client().await;
        let created = async |client: &mut etcd_client::Client| {
            client.get(clan.key(letter), None).await.expect("read").kvs().first().map(|found| found.create_revision())
        };
        let first = created(&mut client).await.expect("registered");
        let lease = clan.keep_lease(letter).await;
        node.kill().await;
        let noticed = here.lost(&before).await;
        println!("{letter}: noticed after {noticed:?}");
        assert!(is_registered(&clan, letter).await, "it is not its lease that tells");

        let node = site.start().await;
        let after = here.linked(&name).await.peer;
        assert_ne!(after.boot, before.boot);
        // The same key all the while, under the next one's lease now.
        assert_eq!(created(&mut client).await, Some(first));
        drop(lease);
        here.cluster.stop().await;
        drop(node);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_54_strangers_are_told_why_or_hung_up_on() {
    let Some(clan) = Clan::new() else { return };
    let site = clan.site('z');
    let node = site.start().await;
    let here = clan.here('m').await;
    let remote = here.linked(&clan.name('z')).await;
    let address = here.cluster.members().borrow().get(&clan.name('z')).expect("a member").link.clone();
    let connect = async || TcpStream::connect(&address).await.expect("it listens");
    let key = Credentials::of_secret(&clan.secret()).hello;
    let (lower, higher) = (Boot::random(), Boot::random());
    for (node, boot, reason) in
        [(clan.name('m'), lower, Refusal::NotRegistered), (clan.name('z') + "z", higher, Refusal::Direction)]
    {
        let me = Incarnation { node, boot };
        let dialled = Speaker { me: &me, key: &key, session: &[] }.dial(&mut connect().await, &remote.peer).await;
        assert!(matches!(dialled, Err(HelloError::There(why)) if why == reason), "{reason}: {dialled:?}");
    }
    let other = Clan::new().expect("as before");
    let wrong = Credentials::of_secret(&other.secret()).hello;
    let me = here.cluster.me();
    let dialled = Speaker { me, key: &wrong, session: &[] }.dial(&mut connect().await, &remote.peer).await;
    assert!(matches!(dialled, Err(HelloError::Here(Refusal::Cookie))), "{dialled:?}");

    let mut noisy = connect().await;
    noisy.write_all(&[0xff; 64]).await.expect("sent");
    assert!(hung_up(&mut noisy, Duration::from_secs(2)).await);
    let (mut silent, began) = (connect().await, Instant::now());
    assert!(hung_up(&mut silent, Duration::from_secs(10)).await);
    assert!(began.elapsed() > Duration::from_secs(4), "it may take its time");
    // Nobody has disturbed the link.
    let answer = remote.ask(Question::Take(EventId::from_u128(1)), Duration::from_secs(10)).await;
    assert_eq!(answer, Ok(Answer::Taken(Taken::UnknownEvent)));
    drop(node);
}

async fn hung_up(stream: &mut TcpStream, within: Duration) -> bool {
    let mut end = Vec::new();
    timeout(within, stream.read_to_end(&mut end)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_secret_on_the_same_etcd_is_no_member() {
    let (Some(clan), Some(other)) = (Clan::new(), Clan::new()) else { return };
    let (ours, stranger) = (clan.site('a'), other.site('z'));
    let (node, strange) = tokio::join!(ours.start(), stranger.start());
    let here = clan.here('m').await;
    here.linked(&clan.name('a')).await;
    let name = format!("node={}", other.name('z'));
    until("it is told of", async || node.log().contains(&name)).await;
    assert!(here.cluster.members().borrow().get(&other.name('z')).is_none());
    assert!(node.log().contains("with another cookie"), "{}", node.log());
    assert!(stranger.metrics().await.contains("\nonsale_cluster_nodes 1\n"));
    drop((node, strange));
}
