//! A sale over three nodes and three members of etcd, of which the leader dies, and the next one hangs.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::sale::Stage;
use crate::{etcd_members::Members, node::Site};

const HANGS: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_goes_on_when_the_etcd_leader_is_killed_and_when_the_next_one_hangs() {
    let Some(site) = Site::on_servers().await else { return };
    let mut members = Members::start(3, &[]).await;
    let mut stage = Stage::set_on(site.set("stores.etcd", &members.urls().join(","))).await;
    let rush = &mut stage.rush;
    rush.goes_on().await;

    let leader = members.leader().await;
    let killed = Instant::now();
    members.kill(leader);
    rush.goes_on().await;
    eprintln!("sold on {} ms after etcd's leader was killed", killed.elapsed().as_millis());
    rush.check().await;
    members.start_again(leader);
    rush.goes_on().await;

    let leader = rush.shop_during(members.leader()).await;
    let hung = Instant::now();
    members.hang(leader);
    rush.goes_on().await;
    eprintln!("sold on {} ms after etcd's leader hung", hung.elapsed().as_millis());
    rush.shop_during(sleep_until(hung + HANGS)).await;
    // It still believes that it leads.
    members.go_on(leader);
    rush.goes_on().await;
    rush.check().await;
    stage.end().await;
}
