//! What the handles of an event hold that runs elsewhere: what is shown of it, and the way to it.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ractor::ActorRef;
use tokio::sync::{oneshot, watch};

use super::message::Message;
use crate::{
    actors::{
        clock::Clock,
        courier::{Courier, NotCarried},
        errand::{Errand, Report},
        inventory::AskError,
        orders::{PaymentFact, SettleError},
        waiting_room::{Attachment, Ear, WaitError},
    },
    domain::{
        code::SeatId,
        draw::Proof,
        id::{EventId, FanId, OrderId},
        inventory::{
            SeatState, View,
            configuration::Configuration,
            request::{Answer, HoldView, Request},
        },
        queue::{Outcome, Place, Queue, Standing},
        stock::{Mark, Update},
    },
};

/// How long a caller waits for the mirror to show what an answer has told.
const SHOWN: Duration = Duration::from_secs(1);
/// How often the seats are read from the beginning, when their plan changes meanwhile.
const READS: u32 = 3;

/// Of one activation.
pub(in crate::actors) struct Reflection {
    pub(super) event: EventId,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) deadline: Duration,
    pub(super) mirror: ActorRef<Message>,
    pub(super) view: watch::Receiver<Arc<View>>,
    pub(super) configuration: watch::Receiver<Arc<Configuration>>,
    pub(super) queue: watch::Receiver<Arc<Queue>>,
    pub(super) clock: ArcSwap<Clock>,
}

impl Reflection {
    pub fn view(&self) -> &watch::Receiver<Arc<View>> {
        &self.view
    }

    pub fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.configuration.borrow())
    }

    pub fn queue(&self) -> watch::Receiver<Arc<Queue>> {
        self.queue.clone()
    }

    pub fn clock(&self) -> Clock {
        **self.clock.load()
    }

    pub async fn ask(&self, request: Request) -> Result<Answer, AskError> {
        let answer = match self.carry(Errand::Ask(request)).await {
            Ok(Report::Asked(answer)) => answer?,
            Ok(other) => return Err(strange(&other, AskError::Unknown)),
            Err(NotCarried::NotSent) => return Err(AskError::Unavailable),
            Err(NotCarried::Overloaded) => return Err(AskError::Overloaded),
            Err(NotCarried::Unknown) => return Err(AskError::Unknown),
        };
        // Whoever has changed the configuration looks at it next.
        if let Answer::Configured { version } = answer {
            self.configured(version).await;
        }
        Ok(answer)
    }

    pub async fn order(&self, order: OrderId) -> Result<Option<HoldView>, AskError> {
        match self.read(Errand::Order(order)).await? {
            Report::Order(order) => order,
            other => Err(strange(&other, AskError::Unavailable)),
        }
    }

    pub async fn seats(&self) -> Result<Vec<(SeatId, SeatState)>, AskError> {
        for _ in 0..READS {
            let Some((version, states)) = self.states().await? else { continue };
            self.configured(version).await;
            let configuration = self.configuration();
            if configuration.version == version && configuration.seats.len() == states.len() {
                let seats = configuration.seats.iter().map(|seat| seat.id.clone());
                return Ok(seats.zip(states).collect());
            }
        }
        Err(AskError::Unavailable)
    }

    /// Page by page; `None` if the plan has changed between two of them.
    async fn states(&self) -> Result<Option<(u32, Vec<SeatState>)>, AskError> {
        let mut states = Vec::new();
        let mut version = None;
        loop {
            let from = u32::try_from(states.len()).unwrap_or(u32::MAX);
            let page = match self.read(Errand::Seats { from }).await? {
                Report::Seats(page) => page?,
                other => return Err(strange(&other, AskError::Unavailable)),
            };
            if *version.get_or_insert(page.version) != page.version {
                return Ok(None);
            }
            let is_last = page.states.is_empty();
            states.extend(page.states);
            if is_last || states.len() >= page.total as usize {
                return Ok(Some((page.version, states)));
            }
        }
    }

    pub async fn stock(&self, since: Option<Mark>) -> Result<Update, AskError> {
        match self.read(Errand::Stock { since }).await? {
            Report::Stock(update) => update,
            other => Err(strange(&other, AskError::Unavailable)),
        }
    }

    pub async fn wait(&self, errand: Errand) -> Result<Outcome, WaitError> {
        match self.carry(errand).await.map_err(waiting)? {
            Report::Waiting(outcome) => outcome,
            other => Err(strange(&other, WaitError::TryAgain)),
        }
    }

    pub async fn standing(&self, fan: FanId, poll: bool) -> Result<Standing, WaitError> {
        match self.carry(Errand::Standing { fan, poll }).await.map_err(waiting)? {
            Report::Standing(standing) => standing,
            other => Err(strange(&other, WaitError::TryAgain)),
        }
    }

    pub async fn members(&self, after: Option<Place>, limit: usize) -> Result<Vec<(Place, FanId)>, WaitError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        match self.carry(Errand::Members { after, limit }).await.map_err(waiting)? {
            Report::Members(members) => members,
            other => Err(strange(&other, WaitError::TryAgain)),
        }
    }

    pub async fn proof(&self, fan: FanId) -> Result<Option<Proof>, WaitError> {
        match self.carry(Errand::Proof(fan)).await.map_err(waiting)? {
            Report::Proof(proof) => proof,
            other => Err(strange(&other, WaitError::TryAgain)),
        }
    }

    /// Page by page. They are closed once and never change after that.
    pub async fn entrants(&self) -> Result<Arc<Vec<FanId>>, AskError> {
        let mut fans = Vec::new();
        loop {
            let from = u32::try_from(fans.len()).unwrap_or(u32::MAX);
            let page = match self.read(Errand::Entrants { from }).await? {
                Report::Entrants(page) => page?,
                other => return Err(strange(&other, AskError::Unavailable)),
            };
            let is_last = page.fans.is_empty() || fans.len() + page.fans.len() >= page.total as usize;
            fans.extend(page.fans);
            if is_last {
                return Ok(Arc::new(fans));
            }
        }
    }

    pub async fn admit_now(&self, count: u32) -> Result<(), WaitError> {
        match self.carry(Errand::AdmitNow { count }).await.map_err(waiting)? {
            Report::AdmitNow(done) => done,
            other => Err(strange(&other, WaitError::TryAgain)),
        }
    }

    pub async fn remove(&self, errand: Errand) -> Result<u32, WaitError> {
        match self.carry(errand).await.map_err(waiting)? {
            Report::Removed(count) => count,
            other => Err(strange(&other, WaitError::TryAgain)),
        }
    }

    pub async fn settle(&self, fact: PaymentFact, deadline: Duration) -> Result<(), SettleError> {
        match self.courier.carry(self.event, Errand::Settle(fact), deadline).await {
            Ok(Report::Settled(settled)) => settled,
            Ok(other) => Err(strange(&other, SettleError::Later("not an answer".into()))),
            Err(error) => Err(SettleError::Later(error.to_string())),
        }
    }

    pub async fn attach(&self, fan: FanId, ear: Box<dyn Ear>) -> Result<Attachment, WaitError> {
        let (reply, attached) = oneshot::channel();
        self.mirror.cast(Message::Attach { fan, ear, reply }).map_err(|_| WaitError::Unavailable)?;
        match tokio::time::timeout(self.deadline, attached).await {
            Ok(Ok(attachment)) => Ok(attachment),
            Ok(Err(_lost)) => Err(WaitError::Unavailable),
            Err(_late) => Err(WaitError::TryAgain),
        }
    }

    async fn carry(&self, errand: Errand) -> Result<Report, NotCarried> {
        self.courier.carry(self.event, errand, self.deadline).await
    }

    /// A read changes nothing, so whatever goes wrong, nothing was done.
    async fn read(&self, errand: Errand) -> Result<Report, AskError> {
        self.carry(errand).await.map_err(|error| match error {
            NotCarried::NotSent => AskError::Unavailable,
            NotCarried::Overloaded => AskError::Overloaded,
            NotCarried::Unknown => AskError::TooLate,
        })
    }

    /// Waits until a configuration of this version, or a later one, is shown; not for ever.
    async fn configured(&self, version: u32) {
        let mut configuration = self.configuration.clone();
        let shown = configuration.wait_for(|configuration| configuration.version >= version);
        let _ = tokio::time::timeout(SHOWN, shown).await;
    }
}

fn waiting(error: NotCarried) -> WaitError {
    match error {
        NotCarried::NotSent => WaitError::Unavailable,
        NotCarried::Overloaded => WaitError::Overloaded,
        NotCarried::Unknown => WaitError::TryAgain,
    }
}

/// A report of another errand: the other node is not of our kind.
fn strange<E>(report: &Report, error: E) -> E {
    tracing::error!(?report, "not the report of this errand");
    error
}
