//! What lets a node in off loopback: bundles, and what is refused without a good one (S-54).

use std::{fs, path::PathBuf, time::Duration};

use onsale::{
    cluster::gateway::{Answer, Question, Taken},
    demo::fans::Headers,
};
use reqwest::Method;
use tokio::process::Command;
use toml::Table;

use super::clan::Clan;
use crate::{
    harness::{in_time, new_event, until},
    node::Site,
};

const REFUSED: Duration = Duration::from_secs(30);

/// By the command line, as an operator would.
pub async fn onsale(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_onsale")).args(arguments).output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

impl Clan {
    async fn authority(&self, name: &str) -> String {
        let dir = self.folder.path().join(name).display().to_string();
        onsale(&["cluster", "init", "--dir", &dir]).await;
        dir
    }

    async fn bundle(&self, authority: &str, letter: char) -> PathBuf {
        onsale(&["cluster", "invite", &self.name(letter), "--dir", authority]).await.into()
    }
}

/// Takes parts of one bundle into another.
fn mix(bundle: &PathBuf, other: &PathBuf, parts: &[&str]) {
    let read = |path| fs::read_to_string(path).expect("read").parse::<Table>().expect("TOML");
    let (mut mixed, other) = (read(bundle), read(other));
    for part in parts {
        mixed[*part] = other[*part].clone();
    }
    fs::write(bundle, mixed.to_string()).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_bundles_of_one_authority_link_up_by_mutual_tls() {
    let Some(clan) = Clan::new() else { return };
    let authority = clan.authority("authority").await;
    let [a, m, z] =
        [clan.bundle(&authority, 'a').await, clan.bundle(&authority, 'm').await, clan.bundle(&authority, 'z').await];
    let (first, last) = (clan.site_with('a', &a), clan.site_with('z', &z));
    let nodes = tokio::join!(first.start(), last.start());
    let here = clan.here_by('m', &m).await;
    for letter in ['a', 'z'] {
        let remote = here.linked(&clan.name(letter)).await;
        let answer = remote.ask(Question::Take(new_event()), Duration::from_secs(10)).await;
        assert_eq!(answer, Ok(Answer::Taken(Taken::UnknownEvent)));
    }
    // All have the bundle's root secret: what one signs the others believe.
    let keys = async |site: Site| {
        site.client().send(Method::GET, "/ticket-keys", Headers::default(), None).await.expect("an answer").body
    };
    let (one, other) = (keys(first).await, keys(last).await);
    assert!(one["keys"].is_array() && one == other, "{one} {other}");
    drop(nodes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_54_a_certificate_of_another_authority_or_made_out_to_another_node_is_refused() {
    let Some(clan) = Clan::new() else { return };
    let (authority, other) = (clan.authority("authority").await, clan.authority("other").await);
    let z = clan.bundle(&authority, 'z').await;
    let site = clan.site_with('z', &z);
    let node = site.start().await;
    // The right cookie in both.
    let foreign = clan.bundle(&authority, 'a').await;
    mix(&foreign, &clan.bundle(&other, 'a').await, &["authority", "certificate", "key"]);
    let borrowed = clan.bundle(&authority, 'b').await;
    mix(&borrowed, &clan.bundle(&authority, 'c').await, &["certificate", "key"]);
    for (letter, bundle, reason) in
        [('a', foreign, "TLS: "), ('b', borrowed, "its certificate is not made out to the node that it says it is")]
    {
        let here = clan.here_by(letter, &bundle).await;
        until(reason, async || node.log().contains(reason)).await;
        assert!(here.cluster.peers().borrow().get(&clan.name('z')).is_none());
        here.cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_54_off_loopback_a_node_without_a_bundle_does_not_start() {
    let Some(clan) = Clan::new() else { return };
    let refused = async |site: Site, reasons: &[&str]| {
        let (status, log) = in_time(site.spawn().ended(REFUSED)).await;
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(reasons.iter().all(|reason| log.contains(reason)), "{log}");
    };
    refused(clan.site('a').set("cluster.listen", "0.0.0.0:0"), &["not on loopback", "onsale cluster invite"]).await;
    refused(clan.site('a').set("cluster.bundle", "/nowhere/a.bundle"), &["/nowhere/a.bundle"]).await;
    let authority = clan.authority("authority").await;
    let bundle = clan.bundle(&authority, 'b').await;
    let reasons = [&format!("is for node {}", clan.name('b')), "this node is called"];
    refused(clan.site_with('a', &bundle), &reasons.map(|reason: &str| reason)).await;
    let everywhere = clan.site_with('b', &bundle).set("cluster.listen", "0.0.0.0:0");
    refused(everywhere, &["--advertise"]).await;
    let site = clan.site_with('b', &bundle).set("cluster.listen", "0.0.0.0:0").set("cluster.advertise", "127.0.0.1");
    let node = site.start().await;
    node.signal("TERM").await;
    assert!(node.ended(REFUSED).await.0.success());
}
