//! Whether an address is the account's: a link goes by mail, and whoever follows it has the mailbox.
//!
//! The link leads to a page with a button: what reads mails and follows their links by itself proves nothing.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY},
};
use uuid::Uuid;

use crate::{
    documents::text::escaped,
    domain::{id::FanId, message::Kind, time::EventTime},
    http::{
        app::App,
        extract::{ClientAddress, Path, SignedIn},
        now,
        problem::{Code, Problem},
    },
    stores::{
        database::{
            Write,
            account_codes::{self, Purpose},
            messages::{self, Details, New},
        },
        error::StoreError,
    },
};

/// Mails an hour for one account; each ends the link of before.
const MOST_AN_HOUR: u32 = 5;

/// Sends a link to the account's address. It is good for a quarter of an hour, once.
#[utoipa::path(post, path = "/auth/verify", tag = "auth", security(("bearer" = [])), responses(
    (status = 202, description = "Sent, unless five were sent within the last hour."),
    (status = 401, description = "`unauthenticated`, `invalid_token` or `token_expired`."),
    (status = 409, description = "`already_verified`."),
    (status = 429, description = "`rate_limited`."),
))]
pub async fn send(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    signed_in: SignedIn,
) -> Result<StatusCode, Problem> {
    app.limits.reset.check(address)?;
    if account_codes::is_verified(&app.database, signed_in.account).await? {
        return Err(Code::AlreadyVerified.into());
    }
    let mut write = app.database.begin().await?;
    ask(&mut write, signed_in.account, now()).await?;
    write.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// With a transaction that makes the account, too.
pub async fn ask(write: &mut Write, account: FanId, now: EventTime) -> Result<(), StoreError> {
    let Some(id) = account_codes::make(write, account, Purpose::Verify, MOST_AN_HOUR, now).await? else {
        return Ok(());
    };
    let about = id.simple().to_string();
    let message = New { account, kind: Kind::Verification, about, event: None, details: Details::new() };
    messages::write(write, &[message], now).await
}

/// Where the buying needs it, an account whose address is not proven may not.
pub async fn needed(app: &App, account: FanId) -> Result<(), Problem> {
    if app.config.verify_mail && !account_codes::is_verified(&app.database, account).await? {
        return Err(Code::EmailNotVerified.into());
    }
    Ok(())
}

/// The link's pages, outside the API.
pub fn pages() -> Router<Arc<App>> {
    Router::new().route("/verify/{token}", get(ask_page).post(verify))
}

async fn ask_page(Path(token): Path<String>) -> Response {
    let form = format!(
        r#"<form method="post" action="/verify/{}"><button>This is my address</button></form>"#,
        escaped(&token)
    );
    page(StatusCode::OK, "Is this your address?", &form)
}

async fn verify(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Response, Problem> {
    let id = app.letters.notes().codes().of_token(&token);
    Ok(if use_up(&app, id).await? {
        page(StatusCode::OK, "Thank you", "<p>Your address is confirmed. You can close this page.</p>")
    } else {
        let text = "<p>The link was used already, or is older than a quarter of an hour. Ask for another one.</p>";
        page(StatusCode::BAD_REQUEST, "This link is not good any more", text)
    })
}

async fn use_up(app: &App, id: Option<Uuid>) -> Result<bool, StoreError> {
    let Some(id) = id else { return Ok(false) };
    let mut write = app.database.begin().await?;
    let Some(code) = account_codes::use_up(&mut write, id, Purpose::Verify, now()).await? else { return Ok(false) };
    account_codes::verified(&mut write, code.account, now()).await?;
    write.commit().await?;
    Ok(true)
}

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1b1b1b;\
    background:#fff}h1{font-size:1.4rem}button{font:inherit;padding:.7rem 1.6rem;border:1px solid #14532d;border-radius:.4rem;\
    background:#14532d;color:#fff}";

/// Only our own style, and a form that stays here; the address of the page goes nowhere.
fn page(status: StatusCode, title: &str, rest: &str) -> Response {
    let html = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{rest}</main></body></html>"#
    );
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer".into()),
        (CACHE_CONTROL, "no-store".into()),
    ];
    (status, headers, Html(html)).into_response()
}
