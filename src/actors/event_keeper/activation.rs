//! What has to be known and done before an event's actors can run: epoch, journal, configuration, queue.

use std::sync::Arc;

use crate::{
    actors::{
        clock::wall,
        foundation::Foundation,
        inventory::{
            self, AskError, Begun,
            recovery::{self, Folded},
        },
    },
    domain::{
        id::EventId,
        inventory::{
            configuration::Configuration,
            request::{Command, Request},
        },
        queue::Loss,
        time::Millis,
    },
    stores::{
        database::events,
        error::StoreError,
        journal::Epoch,
        queue::{Mark, Remains},
    },
};

pub(in crate::actors) struct Prepared {
    pub epoch: Epoch,
    pub folded: Folded,
    pub first: First,
}

/// What is to be made true before anybody else is served.
pub(in crate::actors) enum First {
    Nothing,
    /// The event's first activation: the database has what its organizer made.
    Configure(Box<Configuration>),
    /// The database's copy is behind.
    Repair(Arc<Configuration>),
}

#[derive(Debug, thiserror::Error)]
pub(in crate::actors) enum Fault {
    #[error("there is no such event")]
    UnknownEvent,
    #[error("another node owns the event")]
    Elsewhere,
    #[error("{0}")]
    Failed(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<AskError> for Fault {
    fn from(error: AskError) -> Self {
        Self::Failed(format!("the inventory does not begin: {error}"))
    }
}

/// Takes a new epoch, and only then reads the journal.
pub(super) async fn prepare(on: &Foundation, event: EventId) -> Result<Box<Prepared>, Fault> {
    let _permit = on.recoveries.acquire().await.map_err(|error| Fault::Failed(error.to_string()))?;
    let copy = copy(on, event).await?;
    let epoch = match on.ownership.claim(event).await {
        Err(StoreError::Conflict(_)) => return Err(Fault::Elsewhere),
        claimed => claimed?,
    };
    let folded = recovery::recover(&*on.journal, event).await.map_err(|error| Fault::Failed(error.to_string()))?;
    let first = first(folded.inventory.configuration(), copy)?;
    Ok(Box::new(Prepared { epoch, folded, first }))
}

/// The database's copy. Without a database, an event that has run before runs on; `None` stands for that.
async fn copy(on: &Foundation, event: EventId) -> Result<Option<Configuration>, Fault> {
    match events::by_id(&on.database, event).await {
        Ok(Some(row)) => Ok(Some(row.configuration)),
        Ok(None) => Err(Fault::UnknownEvent),
        Err(error) if on.ownership.owner(event).await?.is_none() => Err(error.into()),
        Err(error) => {
            tracing::warn!(%event, %error, "the database does not answer; the event runs from its journal");
            Ok(None)
        }
    }
}

/// The journal decides and the copy follows, so the copy is never ahead, unless the journal is not the one that it followed.
fn first(journal: Option<&Arc<Configuration>>, copy: Option<Configuration>) -> Result<First, Fault> {
    let failed = |why: &str| Err(Fault::Failed(why.to_owned()));
    match (journal, copy) {
        (None, None) => failed("the journal is empty and the database does not answer"),
        (None, Some(copy)) if copy.version == 1 => Ok(First::Configure(Box::new(copy))),
        (Some(journal), Some(copy)) if copy.version < journal.version => Ok(First::Repair(Arc::clone(journal))),
        (Some(journal), Some(copy)) if copy.version == journal.version => Ok(First::Nothing),
        (Some(_), None) => Ok(First::Nothing),
        // Selling from an older journal would sell the same stock again.
        (_, Some(_)) => {
            failed("the database knows a later version of the event than the journal: the journal was lost")
        }
    }
}

/// With the inventory running: configures it or repairs the copy, and opens the queue.
pub(super) async fn open(
    on: &Foundation,
    event: EventId,
    inventory: &inventory::Handle,
    first: First,
) -> Result<Begun, Fault> {
    match first {
        First::Nothing => {}
        First::Configure(configuration) => {
            let command = Command::Configure(configuration);
            inventory.ask(Request { identity: None, command }).await?;
        }
        First::Repair(configuration) => {
            if let Err(error) = events::sync_configuration(&on.database, event, &configuration, wall()).await {
                tracing::warn!(%event, %error, "the database's copy of the configuration stays behind");
            }
        }
    }
    let term = inventory.begin(Vec::new()).await?.term;
    let places = on.queue.open(event, term).await?;
    let remains = on.queue.remains(event, term).await?;
    let is_lost = !remains.is_whole && term > 1;
    if !remains.is_whole {
        // Whole again it is when fans have had their time to come back.
        let mark = if is_lost { Mark::Lost { before: term } } else { Mark::Filling };
        on.queue.mark(event, term, mark).await?;
    }
    if !remains.is_whole && !is_lost {
        // There is nothing to write yet.
        on.queue.mark(event, term, Mark::Whole).await?;
    }
    if is_lost {
        tracing::warn!(%event, term, found = places.len(), "the queue's store is not the one that the event's places were in: the queue is rebuilt from tickets");
    }
    let mut begun = inventory.begin(places).await?;
    begun.loss = loss(remains, term, is_lost.then_some(Millis(on.config.queue_rebuild_ms)), &begun);
    Ok(begun)
}

/// `grace`: for what was lost just now.
fn loss(remains: Remains, term: u32, grace: Option<Millis>, begun: &Begun) -> Option<Loss> {
    let before_term = if grace.is_some() { term } else { remains.lost_before };
    (before_term > 0).then(|| Loss {
        before_term,
        grace: grace.unwrap_or_default(),
        spent: remains.spent.into_iter().collect(),
        admitted: begun.admitted.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u32) -> Configuration {
        Configuration { version, ..inventory::unconfigured() }
    }

    #[test]
    fn the_journal_decides_and_a_copy_ahead_of_it_is_refused() {
        let found = |journal: Option<u32>, copy: Option<u32>| {
            let journal = journal.map(|number| Arc::new(version(number)));
            match first(journal.as_ref(), copy.map(version)) {
                Ok(First::Nothing) => "nothing",
                Ok(First::Configure(_)) => "configure",
                Ok(First::Repair(_)) => "repair",
                Err(_) => "refused",
            }
        };
        for (journal, copy, expected) in [
            (None, Some(1), "configure"),
            (None, Some(2), "refused"),
            (None, None, "refused"),
            (Some(1), Some(1), "nothing"),
            (Some(2), Some(1), "repair"),
            (Some(1), Some(2), "refused"),
            (Some(1), None, "nothing"),
        ] {
            assert_eq!(found(journal, copy), expected, "journal {journal:?}, copy {copy:?}");
        }
    }
}
