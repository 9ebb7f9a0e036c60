//! Papers: what the database knows of an event and its tickets, as documents.
//!
//! Owns how many PDFs are made at once and how many may wait, and how old what is said of an event may be. Making them is work for a
//! processor: it runs beside the threads that serve requests.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::clock::wall;
use crate::{
    documents::{
        config::Config,
        fonts::Fonts,
        language::Language,
        pdf,
        programme::{Entry, Place, Programme},
    },
    domain::{
        code::{Code, SeatId},
        event::Phase,
        id::{EventId, FanId},
        inventory::configuration::TicketType,
        time::EventTime,
    },
    stores::{
        database::{
            Database,
            accounts::Account,
            events::{self, Event, TicketRules},
            tickets::Ticket,
        },
        error::StoreError,
    },
};

/// How old it may be.
const FRESH: Duration = Duration::from_secs(10);
/// Seats, of all events that are kept together.
const MOST_SEATS: u64 = 500_000;

/// Cheap to clone.
#[derive(Clone)]
pub struct Papers(Arc<Inner>);

struct Inner {
    database: Database,
    fonts: Fonts,
    billings: moka::future::Cache<EventId, Arc<Billing>>,
    workers: Arc<Semaphore>,
    /// Those at work and those who wait.
    places: Arc<Semaphore>,
}

/// What is said of an event, and what its ticket types and seats are called.
pub struct Billing {
    pub programme: Programme,
    pub organizer: FanId,
    pub rules: TicketRules,
    read_at: EventTime,
    /// At a rate, or at the price of all.
    kinds: HashMap<(Code, Option<Code>), String>,
    seats: HashMap<SeatId, (Code, Code, u16)>,
}

#[derive(Debug, thiserror::Error)]
pub enum PapersError {
    #[error("too many documents are being made")]
    Overloaded,
    #[error("there is no such event")]
    NoEvent,
    #[error(transparent)]
    Store(StoreError),
    #[error("{0}")]
    Failed(String),
}

impl Papers {
    pub fn new(database: Database, fonts: Fonts, config: &Config) -> Self {
        let workers = config.workers.max(1);
        let seats = |_: &EventId, billing: &Arc<Billing>| u32::try_from(billing.seats.len() + 1).unwrap_or(u32::MAX);
        let billings =
            moka::future::Cache::builder().max_capacity(MOST_SEATS).weigher(seats).time_to_live(FRESH).build();
        let (workers, places) = (Semaphore::new(workers), Semaphore::new(workers + config.queue));
        Self(Arc::new(Inner { database, fonts, billings, workers: Arc::new(workers), places: Arc::new(places) }))
    }

    pub async fn billing(&self, event: EventId) -> Result<Arc<Billing>, PapersError> {
        let read = async {
            let read_at = wall();
            let event = events::by_id(&self.0.database, event).await.map_err(PapersError::Store)?;
            event.map(|event| Arc::new(Billing::of(event, read_at))).ok_or(PapersError::NoEvent)
        };
        self.0.billings.try_get_with(event, read).await.map_err(|error| error.for_another())
    }

    /// The same, read no earlier than then: what tells of a change says what has changed.
    pub async fn billing_since(&self, event: EventId, since: EventTime) -> Result<Arc<Billing>, PapersError> {
        let billing = self.billing(event).await?;
        if billing.read_at >= since {
            return Ok(billing);
        }
        self.0.billings.invalidate(&event).await;
        self.billing(event).await
    }

    /// One page for each of `tickets`, which are of one order that has `of` in all.
    pub async fn pdf(
        &self,
        tickets: &[Ticket],
        of: usize,
        holder: &Account,
        language: Language,
    ) -> Result<Vec<u8>, PapersError> {
        let event = tickets.first().ok_or(PapersError::NoEvent)?.reference.event;
        let billing = self.billing(event).await?;
        let entries: Vec<_> = tickets.iter().map(|ticket| billing.entry(ticket, of, holder)).collect();
        let inner = Arc::clone(&self.0);
        self.run(move || pdf::tickets(&billing.programme, &entries, language, &inner.fonts)).await
    }

    /// Runs to its end once it has begun, whoever still waits for it.
    async fn run<T: Send + 'static, E: ToString + Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, PapersError> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| PapersError::Overloaded)?;
        let worker = Arc::clone(&self.0.workers).acquire_owned().await.map_err(|_| PapersError::Overloaded)?;
        let made = tokio::task::spawn_blocking(move || {
            let made = work();
            drop((place, worker));
            made
        });
        let made = made.await.map_err(|error| PapersError::Failed(error.to_string()))?;
        made.map_err(|error| PapersError::Failed(error.to_string()))
    }
}

impl Billing {
    fn of(event: Event, read_at: EventTime) -> Self {
        let Event { id, organizer, details, configuration, updated_at, .. } = event;
        let mut kinds = HashMap::new();
        for TicketType { code, name, rates, .. } in configuration.ticket_types {
            for rate in rates {
                kinds.insert((code.clone(), Some(rate.code)), format!("{name}, {}", rate.name));
            }
            kinds.insert((code, None), name);
        }
        let seats = configuration.seats.into_iter().map(|seat| (seat.id, (seat.zone, seat.row, seat.number))).collect();
        let programme = Programme {
            event: id,
            version: configuration.version,
            changed_at: updated_at,
            is_cancelled: configuration.phase == Phase::Cancelled,
            title: details.title,
            venue: details.venue,
            city: details.city,
            time_zone: details.time_zone,
            starts_at: details.starts_at,
            ends_at: details.ends_at,
            doors_at: details.doors_at,
            age_limit: details.age_limit,
        };
        Self { programme, organizer, rules: details.ticket_rules, read_at, kinds, seats }
    }

    /// What a ticket type is called, at this rate.
    pub(super) fn kind(&self, ticket_type: &Code, rate: Option<&Code>) -> String {
        let known = self.kinds.get(&(ticket_type.clone(), rate.cloned())).cloned();
        known.unwrap_or_else(|| match rate {
            Some(rate) => format!("{}, {rate}", self.kind(ticket_type, None)),
            None => ticket_type.to_string(),
        })
    }

    pub fn entry(&self, ticket: &Ticket, of: usize, holder: &Account) -> Entry {
        let place = |seat: &SeatId| Place { seat: seat.clone(), found: self.seats.get(seat).cloned() };
        Entry {
            ticket: ticket.id,
            order: ticket.reference,
            position: ticket.position,
            of: u32::try_from(of).unwrap_or(u32::MAX),
            kind: self.kind(&ticket.ticket_type, ticket.rate.as_ref()),
            place: ticket.seat.as_ref().map(place),
            holder: if ticket.holder.is_empty() { holder.name.clone() } else { ticket.holder.clone() },
            price: ticket.price,
            // One that changes is not for paper.
            code: if self.rules.rotating_codes { None } else { Some(ticket.code.clone()) },
        }
    }
}

impl PapersError {
    /// The same for one more caller, where one reading served several.
    pub(super) fn for_another(&self) -> Self {
        match self {
            Self::Overloaded => Self::Overloaded,
            Self::NoEvent => Self::NoEvent,
            Self::Store(error) => Self::Store(error.for_another()),
            Self::Failed(what) => Self::Failed(what.clone()),
        }
    }
}
