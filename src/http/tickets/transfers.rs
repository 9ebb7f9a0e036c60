//! Giving a ticket to somebody else: its fan makes a code and hands that on however he likes; whoever brings it here gets a new
//! ticket, and the old one lets nobody in from that moment.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Ticket, not_replaced};
use crate::{
    actors::orders::issue,
    domain::{
        code::{Code as TypeCode, SeatId},
        id::{EventId, TicketId},
        time::Millis,
    },
    http::{
        app::App,
        extract::{Json, Path, Query, SignedIn},
        hex::hex,
        now,
        page::{Page, PageQuery},
        problem::{Code, Problem},
        refusals::NotYours,
        shapes::Timestamp,
    },
    stores::database::{
        events,
        tickets::{self, State as TicketState},
        transfers::{self, NotTransferred, State as TransferState},
    },
};

/// How long a code can be brought.
const LIFE: Millis = Millis::minutes(7 * 24 * 60);
/// Bytes of a code.
const CODE: usize = 16;
/// Characters of a code, as it is written.
const MOST_CODE: usize = 22;

#[derive(Debug, Serialize, ToSchema)]
pub struct Begun {
    #[schema(value_type = String)]
    pub transfer: Uuid,
    /// For the other person, who brings it to `POST /transfers/accept`. Told once.
    pub code: String,
    pub expires_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Transfer {
    #[schema(value_type = String)]
    pub transfer: Uuid,
    #[schema(value_type = String)]
    pub ticket: TicketId,
    pub state: StateAnswer,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateAnswer {
    Open,
    Accepted,
    Withdrawn,
    Expired,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    #[schema(min_length = 22, max_length = 22)]
    pub code: String,
}

/// What one would get.
#[derive(Debug, Serialize, ToSchema)]
pub struct Offer {
    #[schema(value_type = String)]
    pub event: EventId,
    pub title: String,
    pub starts_at: Timestamp,
    #[schema(value_type = String)]
    pub ticket_type: TypeCode,
    #[schema(value_type = Option<String>)]
    pub rate: Option<TypeCode>,
    #[schema(value_type = Option<String>)]
    pub seat: Option<SeatId>,
    pub expires_at: Timestamp,
}

/// Makes a code for whoever is to have the ticket. Until it is brought the ticket stays what it is; an earlier code of it ends.
#[utoipa::path(post, path = "/tickets/{ticket}/transfers", tag = "tickets", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 201, body = Begun),
    NotYours,
    (status = 409, description = "ticket_void, ticket_used or not_transferable"),
))]
pub async fn begin(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<TicketId>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let fan = signed_in.account;
    let ticket = tickets::of_fan(&app.database, id, fan).await?.ok_or(Code::NotFound)?;
    if ticket.state != TicketState::Live {
        return Err(Code::TicketVoid.into());
    }
    allowed(&app, ticket.reference.event).await?;
    let now = now();
    let code = URL_SAFE_NO_PAD.encode(rand::random::<[u8; CODE]>());
    let transfer = transfers::Transfer {
        id: Uuid::now_v7(),
        ticket: id,
        fan,
        state: TransferState::Open,
        expires_at: now + LIFE,
        accepted_by: None,
        new_ticket: None,
        created_at: now,
    };
    let mut write = app.database.begin().await?;
    transfers::begin(&mut write, &transfer, &hash(&code)).await?;
    write.commit().await?;
    let begun = Begun { transfer: transfer.id, code, expires_at: transfer.expires_at.into() };
    Ok((StatusCode::CREATED, Json(begun)))
}

/// Whether holders of the event's tickets may hand them on.
pub async fn allowed(app: &App, event: EventId) -> Result<(), Problem> {
    if app.papers.billing(event).await?.rules.transferable { Ok(()) } else { Err(Code::NotTransferable.into()) }
}

/// What you have given, or are giving, newest first.
#[utoipa::path(get, path = "/me/transfers", tag = "tickets", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Page<Transfer>),
    (status = 400, description = "invalid_query"),
    (status = 401, description = "unauthenticated"),
))]
pub async fn list(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Transfer>>, Problem> {
    let (cursor, limit) = query.checked()?;
    let page = transfers::of_fan(&app.database, signed_in.account, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, Transfer::from)))
}

/// Keeps the ticket: the code is good for nothing from then on. Again: the same answer.
#[utoipa::path(delete, path = "/me/transfers/{transfer}", tag = "tickets", params(("transfer" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 204, description = "withdrawn"),
    NotYours,
    (status = 409, description = "transfer_ended: somebody has the ticket"),
))]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let mut write = app.database.begin().await?;
    if transfers::withdraw(&mut write, id, signed_in.account, now()).await? {
        write.commit().await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    drop(write);
    let known = transfers::by_id(&app.database, id).await?.filter(|transfer| transfer.fan == signed_in.account);
    match known.ok_or(Code::NotFound)?.state {
        TransferState::Withdrawn => Ok(StatusCode::NO_CONTENT),
        _ => Err(Code::TransferEnded.into()),
    }
}

/// Says what the code would give.
#[utoipa::path(post, path = "/transfers/look", tag = "tickets", request_body = CodeBody, security(("bearer" = [])),
    responses(
    (status = 200, body = Offer),
    NotYours,
    (status = 409, description = "transfer_ended"),
))]
pub async fn look(
    State(app): State<Arc<App>>,
    _: SignedIn,
    Json(body): Json<CodeBody>,
) -> Result<Json<Offer>, Problem> {
    let code = checked(&body)?;
    let transfer = transfers::by_code(&app.database, &code).await?.ok_or(Code::NotFound)?;
    let ticket = tickets::by_id(&app.database, transfer.ticket).await?.ok_or(Code::NotFound)?;
    if !transfer.is_open(now()) || ticket.state != TicketState::Live {
        return Err(Code::TransferEnded.into());
    }
    let event = events::by_id(&app.database, ticket.reference.event).await?.ok_or(Code::NotFound)?;
    Ok(Json(Offer {
        event: event.id,
        title: event.details.title,
        starts_at: event.details.starts_at.into(),
        ticket_type: ticket.ticket_type,
        rate: ticket.rate,
        seat: ticket.seat,
        expires_at: transfer.expires_at.into(),
    }))
}

/// Takes the ticket: it is yours, under a new code. Again: the same answer.
#[utoipa::path(post, path = "/transfers/accept", tag = "tickets", request_body = CodeBody, security(("bearer" = [])),
    responses(
    (status = 201, body = Ticket),
    NotYours,
    (status = 409, description = "transfer_ended, ticket_void or ticket_used"),
))]
pub async fn accept(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Json(body): Json<CodeBody>,
) -> Result<(StatusCode, Json<Ticket>), Problem> {
    let code = checked(&body)?;
    let (now, keys) = (now(), app.keys.load());
    let issue = issue(keys.ticket_key(now));
    let mut write = app.database.begin().await?;
    let ticket = match transfers::accept(&mut write, (&code, signed_in.account), &issue, now).await? {
        Ok(ticket) => ticket,
        Err(NotTransferred::NoSuchTransfer) => return Err(Code::NotFound.into()),
        Err(NotTransferred::Ended) => return Err(Code::TransferEnded.into()),
        Err(NotTransferred::Ticket(why)) => return Err(not_replaced(why)),
    };
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(ticket.into())))
}

/// What the database knows of it. Whatever cannot be a code is not looked up.
fn checked(body: &CodeBody) -> Result<String, Problem> {
    if body.code.len() != MOST_CODE { Err(Code::NotFound.into()) } else { Ok(hash(&body.code)) }
}

fn hash(code: &str) -> String {
    hex(digest(&SHA256, code.as_bytes()).as_ref())
}

impl From<transfers::Transfer> for Transfer {
    fn from(transfer: transfers::Transfer) -> Self {
        let state = match transfer.state {
            TransferState::Open if !transfer.is_open(now()) => StateAnswer::Expired,
            TransferState::Open => StateAnswer::Open,
            TransferState::Accepted => StateAnswer::Accepted,
            TransferState::Withdrawn => StateAnswer::Withdrawn,
        };
        Self {
            transfer: transfer.id,
            ticket: transfer.ticket,
            state,
            created_at: transfer.created_at.into(),
            expires_at: transfer.expires_at.into(),
        }
    }
}
