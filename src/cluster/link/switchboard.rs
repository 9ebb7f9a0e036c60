//! One link to each peer: dials whom it should, lets a new connection replace an old one, publishes who can be reached.
//!
//! Owns which connection is the link to whom. One that is replaced must have ended before the next one is handed to
//! ractor_cluster: of two sessions with one name it would keep either. Supervises ractor_cluster's server and the gateway; if
//! one of them ends, so does this actor, and [`super`] starts it anew.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, MessagingErr, SupervisionEvent, pg};
use ractor_cluster::{
    NodeServer, NodeServerMessage, RactorMessage,
    node::{NodeConnectionMode, NodeServerSessionInformation},
};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Peers,
    door::{Door, DoorError, HANDSHAKE, Introduced},
    sessions::{Told, label, serial},
    stream::Stream,
};
use crate::{
    cluster::{
        gateway::{Gateway, Inbox, Notice, Remote},
        measures,
    },
    stores::membership::Incarnation,
};

/// Six of them make a silence.
const BEAT: Duration = Duration::from_millis(250);
/// Between two looks whom to dial; a change among the members is seen at once.
const LOOK: Duration = Duration::from_millis(250);
/// After an attempt that failed; doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What another node may send at once. Ours are far smaller, but for what ractor_cluster adds.
const FRAME_BYTES: u64 = 1024 * 1024;

pub(super) struct Switchboard;

#[derive(RactorMessage)]
pub enum Message {
    /// Whom to dial?
    Look,
    Introduced(Introduced),
    NotDialled {
        peer: Incarnation,
        error: DoorError,
    },
    Ready(NodeServerSessionInformation),
    Disconnected(NodeServerSessionInformation),
    /// A connection has had its time to become a link.
    Late {
        serial: u64,
    },
}

pub(super) struct Start {
    pub listener: Arc<TcpListener>,
    pub door: Arc<Door>,
    pub inbox: Arc<dyn Inbox>,
    pub peers: Arc<watch::Sender<Arc<Peers>>>,
}

pub(super) struct State {
    me: ActorRef<Message>,
    door: Arc<Door>,
    peers: Arc<watch::Sender<Arc<Peers>>>,
    server: ActorRef<NodeServerMessage>,
    lines: HashMap<String, Line>,
    /// Of the last connection handed to ractor_cluster.
    serial: u64,
    _tasks: [AbortOnDropHandle<()>; 3],
}

/// To one peer.
#[derive(Default)]
struct Line {
    dialling: Option<(Incarnation, AbortOnDropHandle<()>)>,
    /// After the next failure; zero: none has failed since the last link.
    pause: Duration,
    not_before: Option<Instant>,
    link: Option<Link>,
    /// Waits until the old one has ended.
    next: Option<Introduced>,
}

/// A connection that ractor_cluster has.
struct Link {
    serial: u64,
    peer: Incarnation,
    /// Cancelled, it ends; also when this is dropped.
    cut: CancellationToken,
    /// Once it is up.
    remote: Option<Remote>,
    _late: AbortOnDropHandle<Result<(), MessagingErr<Message>>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// By which other nodes find a node's gateway.
fn group(node: &Incarnation) -> String {
    format!("onsale.gateway.{node}")
}

impl Actor for Switchboard {
    type Msg = Message;
    type State = State;
    type Arguments = Start;

    async fn pre_start(&self, me: ActorRef<Message>, start: Start) -> Result<State, ActorProcessingErr> {
        let Start { listener, door, inbox, peers } = start;
        let (gateway, _) = Actor::spawn_linked(None, Gateway, inbox, me.get_cell()).await?;
        pg::join(group(&door.me), vec![gateway.get_cell()]);

        let (name, host) = (door.me.to_string(), door.me.node.clone());
        // It insists on a listener of its own; what comes by that is hung up on.
        let server =
            NodeServer::new(0, door.credentials.cookie.clone(), name, host, None, Some(NodeConnectionMode::Isolated))
                .with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST))
                .with_max_inbound_frame_size(FRAME_BYTES);
        let (server, _) = Actor::spawn_linked(None, server, (), me.get_cell()).await?;
        let subscription = Box::new(Told(me.clone()));
        server.cast(NodeServerMessage::SubscribeToEvents { id: "switchboard".to_owned(), subscription })?;

        let tasks = [
            tokio::spawn(Arc::clone(&door).listen(listener, me.clone())),
            tokio::spawn(look(Arc::clone(&door), me.clone())),
            tokio::spawn(beat(peers.subscribe())),
        ];
        let (lines, tasks) = (HashMap::new(), tasks.map(AbortOnDropHandle::new));
        Ok(State { me, door, peers, server, lines, serial: 0, _tasks: tasks })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Look => state.look(),
            Message::Introduced(introduced) => state.introduced(introduced)?,
            Message::NotDialled { peer, error } => state.not_dialled(&peer, &error),
            Message::Ready(session) => state.ready(&session),
            Message::Disconnected(session) => state.disconnected(&session)?,
            Message::Late { serial } => state.late(serial),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Message>,
        event: SupervisionEvent,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(child, error) => {
                tracing::error!(child = %child.get_id(), %error, "a part of the links has failed");
                me.stop(None);
            }
            SupervisionEvent::ActorTerminated(..) => me.stop(None),
            _ => {}
        }
        Ok(())
    }
}

/// Tells the switchboard to look, at each change and now and then.
async fn look(door: Arc<Door>, switchboard: ActorRef<Message>) {
    let mut members = door.members.clone();
    while switchboard.cast(Message::Look).is_ok() {
        // Nobody lists any more: the node is ending.
        if let Ok(Err(_)) = timeout(LOOK, members.changed()).await {
            sleep(LOOK).await;
        }
    }
}

/// Says to every peer that this node lives.
async fn beat(peers: watch::Receiver<Arc<Peers>>) {
    let mut tick = interval(BEAT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let peers = Arc::clone(&peers.borrow());
        for peer in peers.iter() {
            peer.tell(Notice::Beat);
        }
    }
}

impl State {
    fn look(&mut self) {
        let members = Arc::clone(&self.door.members.borrow());
        for (node, record) in members.iter() {
            let line = self.lines.entry(node.to_owned()).or_default();
            let peer = Incarnation { node: node.to_owned(), boot: record.boot };
            line.forget_all_but(&peer);
            if self.door.me.node < peer.node && line.is_free() && !line.is_early() {
                let dialling = dial(Arc::clone(&self.door), peer.clone(), record.link.clone(), self.me.clone());
                line.dialling = Some((peer, AbortOnDropHandle::new(tokio::spawn(dialling))));
            }
        }
        self.lines.retain(|node, line| members.get(node).is_some() || !line.is_free());
    }

    fn not_dialled(&mut self, peer: &Incarnation, error: &DoorError) {
        let Some(line) = self.lines.get_mut(&peer.node) else { return };
        if line.dialling.take_if(|(dialled, _)| dialled == peer).is_none() {
            return;
        }
        // Once for a row of failures: they come every two seconds.
        if line.failed() {
            tracing::warn!(%peer, %error, "no link to a node, trying on");
        } else {
            tracing::debug!(%peer, %error, "no link to a node");
        }
    }

    fn introduced(&mut self, introduced: Introduced) -> Result<(), ActorProcessingErr> {
        let line = self.lines.entry(introduced.peer.node.clone()).or_default();
        line.dialling = None;
        if line.link.is_some() {
            // The other side would not ask for a second one if it still had the first.
            line.cut_link();
            line.next = Some(introduced);
            return Ok(());
        }
        self.connect(introduced)
    }

    /// Hands the connection to ractor_cluster.
    fn connect(&mut self, introduced: Introduced) -> Result<(), ActorProcessingErr> {
        let Introduced { peer, halves } = introduced;
        self.serial += 1;
        let (serial, cut) = (self.serial, CancellationToken::new());
        let stream = Box::new(Stream::new(halves, label(serial), cut.clone()));
        let is_server = peer.node < self.door.me.node;
        self.server.cast(NodeServerMessage::ConnectionOpenedExternal { stream, is_server })?;
        let late = AbortOnDropHandle::new(self.me.send_after(HANDSHAKE, move || Message::Late { serial }));
        let line = self.lines.entry(peer.node.clone()).or_default();
        line.link = Some(Link { serial, peer, cut, remote: None, _late: late });
        Ok(())
    }

    /// All that the peer has told of its actors has arrived.
    fn ready(&mut self, session: &NodeServerSessionInformation) {
        let Some(link) = serial(session).and_then(|serial| self.link(serial)) else { return };
        match find_gateway(&link.peer, session) {
            Some(remote) => {
                tracing::info!(peer = %link.peer, "link up");
                let node = link.peer.node.clone();
                link.remote = Some(remote);
                self.lines.entry(node).or_default().pause = Duration::ZERO;
                self.publish();
            }
            None => {
                tracing::warn!(peer = %link.peer, "a node without a gateway of its own, or with another's name, is cut off");
                link.cut.cancel();
            }
        }
    }

    fn disconnected(&mut self, session: &NodeServerSessionInformation) -> Result<(), ActorProcessingErr> {
        let Some(serial) = serial(session) else { return Ok(()) };
        let lost = |line: &mut Line| Some((line.link.take_if(|link| link.serial == serial)?, line.next.take()));
        let Some((link, next)) = self.lines.values_mut().find_map(lost) else { return Ok(()) };
        if link.remote.is_some() {
            tracing::info!(peer = %link.peer, "link down");
            self.publish();
        } else if self.lines.get_mut(&link.peer.node).is_some_and(Line::failed) {
            tracing::warn!(peer = %link.peer, "a connection did not become a link, trying on");
        }
        next.map_or(Ok(()), |next| self.connect(next))
    }

    fn late(&mut self, serial: u64) {
        if let Some(link) = self.link(serial)
            && link.remote.is_none()
        {
            link.cut.cancel();
        }
    }

    fn link(&mut self, serial: u64) -> Option<&mut Link> {
        self.lines.values_mut().filter_map(|line| line.link.as_mut()).find(|link| link.serial == serial)
    }

    fn publish(&self) {
        let up = self.lines.iter().filter_map(|(node, line)| {
            let remote = line.link.as_ref()?.remote.clone()?;
            Some((node.clone(), remote))
        });
        let up: BTreeMap<_, _> = up.collect();
        measures::links(up.len());
        self.peers.send_replace(Arc::new(Peers(up)));
    }
}

impl Line {
    fn is_free(&self) -> bool {
        self.dialling.is_none() && self.link.is_none() && self.next.is_none()
    }

    fn is_early(&self) -> bool {
        self.not_before.is_some_and(|moment| Instant::now() < moment)
    }

    /// Makes the next attempt wait. Says whether it is the first failure in a row.
    fn failed(&mut self) -> bool {
        let is_first = self.pause.is_zero();
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.not_before = Some(Instant::now() + self.pause);
        is_first
    }

    /// Where another life of the node is registered, this one has ended, even if a connection does not know it yet.
    fn forget_all_but(&mut self, peer: &Incarnation) {
        if self.dialling.take_if(|(dialled, _)| dialled != peer).is_some() {
            (self.pause, self.not_before) = (Duration::ZERO, None);
        }
        if self.link.as_ref().is_some_and(|link| link.peer != *peer) {
            self.cut_link();
        }
    }

    /// It is there until ractor_cluster says that its session has ended.
    fn cut_link(&self) {
        if let Some(link) = &self.link {
            link.cut.cancel();
        }
    }
}

async fn dial(door: Arc<Door>, peer: Incarnation, address: String, switchboard: ActorRef<Message>) {
    let message = match door.dial(&address, &peer).await {
        Ok(introduced) => Message::Introduced(introduced),
        Err(error) => Message::NotDialled { peer, error },
    };
    // Without a switchboard nobody waits for it.
    let _ = switchboard.cast(message);
}

/// The peer's gateway, as it came by this very session: a node may put what it likes into any group.
fn find_gateway(peer: &Incarnation, session: &NodeServerSessionInformation) -> Option<Remote> {
    let name = &session.peer_name.as_ref()?.name;
    if name.split_once('@').map_or(name.as_str(), |(name, _)| name) != peer.to_string() {
        return None;
    }
    let is_there =
        |cell: &ActorCell| matches!(cell.get_id(), ActorId::Remote { node_id, .. } if node_id == session.node_id);
    let gateway = pg::get_members(&group(peer)).into_iter().find(is_there)?;
    Some(Remote::new(peer.clone(), gateway.into()))
}
