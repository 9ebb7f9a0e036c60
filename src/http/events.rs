//! Events: made, listed, changed and steered by their organizer.
//!
//! Owns the order of a change: the event's inventory decides first, then the readable row follows. What an event may
//! become is decided in `domain`.

pub mod answer;
pub mod body;
mod change;
pub mod step;

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

pub use self::change::{configure, reconfigure};
use self::{
    answer::{EventAnswer, ListedEvent},
    body::{EventChange, NewEvent, Shortest},
};
use super::{
    acting::Acting,
    app::App,
    copies::Of,
    extract::{Json, Path, Query, SignedIn},
    now,
    page::{self, Page},
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::Timestamp,
};
use crate::{
    domain::{
        account::Role,
        event::{Phase, Status},
        id::EventId,
    },
    stores::{
        database::{
            audit,
            events::{self, Event, Filter, Sort},
        },
        error::StoreError,
    },
};

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Words that must all occur in title, venue, city or category.
    q: Option<String>,
    category: Option<String>,
    city: Option<String>,
    /// Starts here or later.
    from: Option<Timestamp>,
    /// Starts before.
    to: Option<Timestamp>,
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    sort: Option<SortBy>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// Soonest first.
    Start,
    /// Newest first.
    Created,
}

/// Lists events; drafts only to their organizer.
#[utoipa::path(get, path = "/events", tag = "events", params(ListQuery), responses(
    (status = 200, body = Page<ListedEvent>),
    (status = 400, description = "invalid_query"),
))]
pub async fn list(
    State(app): State<Arc<App>>,
    signed_in: Option<SignedIn>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ListedEvent>>, Problem> {
    let now = now();
    let filter = Filter {
        q: page::search("q", query.q)?,
        category: page::search("category", query.category)?,
        city: page::search("city", query.city)?,
        from: query.from.map(|t| t.0),
        to: query.to.map(|t| t.0),
        status: query.status,
        organizer: None,
        viewer: signed_in.map(|signed_in| signed_in.account),
        sort: match query.sort {
            Some(SortBy::Created) => Sort::Created,
            Some(SortBy::Start) | None => Sort::Start,
        },
        now,
    };
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let page = events::list(&app.database, &filter, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, |event| ListedEvent::of(event, now))))
}

/// Makes a draft. Its seat plan follows by its own route, then it is published.
#[utoipa::path(post, path = "/events", tag = "events", request_body = NewEvent, security(("bearer" = [])), responses(
    (status = 201, body = EventAnswer),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden: the account is not an organizer"),
    (status = 422, description = "invalid_body, with `errors` naming each field"),
))]
pub async fn create(
    State(app): State<Arc<App>>,
    acting: Acting,
    Json(body): Json<NewEvent>,
) -> Result<Response, Problem> {
    let role = acting.as_one_of(&[Role::Organizer])?;
    body.validate(shortest(&app))?;
    let configuration = body.configuration();
    // What the first activation would refuse must not get into the database.
    configuration.validate().map_err(|invalid| Problem::new(Code::InvalidEvent).detail(invalid.to_string()))?;
    let now = now();
    let event = Event {
        id: EventId::from_uuid(Uuid::now_v7()),
        organizer: acting.signed_in.account,
        details: body.details(),
        configuration,
        created_at: now,
        updated_at: now,
    };
    let mut write = app.database.begin().await?;
    events::insert(&mut write, &event).await?;
    audit::append(&mut write, &acting.act(role, "event.create", event.id, "")).await?;
    write.commit().await?;
    let location = format!("/api/v1/events/{}", event.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(EventAnswer::of(event, Status::Draft)))
        .into_response())
}

/// The shortest times that this installation takes.
pub fn shortest(app: &App) -> Shortest {
    if app.config.insecure_demo { Shortest::DEMO } else { Shortest::NORMAL }
}

/// Reads an event, at most a second old; a draft only by its organizer. An organizer reads it as it is.
#[utoipa::path(get, path = "/events/{event}", tag = "events",
    params(("event" = String, Path), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, body = EventAnswer, headers(("ETag" = String), ("Cache-Control" = String))),
    (status = 304, description = "nothing has changed"),
    (status = 404, description = "not_found"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: Option<SignedIn>,
    Path(id): Path<EventId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(viewer) = signed_in.filter(|viewer| viewer.is(Role::Organizer)) {
        let event = events::by_id(&app.database, id).await?.ok_or(Code::NotFound)?;
        let sees_draft = viewer.account == event.organizer || viewer.is(Role::Admin);
        if event.configuration.phase == Phase::Draft && !sees_draft {
            return Err(Code::NotFound.into());
        }
        return Ok(Json(told(&app, event).await).into_response());
    }
    let look = async {
        let event = events::by_id(&app.database, id).await?;
        let event = event.filter(|event| event.configuration.phase != Phase::Draft).ok_or(Code::NotFound)?;
        let status = status_now(&app, &event).await;
        Ok(move || EventAnswer::of(event, status))
    };
    let answer = app.copies.answer(Of::Event(id), &headers, look).await?;
    Ok(([(header::VARY, "authorization")], answer).into_response())
}

/// The event with what is true of it now.
pub async fn told(app: &App, event: Event) -> EventAnswer {
    let status = status_now(app, &event).await;
    EventAnswer::of(event, status)
}

async fn status_now(app: &App, event: &Event) -> Status {
    let configuration = &event.configuration;
    let status = Status::of(configuration.phase, now(), configuration.on_sale_at, configuration.sale_ends_at, 1);
    // Only the inventory knows whether anything is left, and only an event on sale can be sold out.
    if status == Status::OnSale
        && let Ok(handles) = app.directory.event(event.id).await
    {
        return handles.inventory.view().status;
    }
    status
}

/// The event, and as which role this account may steer it. A draft of others is not there.
pub async fn steered(app: &App, acting: &Acting, id: EventId, others: &[Role]) -> Result<(Event, Role), Problem> {
    let event = events::by_id(&app.database, id).await?.ok_or(Code::NotFound)?;
    let own = event.organizer == acting.signed_in.account;
    let role = if own { acting.as_one_of(&[Role::Organizer]) } else { acting.as_one_of(others) };
    match role {
        Ok(role) => Ok((event, role)),
        Err(_) if event.configuration.phase == Phase::Draft && !own => Err(Code::NotFound.into()),
        Err(problem) => Err(problem),
    }
}

/// Changes an event. Raises its version; an older one is refused.
#[utoipa::path(patch, path = "/events/{event}", tag = "events", params(("event" = String, Path)),
    request_body = EventChange, security(("bearer" = [])), responses(
    (status = 200, body = EventAnswer),
    (status = 403, description = "forbidden; step_up_needed: what was published gets another price"),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 409, description = "stale_version, below_taken or invalid_transition"),
    (status = 422, description = "invalid_body, with `errors` naming each field, or invalid_event"),
    (status = 503, description = "event_unavailable or outcome_unknown"),
))]
pub async fn update(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<EventChange>,
) -> Result<Json<EventAnswer>, Problem> {
    let (event, role) = steered(&app, &acting, id, &[]).await?;
    let shortest = shortest(&app);
    let act = acting.act(role, "event.change", id, "");
    let event = configure(&app, event, body.version, act, |details, configuration| {
        let (is_draft, before) = (configuration.phase == Phase::Draft, configuration.prices());
        let charges = configuration.charges.clone();
        let (details, configuration) = body.applied(details, configuration, shortest)?;
        // Also by a rate that is new: anybody can take it.
        let is_new = |price: &(_, _)| !before.contains(price) && before.iter().any(|was| was.0.0 == price.0.0);
        let is_repriced = configuration.charges != charges || configuration.prices().iter().any(is_new);
        if !is_draft && is_repriced {
            acting.with_password()?;
        }
        Ok((details, configuration))
    })
    .await?;
    Ok(Json(told(&app, event).await))
}

/// Deletes a draft.
#[utoipa::path(delete, path = "/events/{event}", tag = "events", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 204, description = "deleted"),
    NotAllowed,
    (status = 409, description = "event_has_orders: published once, it can only be cancelled"),
))]
pub async fn delete(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
) -> Result<StatusCode, Problem> {
    let (event, role) = steered(&app, &acting, id, &[]).await?;
    if event.configuration.phase != Phase::Draft {
        return Err(Problem::new(Code::EventHasOrders).detail("an event that was published can only be cancelled"));
    }
    let mut write = app.database.begin().await?;
    match events::delete_draft(&mut write, id).await {
        Err(StoreError::Conflict(_)) => return Err(Code::EventHasOrders.into()),
        other => other?,
    }
    audit::append(&mut write, &acting.act(role, "event.delete", id, "")).await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
