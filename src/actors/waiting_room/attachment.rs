//! Sockets tied to a room, or to a mirror of it: who is here, and how they are told news.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ractor::ActorRef;
use tokio::sync::{mpsc, watch};

use super::{
    lanes::Lanes,
    message::{Attending, Message},
};
use crate::domain::{
    id::FanId,
    queue::{News, Queue},
};

/// News that may wait for one party: all of a big one may be sent away at once.
const NEWS_OF_PARTY: usize = 131_072;

/// How one socket hears of turns, admissions and removals of its fan. Dropped when the actor ends or cuts it off: attach again
/// through the directory.
pub trait Ear: Send + 'static {
    /// Never waits.
    fn hear(&self, news: News);
}

/// A socket's tie to the room: while it lives the fan counts as present.
pub struct Attachment {
    /// Where the queue can be watched, about once a second.
    pub lanes: Arc<Lanes>,
    _tie: Tie,
}

/// Names one socket, or one party, of this activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::actors) struct Socket(u64);

/// Whom a socket that closes is told to.
pub(in crate::actors) type Goodbye = Arc<dyn Fn(FanId, Socket) + Send + Sync>;

/// Says goodbye when it is dropped, however that happens.
struct Tie {
    goodbye: Goodbye,
    fan: FanId,
    socket: Socket,
}

impl Drop for Tie {
    fn drop(&mut self) {
        (self.goodbye)(self.fan, self.socket);
    }
}

/// The tie of many fans whose sockets are elsewhere, behind one mirror: while it lives, those who were said to be here count
/// as present.
pub(in crate::actors) struct Party {
    /// Closed when the actor stops, and when too many wait.
    pub news: mpsc::Receiver<(FanId, News)>,
    pub queue: watch::Receiver<Arc<Queue>>,
    actor: ActorRef<Message>,
    name: Socket,
}

impl Party {
    /// Counts before whatever is asked of the room after this.
    pub fn attend(&self, who: Attending) {
        // A room that is gone keeps no presence.
        let _ = self.actor.cast(Message::Attend { party: self.name, who });
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.actor.cast(Message::Disband { party: self.name });
    }
}

/// The sockets that are attached now.
pub(in crate::actors) struct Sockets {
    by_fan: HashMap<FanId, Vec<Listener>>,
    parties: HashMap<Socket, Guests>,
    last: u64,
    goodbye: Goodbye,
}

struct Listener {
    socket: Socket,
    /// `None`: the party's.
    own: Option<Box<dyn Ear>>,
}

struct Guests {
    /// `None` once it did not keep up: it ends then.
    news: Option<mpsc::Sender<(FanId, News)>>,
    fans: HashSet<FanId>,
}

impl Sockets {
    pub fn new(goodbye: Goodbye) -> Self {
        Self { by_fan: HashMap::new(), parties: HashMap::new(), last: 0, goodbye }
    }

    pub fn attach(&mut self, fan: FanId, ear: Box<dyn Ear>, lanes: &Arc<Lanes>) -> Attachment {
        let socket = self.next();
        self.by_fan.entry(fan).or_default().push(Listener { socket, own: Some(ear) });
        let tie = Tie { goodbye: Arc::clone(&self.goodbye), fan, socket };
        Attachment { lanes: Arc::clone(lanes), _tie: tie }
    }

    pub fn detach(&mut self, fan: FanId, socket: Socket) {
        let Some(listeners) = self.by_fan.get_mut(&fan) else { return };
        listeners.retain(|listener| listener.socket != socket);
        if listeners.is_empty() {
            self.by_fan.remove(&fan);
        }
    }

    pub(super) fn gather(&mut self, me: &ActorRef<Message>, queue: watch::Receiver<Arc<Queue>>) -> Party {
        let name = self.next();
        let (sender, news) = mpsc::channel(NEWS_OF_PARTY);
        self.parties.insert(name, Guests { news: Some(sender), fans: HashSet::new() });
        Party { news, queue, actor: me.clone(), name }
    }

    /// Who of the party has come, and who has gone.
    pub fn attend(&mut self, party: Socket, who: Attending) -> (Vec<FanId>, Vec<FanId>) {
        let Some(guests) = self.parties.get_mut(&party) else { return (Vec::new(), Vec::new()) };
        let (mut came, mut went) = match who {
            Attending::Change { came, went } => (came, went),
            Attending::All(all) => {
                let went = guests.fans.iter().filter(|fan| !all.contains(fan)).copied().collect();
                (all.into_iter().collect(), went)
            }
        };
        came.retain(|&fan| guests.fans.insert(fan));
        went.retain(|fan| guests.fans.remove(fan));
        for &fan in &came {
            self.by_fan.entry(fan).or_default().push(Listener { socket: party, own: None });
        }
        for &fan in &went {
            self.detach(fan, party);
        }
        (came, went)
    }

    /// Who of it was still here.
    pub fn disband(&mut self, party: Socket) -> Vec<FanId> {
        let Some(guests) = self.parties.remove(&party) else { return Vec::new() };
        for &fan in &guests.fans {
            self.detach(fan, party);
        }
        guests.fans.into_iter().collect()
    }

    pub fn is_here(&self, fan: FanId) -> bool {
        self.by_fan.contains_key(&fan)
    }

    /// Everybody who has a socket.
    pub fn fans(&self) -> impl Iterator<Item = FanId> {
        self.by_fan.keys().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.by_fan.is_empty()
    }

    /// Their connections see that, and attach again.
    pub fn cut_off(&mut self) {
        self.by_fan.clear();
    }

    pub fn tell(&mut self, fan: FanId, news: News) {
        let Self { by_fan, parties, .. } = self;
        for listener in by_fan.get(&fan).into_iter().flatten() {
            if let Some(ear) = &listener.own {
                ear.hear(news);
            } else if let Some(guests) = parties.get_mut(&listener.socket) {
                // Present until the party says otherwise.
                guests.news.take_if(|sender| sender.try_send((fan, news)).is_err());
            }
        }
    }

    fn next(&mut self) -> Socket {
        self.last += 1;
        Socket(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets() -> Sockets {
        Sockets::new(Arc::new(|_, _| {}))
    }

    fn guests(sockets: &mut Sockets) -> (Socket, mpsc::Receiver<(FanId, News)>) {
        let (sender, news) = mpsc::channel(2);
        let name = sockets.next();
        sockets.parties.insert(name, Guests { news: Some(sender), fans: HashSet::new() });
        (name, news)
    }

    fn fans(numbers: &[u128]) -> Vec<FanId> {
        numbers.iter().map(|&number| FanId::from_u128(number)).collect()
    }

    #[test]
    fn a_party_comes_and_goes_fan_by_fan_or_as_a_whole() {
        let mut sockets = sockets();
        let (party, mut news) = guests(&mut sockets);
        let change = |came: &[u128], went: &[u128]| Attending::Change { came: fans(came), went: fans(went) };
        assert_eq!(sockets.attend(party, change(&[1, 2], &[])), (fans(&[1, 2]), fans(&[])));
        assert_eq!(sockets.attend(party, change(&[2, 3], &[1, 9])), (fans(&[3]), fans(&[1])), "nobody counts twice");
        sockets.tell(fans(&[2])[0], News::Removed);
        sockets.tell(fans(&[1])[0], News::Removed);
        assert_eq!(news.try_recv().ok(), Some((fans(&[2])[0], News::Removed)));
        assert!(news.try_recv().is_err(), "who has gone is told nothing");
        let (came, went) = sockets.attend(party, Attending::All(fans(&[3, 4]).into_iter().collect()));
        assert_eq!((came, went), (fans(&[4]), fans(&[2])));
        let mut left = sockets.disband(party);
        left.sort();
        assert_eq!(left, fans(&[3, 4]));
        assert!(sockets.is_empty());
    }

    #[test]
    fn a_party_that_does_not_keep_up_is_let_go_but_stays_present_until_it_ends() {
        let mut sockets = sockets();
        let (party, mut news) = guests(&mut sockets);
        sockets.attend(party, Attending::Change { came: fans(&[1]), went: Vec::new() });
        for _ in 0..3 {
            sockets.tell(fans(&[1])[0], News::AdmissionEnded);
        }
        assert!(news.try_recv().is_ok() && news.try_recv().is_ok());
        assert_eq!(news.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        assert!(sockets.is_here(fans(&[1])[0]));
        assert_eq!(sockets.disband(party), fans(&[1]));
    }
}
