//! The waiting list of an event, as its organizer and operators see and set it.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{
    acting::Acting,
    admin_queue::STEERERS,
    app::App,
    events::{reconfigure, shortest, steered},
    extract::{Json, Path},
    problem::Problem,
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
    waitlist::ModeTold,
};
use crate::{
    domain::{
        id::EventId,
        inventory::configuration::{MAX_WAITING, WaitlistSettings},
        time::{EventTime, Millis},
    },
    stores::database::returns,
};

const WEEK_S: u32 = 7 * 24 * 3600;
const DAY_S: u32 = 24 * 3600;

/// Settings, and what has come of them since the event began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitlistReport {
    pub mode: ModeTold,
    pub max_entries: u32,
    pub offer_seconds: u64,
    pub offer_on_the_day_seconds: u64,
    pub gather_seconds: u64,
    pub returns_until: Option<Timestamp>,
    pub waiting: u32,
    pub tickets_wanted: u32,
    /// Offers made; each is taken or has lapsed, or is open.
    pub offered: u64,
    pub taken: u64,
    pub lapsed: u64,
    /// Tickets that are offered back now, and those that somebody took.
    pub returning: u64,
    pub returned: u64,
    pub as_of: Timestamp,
}

/// A field left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitlistChange {
    #[serde(default)]
    pub mode: Option<ModeTold>,
    /// Who may wait at once.
    #[serde(default)]
    #[schema(maximum = 100_000, default = 10_000)]
    pub max_entries: Option<u32>,
    /// How long an offer lasts: a minute to a week.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 604_800, default = 14_400)]
    pub offer_seconds: Option<u32>,
    /// The same within a day of the sale's opening, or before the event: a minute to a day.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 86_400, default = 900)]
    pub offer_on_the_day_seconds: Option<u32>,
    /// How long what is not enough for the first is kept, for more may become free.
    #[serde(default)]
    #[schema(maximum = 86_400, default = 600)]
    pub gather_seconds: Option<u32>,
    /// Until when holders may give tickets back; `null`: not at all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Timestamp>)]
    pub returns_until: Option<Option<Timestamp>>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Tells `null` from a field left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl WaitlistChange {
    fn check(&self, shortest_s: u32) -> Result<(), Problem> {
        let mut wrong = Wrong::default();
        for (field, value, range) in [
            ("max_entries", self.max_entries, 0..=MAX_WAITING),
            ("offer_seconds", self.offer_seconds, shortest_s..=WEEK_S),
            ("offer_on_the_day_seconds", self.offer_on_the_day_seconds, shortest_s..=DAY_S),
            ("gather_seconds", self.gather_seconds, 0..=DAY_S),
        ] {
            if let Some(value) = value {
                wrong.number(field, value, range);
            }
        }
        wrong.add_reason(&self.reason);
        Ok(wrong.or(())?)
    }

    fn applied(&self, before: WaitlistSettings, starts_at: EventTime) -> WaitlistSettings {
        let span = |seconds: Option<u32>, before| seconds.map_or(before, |s| Millis::seconds(s.into()));
        WaitlistSettings {
            mode: self.mode.map_or(before.mode, ModeTold::into),
            max_entries: self.max_entries.unwrap_or(before.max_entries),
            offer: span(self.offer_seconds, before.offer),
            offer_on_the_day: span(self.offer_on_the_day_seconds, before.offer_on_the_day),
            gather: span(self.gather_seconds, before.gather),
            starts_at: Some(starts_at),
            returns_until: self.returns_until.map_or(before.returns_until, |until| until.map(|until| until.0)),
        }
    }
}

#[utoipa::path(get, path = "/events/{event}/waitlist", tag = "admin", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = WaitlistReport),
    NotAllowed,
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
) -> Result<Json<WaitlistReport>, Problem> {
    steered(&app, &acting, id, &STEERERS).await?;
    told(&app, id).await
}

/// Switches the list on, closes it, switches it off; sets how long offers last, and whether tickets may be given back.
#[utoipa::path(put, path = "/events/{event}/waitlist", tag = "admin", params(("event" = String, Path)),
    request_body = WaitlistChange, security(("bearer" = [])), responses(
    (status = 200, body = WaitlistReport),
    NotAllowed,
    (status = 422, description = "invalid_body"),
    (status = 503, description = "event_unavailable or outcome_unknown"),
))]
pub async fn set(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<WaitlistChange>,
) -> Result<Json<WaitlistReport>, Problem> {
    body.check(shortest(&app).offer_seconds())?;
    let (event, role) = steered(&app, &acting, id, &STEERERS).await?;
    let act = acting.act(role, "waitlist.set", id, &body.reason);
    let starts_at = event.details.starts_at;
    reconfigure(&app, event, act, |configuration| {
        configuration.waitlist = body.applied(configuration.waitlist, starts_at);
        Ok(())
    })
    .await?;
    told(&app, id).await
}

async fn told(app: &App, id: EventId) -> Result<Json<WaitlistReport>, Problem> {
    let handles = app.directory.event(id).await?;
    let (view, settings) = (handles.inventory.view(), handles.inventory.configuration().waitlist);
    let (returning, returned) = returns::counts(&app.database, id).await?;
    let seconds = |span: Millis| span.0 / 1_000;
    Ok(Json(WaitlistReport {
        mode: settings.mode.into(),
        max_entries: settings.max_entries,
        offer_seconds: seconds(settings.offer),
        offer_on_the_day_seconds: seconds(settings.offer_on_the_day),
        gather_seconds: seconds(settings.gather),
        returns_until: settings.returns_until.map(Timestamp),
        waiting: view.waitlist.waiting,
        tickets_wanted: view.waitlist.tickets_wanted,
        offered: view.waitlist.offered,
        taken: view.waitlist.taken,
        lapsed: view.waitlist.lapsed,
        returning,
        returned,
        as_of: view.at.into(),
    }))
}
