//! The draw, as anybody, one who took part, and an auditor may see it.
//!
//! Owns the shapes and who may see which. Makes no draw; what proves it is `domain::draw`'s.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    acting::{self, Acting},
    admin_queue::{Refused, STEERERS},
    app::App,
    availability::public_event,
    events::steered,
    extract::{Json, Path, SignedIn},
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::{FieldError, Wrong},
};
use crate::{
    actors::directory::EventHandles,
    domain::{
        draw::{Beacon, Book, Digest, DrawFile, DrawFormat, Lots, ProofFile, ProofFormat},
        id::EventId,
        inventory::{
            configuration::MAX_BEACON_LEN,
            draw::{Closed, Draw, DrawStage},
            request::{Command, DrawCommand, Request},
        },
    },
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DrawAnswer {
    pub stage: StageName,
    /// SHA-256 of the seed: it was fixed before anybody could enter.
    #[schema(value_type = Option<String>)]
    pub commitment: Option<Digest>,
    /// The public value that counts too, if one was named.
    pub beacon_name: Option<String>,
    pub beacon_value: Option<String>,
    /// Of the Merkle tree over all entries.
    #[schema(value_type = Option<String>)]
    pub root: Option<Digest>,
    pub count: Option<u32>,
    #[schema(value_type = Option<String>)]
    pub seed: Option<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Nothing was committed to, and so nothing is drawn.
    None,
    Committed,
    /// Its entries are closed; the order hangs on what is not known yet.
    Closed,
    Revealed,
}

impl DrawAnswer {
    fn of(draw: Option<Draw>) -> Self {
        let stage = draw.as_ref().map(Draw::stage).unwrap_or_default();
        let closed = draw.as_ref().and_then(|draw| draw.closed);
        Self {
            stage: match stage {
                DrawStage::None => StageName::None,
                DrawStage::Committed => StageName::Committed,
                DrawStage::Closed { .. } => StageName::Closed,
                DrawStage::Revealed { .. } => StageName::Revealed,
            },
            commitment: draw.as_ref().map(|draw| draw.commitment),
            root: closed.map(|closed| closed.root),
            count: closed.map(|closed| closed.count),
            seed: draw.as_ref().and_then(|draw| draw.seed),
            beacon_name: draw.as_ref().and_then(|draw| draw.beacon_name.clone()),
            beacon_value: draw.and_then(|draw| draw.beacon),
        }
    }
}

/// How far the event's draw is, and what has been told of it.
#[utoipa::path(get, path = "/events/{event}/queue/draw", tag = "queue", params(("event" = String, Path)), responses(
    (status = 200, body = DrawAnswer),
    (status = 404, description = "not_found"),
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(State(app): State<Arc<App>>, Path(event): Path<EventId>) -> Result<Json<DrawAnswer>, Problem> {
    let handles = public_event(&app, event).await?;
    Ok(Json(DrawAnswer::of(handles.inventory.view().draw.clone())))
}

/// What proves the fan's part in the draw: a file for `onsale verify-draw`.
#[utoipa::path(get, path = "/events/{event}/queue/draw/proof", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "the proof, format onsale.draw-proof.v1", body = Object),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found: also if the fan took no part"),
    (status = 409, description = "draw_state: nothing is drawn yet"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn proof(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Json<ProofFile>, Problem> {
    let handles = public_event(&app, event).await?;
    let told = Revealed::of(&handles)?;
    let fan = signed_in.account;
    let Some(proof) = handles.waiting_room.proof(fan).await? else {
        // For a moment after a start the order is still being worked out.
        let took_part = handles.inventory.entrants().await?.contains(&fan);
        return Err(if took_part { Code::EventUnavailable } else { Code::NotFound }.into());
    };
    Ok(Json(ProofFile {
        format: ProofFormat::V1,
        event,
        fan,
        commitment: told.commitment,
        beacon: told.beacon,
        root: told.closed.root,
        count: told.closed.count,
        index: proof.index,
        entry: proof.entry,
        path: proof.path,
        seed: told.seed,
        rank: proof.rank,
    }))
}

/// The whole draw, to be published: a file for `onsale verify-draw`. It names nobody.
#[utoipa::path(get, path = "/events/{event}/queue/draw", tag = "admin", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "the draw, format onsale.draw.v1", body = Object),
    NotAllowed,
    (status = 409, description = "draw_state: nothing is drawn yet"),
    (status = 503, description = "overloaded or event_unavailable"),
))]
pub async fn export(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
) -> Result<Json<DrawFile>, Problem> {
    let (_, role) = steered(&app, &acting, event, &STEERERS).await?;
    acting.with_password()?;
    let handles = app.directory.event(event).await?;
    let Revealed { commitment, beacon, closed: Closed { root, .. }, seed } = Revealed::of(&handles)?;
    acting::record(&app, &acting.act(role, "queue.draw_export", event, "")).await?;
    let fans = handles.inventory.entrants().await?;
    let value = beacon.as_ref().map(|beacon| beacon.value.clone()).unwrap_or_default();
    // Some hashes for each of perhaps a million.
    let made =
        tokio::task::spawn_blocking(move || Book::new(event, &Lots { seed, root, beacon: &value }, fans).into_ranks());
    let (entries, ranks) = made.await.map_err(|_| Problem::new(Code::ShuttingDown))?;
    Ok(Json(DrawFile { format: DrawFormat::V1, event, commitment, beacon, root, seed, entries, ranks }))
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeaconBody {
    /// As it was published, to the letter.
    #[schema(min_length = 1, max_length = 200)]
    pub value: String,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl BeaconBody {
    fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        wrong.text("value", &self.value, 1..=MAX_BEACON_LEN, false);
        wrong.add_reason(&self.reason);
        wrong.or(())
    }
}

/// Tells the value of the beacon that was named. Once: it cannot be changed.
#[utoipa::path(post, path = "/events/{event}/queue/draw/beacon", tag = "admin", params(("event" = String, Path)),
    request_body = BeaconBody, security(("bearer" = [])), responses((status = 200, body = DrawAnswer), NotAllowed,
    (status = 409, description = "draw_state: no beacon was named, the entries are not closed, or another value was told"), Refused))]
pub async fn beacon(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(event): Path<EventId>,
    Json(body): Json<BeaconBody>,
) -> Result<Json<DrawAnswer>, Problem> {
    body.check()?;
    let (_, role) = steered(&app, &acting, event, &STEERERS).await?;
    let handles = app.directory.event(event).await?;
    let reason = format!("{}: {}", body.value, body.reason);
    acting::record(&app, &acting.act(role, "queue.beacon", event, &reason)).await?;
    let command = Command::Draw(DrawCommand::Beacon { value: body.value });
    handles.inventory.ask(Request { identity: None, command }).await?;
    Ok(Json(DrawAnswer::of(handles.inventory.view().draw.clone())))
}

/// A draw of which everything has been told.
struct Revealed {
    commitment: Digest,
    beacon: Option<Beacon>,
    closed: Closed,
    seed: Digest,
}

impl Revealed {
    fn of(handles: &EventHandles) -> Result<Self, Problem> {
        let draw = handles.inventory.view().draw.clone().ok_or(Code::DrawState)?;
        let (Some(closed), Some(seed)) = (draw.closed, draw.seed) else { return Err(Code::DrawState.into()) };
        let beacon = draw.beacon_name.zip(draw.beacon).map(|(name, value)| Beacon { name, value });
        Ok(Self { commitment: draw.commitment, beacon, closed, seed })
    }
}
