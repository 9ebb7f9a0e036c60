//! Steward: sees to it that every event that must run does, on the node that placement gives it.
//!
//! Owns what everybody here knows of the operators' wishes, and whether this node says that it is up or draining. Looks every two
//! seconds, and earlier on a hint, at what etcd says; [`plan`] decides, and what it decides is done beside, in [`handover`].
//! While etcd does not answer, what was known stays, and nothing is begun once the lease is unsure.
//!
//! Nothing that it holds has to survive: started anew, it looks.

mod handover;
mod hints;
mod orders;
pub mod plan;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{
    handover::Hands,
    orders::Orders,
    plan::{Action, Lists, Load, Outcome, Plan, Sight, Standing},
};
use super::{
    Cluster,
    link::Peers,
    measures,
    membership::Members,
    operations::{Operator, Portrait},
    placement::Placement,
    route::Router,
};
use crate::{
    actors::{directory::LocalDirectory, operations::Rates},
    domain::id::EventId,
    stores::{
        Stores,
        database::Database,
        error::StoreError,
        journal::InventoryJournal,
        membership::{Membership, State},
        ownership::Ownership,
        wishes::{WishStore, Wishes},
    },
};

const LOOK: Duration = Duration::from_secs(2);
/// Hints come in crowds.
const SPACING: Duration = Duration::from_millis(200);

/// How far this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It serves nobody yet: others are told nothing.
    Opening,
    Open,
    Leaving,
}

pub struct Steward {
    phase: watch::Sender<Phase>,
    /// Events still to be given away by a node that leaves.
    left: watch::Receiver<Option<usize>>,
    state: watch::Receiver<State>,
    hint: Arc<Notify>,
    portrait: Arc<Portrait>,
    ended: CancellationToken,
    _work: AbortOnDropHandle<()>,
}

impl Steward {
    /// Looks, and does nothing yet. `wishes` is told what operators want.
    pub fn start(
        cluster: &Cluster,
        stores: &Stores,
        membership: Arc<Membership>,
        local: Arc<LocalDirectory>,
        routes: Arc<Router>,
        wishes: watch::Sender<Arc<Wishes>>,
    ) -> Self {
        let me = cluster.me().node.clone();
        let rates = Arc::<Mutex<Rates>>::default();
        let portrait =
            Portrait::new(cluster, Arc::clone(&membership), Arc::clone(&local), wishes.subscribe(), Arc::clone(&rates));
        let portrait = Arc::new(portrait);
        routes.introduce(Arc::clone(&portrait));
        let (members, peers) = (cluster.members(), cluster.peers());
        let (phase, phases) = watch::channel(Phase::Opening);
        let (tell_left, left) = watch::channel(None);
        let announcer = cluster.announcer();
        let state = announcer.subscribe();
        let hint = Arc::new(Notify::new());
        let hands =
            Hands { local: Arc::clone(&local), routes, ownership: Arc::clone(&stores.ownership), me: me.clone() };
        let work = Work {
            plan: Plan::new(me.as_str()),
            orders: Orders::new(Placement::new(members.clone(), wishes.subscribe())),
            wish_store: Arc::new(membership.wishes()),
            me,
            membership,
            journal: Arc::clone(&stores.journal),
            ownership: Arc::clone(&stores.ownership),
            local,
            rates,
            wishes,
            members,
            peers,
            state: announcer,
            hands: Arc::new(hands),
            hint: Arc::clone(&hint),
            phase: phases,
            left: tell_left,
            looked: Instant::now(),
            tasks: JoinSet::new(),
            events: HashMap::new(),
        };
        let ended = CancellationToken::new();
        let ends = ended.clone().drop_guard();
        let work = tokio::spawn(async move {
            let _ends = ends;
            work.run().await;
        });
        Self { phase, left, state, hint, portrait, ended, _work: AbortOnDropHandle::new(work) }
    }

    /// Returns if it has failed: nobody here sees to anything any more.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// From here on this node says that it is up, unless it is to run nothing, and runs what is its.
    pub fn open(&self) {
        self.phase.send_replace(Phase::Open);
    }

    /// What operators ask, answered here.
    pub fn operator(&self, database: Database) -> Operator {
        Operator::new(Arc::clone(&self.portrait), database, Arc::clone(&self.hint), self.state.clone())
    }

    /// Says that this node is going, and gives away all that others can take. Returns when that is done or `within` has passed.
    pub async fn leave(&self, within: Duration) {
        self.phase.send_replace(Phase::Leaving);
        let mut left = self.left.clone();
        if timeout(within, left.wait_for(|left| *left == Some(0))).await.is_err() {
            let left = *left.borrow();
            tracing::warn!(left, "not all events were given away in time: whoever misses them runs them");
        }
    }
}

struct Work {
    me: String,
    plan: Plan,
    orders: Orders,
    membership: Arc<Membership>,
    wish_store: Arc<WishStore>,
    journal: Arc<dyn InventoryJournal>,
    ownership: Arc<dyn Ownership>,
    local: Arc<LocalDirectory>,
    rates: Arc<Mutex<Rates>>,
    wishes: watch::Sender<Arc<Wishes>>,
    members: watch::Receiver<Arc<Members>>,
    peers: watch::Receiver<Arc<Peers>>,
    state: watch::Sender<State>,
    hands: Arc<Hands>,
    hint: Arc<Notify>,
    phase: watch::Receiver<Phase>,
    left: watch::Sender<Option<usize>>,
    looked: Instant,
    tasks: JoinSet<Outcome>,
    events: HashMap<task::Id, EventId>,
}

impl Work {
    async fn run(mut self) {
        let _watching = hints::follow(&self.wish_store, &self.hint);
        let mut next_look = Instant::now();
        loop {
            self.announce();
            if next_look <= Instant::now() {
                self.look().await;
                next_look = self.looked + LOOK;
                self.announce();
            }
            self.begin();
            let wake = self.plan.wake().into_iter().fold(next_look, Instant::min);
            let soon = next_look.min(self.looked + SPACING);
            tokio::select! {
                () = sleep_until(wake) => {}
                () = self.hint.notified() => next_look = soon,
                Ok(()) = self.members.changed() => next_look = soon,
                Ok(()) = self.peers.changed() => {}
                Ok(()) = self.phase.changed() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
    }

    fn standing(&self) -> Standing {
        if *self.phase.borrow() == Phase::Leaving {
            Standing::Leaving
        } else if self.wishes.borrow().drained.contains(&self.me) {
            Standing::Drained
        } else {
            Standing::Serving
        }
    }

    fn announce(&self) {
        if *self.phase.borrow() == Phase::Opening {
            return;
        }
        let state = if self.standing() == Standing::Serving { State::Up } else { State::Draining };
        self.state.send_if_modified(|said| std::mem::replace(said, state) != state);
    }

    async fn look(&mut self) {
        let began = Instant::now();
        match self.lists(began).await {
            Ok((lists, wishes)) => {
                measures::owned(lists.owners.values().filter(|owner| **owner == self.me).count());
                measures::unowned(lists.active.iter().filter(|event| !lists.owners.contains_key(event)).count());
                self.plan.listed(lists);
                self.wishes.send_if_modified(|known| {
                    let is_new = **known != wishes;
                    if is_new {
                        *known = Arc::new(wishes);
                    }
                    is_new
                });
            }
            Err(error) => tracing::warn!(%error, "events and wishes cannot be listed; what was known stays"),
        }
        self.looked = Instant::now();
        let running = self.local.running();
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).look(&running, self.looked);
    }

    /// Wishes come last: an event that is seen given up for a wish is not claimed without that being seen.
    async fn lists(&self, began: Instant) -> Result<(Lists, Wishes), StoreError> {
        let active = self.journal.active().await?;
        let owners = self.ownership.owners().await?;
        let owners = owners.into_iter().map(|(event, owner)| (event, owner.node)).collect();
        let wishes = self.wish_store.list().await?;
        Ok((Lists { began, active, owners }, wishes))
    }

    fn begin(&mut self) {
        if *self.phase.borrow() == Phase::Opening {
            return;
        }
        let running = self.loads();
        let (wishes, peers) = (Arc::clone(&self.wishes.borrow()), Arc::clone(&self.peers.borrow()));
        self.orders.refresh();
        let sight = Sight {
            standing: self.standing(),
            is_sure: self.membership.sure_for().is_some_and(|left| !left.is_zero()),
            running: &running,
            order: &|event| self.orders.of(event),
            pinned: &wishes.pinned,
            reaches: &|node| peers.get(node).is_some(),
        };
        let actions = self.plan.next(Instant::now(), &sight);
        if sight.standing == Standing::Leaving {
            self.left.send_replace(Some(self.plan.left_to_give(&sight)));
        }
        for action in actions {
            let hands = Arc::clone(&self.hands);
            let (event, task) = match action {
                Action::Claim(event) => (event, self.tasks.spawn(async move { hands.claim(event).await })),
                Action::Give { event, to } => {
                    let to = to.and_then(|to| peers.get(&to).cloned());
                    (event, self.tasks.spawn(async move { hands.give(event, to).await }))
                }
            };
            self.events.insert(task.id(), event);
        }
    }

    fn loads(&self) -> Vec<Load> {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.local.running().into_iter();
        let load = running.map(|running| Load {
            event: running.event,
            is_active: running.is_active,
            waiting: running.waiting,
            commits_per_second: rates.commits_per_second(running.event),
        });
        load.collect()
    }

    fn ended(&mut self, first: Result<(task::Id, Outcome), JoinError>) {
        let mut next = Some(first);
        while let Some(ended) = next {
            let (id, outcome) = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(%error, "an event's move broke off");
                    (error.id(), Outcome::Failed)
                }
            };
            if let Some(event) = self.events.remove(&id) {
                self.plan.ended(Instant::now(), event, outcome);
            }
            next = self.tasks.try_join_next_with_id();
        }
    }
}
