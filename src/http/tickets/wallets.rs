//! A fan's own tickets for the wallets of telephones, where the operator has the certificates for it.

use std::{sync::Arc, time::SystemTime};

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::papers::{document, holder, live};
use crate::{
    actors::papers::Billing,
    documents::{
        language::Language,
        programme::Entry,
        wallet::{self, Issuer},
    },
    domain::id::{FanId, TicketId},
    http::{
        app::App,
        extract::{Json, Path, SignedIn},
        problem::{Code, Problem},
        refusals::NotYours,
        tokens::unix_now,
    },
    stores::{database::tickets, wallets::NotPacked},
};

#[derive(Debug, Serialize, ToSchema)]
pub struct SaveLink {
    /// For the telephone's browser.
    #[schema(example = "https://pay.google.com/gp/v/save/eyJ…")]
    pub url: String,
}

/// The ticket for Apple's wallet.
#[utoipa::path(get, path = "/tickets/{ticket}/apple.pkpass", tag = "tickets", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "a signed pass", content_type = "application/vnd.apple.pkpass", body = Vec<u8>),
    NotYours,
    (status = 409, description = "ticket_void, or no_wallet: the shop makes no such passes, or codes of this event change"),
))]
pub async fn apple(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<TicketId>,
) -> Result<Response, Problem> {
    let made = Made::of(&app, signed_in.account, id).await?;
    let wallet = app.wallets.apple.as_ref().ok_or(Code::NoWallet)?;
    let issuer = Issuer {
        pass_type: wallet.pass_type.clone(),
        team: wallet.team.clone(),
        organization: wallet.organization.clone(),
    };
    let pass = wallet::apple(&made.billing.programme, &made.entry, &made.code, made.language, &issuer);
    let pass = wallet.pack(&pass, SystemTime::now()).map_err(failed)?;
    Ok(document("application/vnd.apple.pkpass", &format!("ticket-{}.pkpass", made.entry.position), pass))
}

/// A link that saves the ticket in Google's wallet.
#[utoipa::path(get, path = "/tickets/{ticket}/google-wallet", tag = "tickets", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = SaveLink),
    NotYours,
    (status = 409, description = "ticket_void, or no_wallet: the shop makes no such passes, or codes of this event change"),
))]
pub async fn google(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<TicketId>,
) -> Result<Json<SaveLink>, Problem> {
    let made = Made::of(&app, signed_in.account, id).await?;
    let wallet = app.wallets.google.as_ref().ok_or(Code::NoWallet)?;
    let issuer = (wallet.issuer.as_str(), wallet.organization.as_str());
    let payload = wallet::google(&made.billing.programme, &made.entry, &made.code, made.language, issuer);
    Ok(Json(SaveLink { url: wallet.link(&payload, unix_now()).map_err(failed)? }))
}

/// What a pass is made of.
struct Made {
    billing: Arc<Billing>,
    entry: Entry,
    code: String,
    language: Language,
}

impl Made {
    async fn of(app: &App, fan: FanId, id: TicketId) -> Result<Self, Problem> {
        let ticket = live(app, fan, id).await?;
        let of = tickets::of_order(&app.database, ticket.reference).await?.len();
        let holder = holder(app, fan).await?;
        let billing = app.papers.billing(ticket.reference.event).await?;
        let mut entry = billing.entry(&ticket, of, &holder);
        // A code that changes cannot be saved.
        let code = entry.code.take().ok_or(Code::NoWallet)?;
        Ok(Self { billing, entry, code, language: Language::of(&holder.language) })
    }
}

fn failed(error: NotPacked) -> Problem {
    tracing::error!(%error, "a wallet's pass");
    Code::Internal.into()
}
