//! A faulty network between a client and a real server: connections that are cut, replies that never arrive, silence.
//!
//! Knows bytes only, no protocol. Every fault is switched on and off by the test, and a test can wait until it has bitten.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    /// What the server answers is swallowed; what it is asked arrives.
    ReplyEating,
    /// Nothing gets through in either direction, and nobody is told.
    Silent,
    /// Nobody may connect.
    Refusing,
}

#[derive(Debug, Clone, Copy)]
struct State {
    weather: Weather,
    /// A connection of an older generation is cut.
    generation: u64,
    eaten_bytes: u64,
    /// Eat replies from when these bytes pass on their way to the server.
    trigger: Option<&'static [u8]>,
}

impl State {
    fn pull_trigger(&mut self, passing: &[u8]) -> bool {
        let pulled = |question: &&[u8]| passing.windows(question.len()).any(|window| window == *question);
        if self.trigger.as_ref().is_none_or(|question| !pulled(question)) {
            return false;
        }
        self.trigger = None;
        self.weather = Weather::ReplyEating;
        true
    }
}

pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// To a server that is addressed as `host:port`.
    pub async fn to(server: &str) -> Self {
        Self::at("127.0.0.1", server).await
    }

    /// At an address of this machine.
    pub async fn at(here: &str, server: &str) -> Self {
        let listener = TcpListener::bind((here, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = State { weather: Weather::Fair, generation: 0, eaten_bytes: 0, trigger: None };
        let state = Arc::new(watch::Sender::new(state));
        let acceptor = tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&state)));
        Self { address, state, acceptor }
    }

    /// `host:port`, to be used in place of the server's.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The same URL with the proxy in the server's place.
    pub fn url(&self, url: &str) -> String {
        url.replacen(server_of(url), &self.address(), 1)
    }

    pub fn eat_replies(&self) {
        self.change(|state| (state.weather, state.eaten_bytes) = (Weather::ReplyEating, 0));
    }

    /// As [`Self::eat_replies`], from when `question` is asked, once: what is asked before it is answered. It must arrive
    /// in one piece, as short messages do.
    pub fn eat_replies_to(&self, question: &'static [u8]) {
        self.change(|state| (state.trigger, state.eaten_bytes) = (Some(question), 0));
    }

    /// Returns when a reply was eaten: so the server has done what it was asked.
    pub async fn eaten(&self) {
        self.state.subscribe().wait_for(|state| state.eaten_bytes > 0).await.expect("the proxy lives");
    }

    pub fn fall_silent(&self) {
        self.change(|state| state.weather = Weather::Silent);
    }

    /// Cuts what is connected; new connections are as before.
    pub fn cut(&self) {
        self.change(|state| state.generation += 1);
    }

    /// Cuts what is connected and lets nobody connect.
    pub fn refuse(&self) {
        self.change(|state| {
            state.weather = Weather::Refusing;
            state.generation += 1;
        });
    }

    /// Old connections have missed something, so they are cut; new ones are sound.
    pub fn heal(&self) {
        self.change(|state| {
            state.weather = Weather::Fair;
            state.generation += 1;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut();
    }
}

/// `host:port` of a URL.
pub fn server_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split('/').next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

async fn accept(listener: TcpListener, server: String, state: Arc<watch::Sender<State>>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.borrow().weather == Weather::Refusing {
            continue;
        }
        let Ok(server) = TcpStream::connect(&server).await else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let there = pump(from_client, to_server, Arc::clone(&state), false);
        let back = pump(from_server, to_client, Arc::clone(&state), true);
        tokio::spawn(connection(there, back, Arc::clone(&state)));
    }
}

/// Until one side hangs up, or the connection is cut.
async fn connection(there: impl Future<Output = ()>, back: impl Future<Output = ()>, state: Arc<watch::Sender<State>>) {
    let mut changes = state.subscribe();
    let generation = changes.borrow().generation;
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = changes.wait_for(|state| state.generation > generation) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: Arc<watch::Sender<State>>, is_reply: bool) {
    let mut changes = state.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // A silent line does not even read, so the sender's buffers fill as on a dead network.
        if changes.wait_for(|state| state.weather != Weather::Silent).await.is_err() {
            return;
        }
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if changes.wait_for(|state| state.weather != Weather::Silent).await.is_err() {
            return;
        }
        if !is_reply {
            state.send_if_modified(|state| state.pull_trigger(&buffer[..read]));
        }
        if is_reply && changes.borrow().weather == Weather::ReplyEating {
            state.send_modify(|state| state.eaten_bytes += read as u64);
            continue;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn faults_do_what_they_are_called() {
    // A server that answers each byte with the next one.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let server = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(byte) = stream.read_u8().await {
                    if stream.write_u8(byte + 1).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let proxy = Proxy::to(&server).await;
    let connect = async || TcpStream::connect(proxy.address()).await.expect("connect");

    let mut client = connect().await;
    client.write_u8(7).await.expect("write");
    assert_eq!(client.read_u8().await.expect("fair"), 8);

    proxy.eat_replies();
    client.write_u8(7).await.expect("write");
    proxy.eaten().await;
    proxy.heal();
    client.read_u8().await.expect_err("an old connection is cut");

    let mut client = connect().await;
    client.write_u8(1).await.expect("write");
    assert_eq!(client.read_u8().await.expect("fair again"), 2);
    proxy.cut();
    client.read_u8().await.expect_err("cut");

    proxy.eat_replies_to(&[5]);
    let mut client = connect().await;
    client.write_u8(1).await.expect("write");
    assert_eq!(client.read_u8().await.expect("another question"), 2);
    client.write_u8(5).await.expect("write");
    proxy.eaten().await;
    proxy.heal();
    client.read_u8().await.expect_err("eaten, then cut");

    proxy.refuse();
    let refused = async {
        let mut client = TcpStream::connect(proxy.address()).await?;
        client.write_u8(1).await?;
        client.read_u8().await
    };
    refused.await.expect_err("refused");
    assert_eq!(
        proxy.url("amqp://guest:guest@10.0.0.1:5672/%2f"),
        format!("amqp://guest:guest@{}/%2f", proxy.address())
    );
}
