//! A change of an event: decided by its inventory, then copied to the row that people read.

use crate::{
    domain::{
        event::Phase,
        inventory::{
            configuration::Configuration,
            request::{Answer, Command, Refusal, Request},
        },
        message::Kind,
    },
    http::{
        app::App,
        now,
        problem::{Code, Problem},
    },
    stores::{
        database::{
            audit::{self, Act},
            events::{self, Details, Event},
            mailings::{self, Asked, Texts},
        },
        error::StoreError,
    },
};

/// What an event will be.
pub type Change = (Details, Configuration);

/// How often a change that names no version is tried again when another one was first.
const TRIES: u32 = 5;

/// Changes the event as it was at version `seen`. `change` gets what it is now and gives what it will be, one version on.
pub async fn configure(
    app: &App,
    event: Event,
    seen: u32,
    act: Act,
    change: impl FnOnce(Details, Configuration) -> Result<Change, Problem>,
) -> Result<Event, Problem> {
    let handles = app.directory.event(event.id).await?;
    let current = handles.inventory.configuration();
    if event.configuration.version < current.version {
        // Another change is under way, or died before its copy was written.
        events::sync_configuration(&app.database, event.id, &current, now()).await?;
        return Err(stale(current.version));
    }
    if seen != current.version {
        return Err(stale(current.version));
    }
    let (details, configuration) = change(event.details.clone(), Configuration::clone(&current))?;
    decide(app, event.clone(), configuration.clone()).await?;
    copy(app, event, details, configuration, act).await
}

/// Changes the configuration as it is now, whatever its version.
pub async fn reconfigure(
    app: &App,
    event: Event,
    act: Act,
    change: impl Fn(&mut Configuration) -> Result<(), Problem>,
) -> Result<Event, Problem> {
    let mut tries = 0;
    loop {
        tries += 1;
        let handles = app.directory.event(event.id).await?;
        let mut configuration = Configuration::clone(&handles.inventory.configuration());
        change(&mut configuration)?;
        configuration.version += 1;
        match decide(app, event.clone(), configuration.clone()).await {
            Ok(()) => {
                let details = event.details.clone();
                return copy(app, event, details, configuration, act).await;
            }
            Err(problem) if problem.code() == Code::StaleVersion && tries < TRIES => {}
            Err(problem) => return Err(problem),
        }
    }
}

async fn decide(app: &App, event: Event, configuration: Configuration) -> Result<(), Problem> {
    let handles = app.directory.event(event.id).await?;
    let command = Command::Configure(Box::new(configuration));
    match handles.inventory.ask(Request { identity: None, command }).await? {
        Answer::Configured { .. } => Ok(()),
        other => {
            tracing::error!(?other, "not an answer to Configure");
            Err(Code::Internal.into())
        }
    }
}

/// Writes the copy and the audit row. The change is in force already: a failure here is repaired by the next change or
/// activation, and the client is told to look.
async fn copy(
    app: &App,
    event: Event,
    details: Details,
    configuration: Configuration,
    act: Act,
) -> Result<Event, Problem> {
    let now = now();
    let mut write = app.database.begin().await?;
    let seen = event.configuration.version;
    match events::update(&mut write, event.id, seen, &details, &configuration, now).await {
        // A later change is there already, and carries this configuration; but not these details.
        Err(StoreError::Conflict(_)) => {
            drop(write);
            let row = events::by_id(&app.database, event.id).await?.ok_or(Code::NotFound)?;
            return if details == event.details { Ok(row) } else { Err(stale(row.configuration.version)) };
        }
        other => other?,
    }
    audit::append(&mut write, &act).await?;
    if let Some(kind) = is_news(&event, &details, &configuration) {
        let by = act.account.unwrap_or(event.organizer);
        let asked = Asked { event: event.id, kind, texts: &Texts::new(), reason: "", by };
        mailings::ask(&mut write, &asked, now).await?;
    }
    write.commit().await?;
    Ok(Event { details, configuration, updated_at: now, ..event })
}

/// What those who have tickets are told of, if of anything.
fn is_news(before: &Event, details: &Details, configuration: &Configuration) -> Option<Kind> {
    let (was, is) = (before.configuration.phase, configuration.phase);
    let place = |details: &Details| {
        let Details { venue, city, time_zone, starts_at, doors_at, .. } = details;
        (venue.clone(), city.clone(), time_zone.clone(), *starts_at, *doors_at)
    };
    match is {
        Phase::Cancelled if was != Phase::Cancelled => Some(Kind::EventCancelled),
        Phase::Draft | Phase::Cancelled => None,
        _ => (place(&before.details) != place(details)).then_some(Kind::EventChanged),
    }
}

fn stale(version: u32) -> Problem {
    Refusal::StaleVersion { version }.into()
}
