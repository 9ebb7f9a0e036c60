//! Somebody who binds a queue of his own to the shop's exchange, and holds what comes against the AsyncAPI document.

use std::{collections::BTreeMap, io::Write as _, path::Path, process::Stdio};

use lapin::{
    Channel, Connection,
    options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::{Value, json};

pub struct Listener {
    channel: Channel,
    queue: String,
    _connection: Connection,
}

impl Listener {
    /// `None` without a broker.
    pub async fn bind(url: &str) -> Option<Self> {
        if url.is_empty() {
            return None;
        }
        let connection = Connection::connect(url, Default::default()).await.expect("connect");
        let channel = connection.create_channel().await.expect("channel");
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.expect("declared");
        let queue = queue.name().to_string();
        let (exchange, options) = ("onsale".into(), QueueBindOptions::default());
        let bound = channel.queue_bind(queue.as_str().into(), exchange, "#".into(), options, FieldTable::default());
        bound.await.expect("bound: a node has declared the exchange");
        Some(Self { channel, queue, _connection: connection })
    }

    /// How many of each routing key have come since; each as the document says.
    pub async fn heard(&self) -> BTreeMap<String, u64> {
        let mut lines = String::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(got) = self.channel.basic_get(self.queue.as_str().into(), options).await.expect("asked") {
            let body: Value = serde_json::from_slice(&got.data).expect("JSON");
            lines += &format!("{}\n", json!({"key": got.routing_key.to_string(), "body": body}));
        }
        tokio::task::spawn_blocking(move || fit(&lines)).await.expect("no panic")
    }
}

fn fit(lines: &str) -> BTreeMap<String, u64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = std::process::Command::new("/usr/bin/python3")
        .arg(root.join("tests/clients/fits_schema.py"))
        .arg(root.join("docs/asyncapi.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/packages test installs it");
    // It says nothing before it has read all.
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "a message does not fit");
    serde_json::from_slice(&output.stdout).expect("counts")
}

#[test]
fn the_document_has_a_channel_for_each_routing_key_and_no_other() {
    use onsale::stores::order_bus::{NEWS_KEYS, Topic};
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/asyncapi.json"));
    let document: Value = serde_json::from_str(&document.expect("there")).expect("JSON");
    let channels = document["channels"].as_object().expect("channels");
    let mut documented: Vec<_> = channels.values().map(|channel| channel["address"].as_str().expect("text")).collect();
    let mut known: Vec<_> = Topic::WORK.iter().flat_map(|topic| topic.routing_keys()).copied().collect();
    known.extend(NEWS_KEYS);
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known);
}
