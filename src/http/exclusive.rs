//! Where an organizer wants it: nobody waits in two of the organizer's queues at once.
//!
//! A note says to which queue a fan came last ([`Waits`](crate::stores::waits::Waits)); whether the fan is still there, that queue is
//! asked. The note is made before the place, and one that has just been made counts although there is no place yet: so of two joins
//! at the same time, on whichever nodes, one is refused.

use moka::sync::Cache;

use super::{
    app::App,
    now,
    problem::{Code, Problem},
};
use crate::{
    actors::directory::{DirectoryError, EventHandles},
    domain::{
        event::Status,
        id::{EventId, FanId},
        queue::Standing,
        time::{EventTime, Millis},
    },
    stores::{database::events, waits::Wait},
};

/// Longer than a join can be under way, with all that clocks may differ by.
const UNDER_WAY: Millis = Millis::seconds(15);
/// Two who take turns at one note end somewhere.
const TRIES: u32 = 3;
const MOST: u64 = 100_000;

/// Whose events are: that never changes.
pub struct Organizers(Cache<EventId, FanId>);

impl Default for Organizers {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Organizers {
    async fn of(&self, app: &App, event: EventId) -> Result<FanId, Problem> {
        if let Some(organizer) = self.0.get(&event) {
            return Ok(organizer);
        }
        let organizer = events::by_id(&app.database, event).await?.ok_or(Code::NotFound)?.organizer;
        self.0.insert(event, organizer);
        Ok(organizer)
    }
}

/// In an exclusive queue: takes the place, unless the fan waits elsewhere. Whoever has a place passes.
pub async fn pass(app: &App, handles: &EventHandles, event: EventId, fan: FanId) -> Result<(), Problem> {
    if !handles.inventory.configuration().queue.exclusive
        || handles.waiting_room.standing(fan).await? != Standing::NotHere
    {
        return Ok(());
    }
    // Devices are had for nothing: one for each queue.
    if fan.is_device() {
        return Err(Code::AccountNeeded.into());
    }
    let organizer = app.organizers.of(app, event).await?;
    let coming = Wait { event, coming: now() };
    come(app, organizer, fan, coming).await?;
    // What comes of it the caller finds out, who joins again. Nobody knows of a join that was not answered: its note ages.
    if handles.waiting_room.join(fan).await.is_ok() {
        let _ = app.waits.note(organizer, fan, Wait { event, coming: EventTime(0) }, None).await?;
    }
    Ok(())
}

async fn come(app: &App, organizer: FanId, fan: FanId, coming: Wait) -> Result<(), Problem> {
    let mut instead_of = None;
    for _ in 0..TRIES {
        let noted = app.waits.note(organizer, fan, coming, instead_of).await?;
        if noted.event == coming.event {
            return Ok(());
        }
        if waits(app, noted, fan, coming.coming).await? {
            return Err(Problem::new(Code::WaitsElsewhere).with("event", noted.event.to_string()));
        }
        instead_of = Some(noted);
    }
    Err(Code::Overloaded.into())
}

/// Whether the note is true, or may just become so.
async fn waits(app: &App, noted: Wait, fan: FanId, now: EventTime) -> Result<bool, Problem> {
    let handles = match app.directory.event(noted.event).await {
        // A draft, deleted since.
        Err(DirectoryError::UnknownEvent) => return Ok(false),
        found => found?,
    };
    let is_over = matches!(handles.inventory.view().status, Status::Ended | Status::Cancelled);
    if is_over || !handles.inventory.configuration().queue.exclusive {
        return Ok(false);
    }
    if noted.coming + UNDER_WAY > now {
        return Ok(true);
    }
    Ok(handles.waiting_room.standing(fan).await? != Standing::NotHere)
}
