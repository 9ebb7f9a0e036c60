//! A sale through haproxy, set up as `docs/operate.md` says, with its nodes killed one after the other.

use std::{path::Path, process::Stdio};

use onsale::demo::fans::Client;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::{
    harness::until,
    node::{Site, free_address},
    rush::{self, Rush},
};

const NODES: usize = 3;

/// Ends with the test.
struct Haproxy {
    _child: Child,
}

impl Haproxy {
    async fn start(file: &Path, address: &str, nodes: &[Site]) -> Self {
        std::fs::write(file, configuration(address, nodes)).expect("written");
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("haproxy is installed");
        until("haproxy listens", async || TcpStream::connect(address).await.is_ok()).await;
        Self { _child: child }
    }
}

/// The sample on the page, with addresses of this test and without TLS.
fn configuration(address: &str, nodes: &[Site]) -> String {
    let page = include_str!("../../../docs/operate.md");
    let (_, sample) = page.split_once("\nhaproxy (tried").expect("a sample for haproxy");
    let lines = sample.lines().skip(1).take_while(|line| line.is_empty() || line.starts_with("    "));
    let mut configuration = String::from("global\n    maxconn 1000\n");
    let mut servers = nodes.iter();
    for line in lines {
        let words: Vec<_> = line.split_whitespace().collect();
        let line = match words.first() {
            Some(&"bind") => format!("    bind {address}"),
            Some(&"server") => {
                let node = servers.next().expect("a node for each of the sample's").config().http.listen;
                format!("    server {} {node}", words[1])
            }
            _ => line.strip_prefix("    ").unwrap_or(line).to_owned(),
        };
        configuration.push_str(&line);
        configuration.push('\n');
    }
    assert!(servers.next().is_none() && configuration.contains("timeout tunnel"), "{configuration}");
    configuration
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_through_haproxy_goes_on_when_its_nodes_are_killed_one_after_the_other() {
    let Some(first) = Site::on_servers().await else { return };
    let address = free_address();
    let url = format!("http://{address}");
    let sites = first.set("http.public_url", &url).set("http.trusted_proxies", "127.0.0.1").with_siblings(NODES - 1);
    let mut nodes = Vec::new();
    for site in &sites {
        nodes.push(site.start().await);
    }
    let _haproxy = Haproxy::start(&sites[0].folder().join("haproxy.cfg"), &address, &sites).await;
    let clients = vec![Client::new(&url).expect("an address")];
    let mut rush = Rush::open_by(&sites[0], clients, &mut rush::random()).await;
    rush.goes_on().await;
    for (victim, site) in sites.iter().enumerate() {
        // Whoever owns the event is killed once.
        let node = nodes.remove(victim);
        rush.shop_during(node.kill()).await;
        site.let_a_minute_pass().await;
        // Without it, until whoever has the event by then sells on.
        rush.goes_on().await;
        rush.check().await;
        nodes.insert(victim, site.start().await);
    }
    rush.end(&sites[0], nodes).await;
}
