//! A pass: proof of an admission for other sites, which have none of our keys and ask nobody.
//!
//! Owns what it says, and how it is checked here. A pass is no admission token: it has another `typ`, `aud` and signature, and buys
//! nothing here. Signed with Ed25519 (EdDSA) by keys of its own, which are published.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderName;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    app::App,
    availability::public_event,
    extract::{ClientAddress, Json, Path, SignedIn},
    limits::Left,
    now,
    problem::{Code, Problem},
    shapes::Timestamp,
    ticket_keys::{CACHED, KeySet, PublicKey},
    tokens::{MAX_BYTES, lives::LONGEST_ADMISSION_S, unix_now},
};
use crate::{
    domain::{
        id::{EventId, FanId},
        inventory::request::Admission,
        queue::{Place, Standing},
        time::{EventTime, Millis},
    },
    stores::pass_key::PassKey,
};

const TYP: &str = "pass+jwt";
const AUDIENCE: &str = "onsale:pass";
/// None is good for longer.
const LIFE: Millis = Millis::seconds(LONGEST_ADMISSION_S as u64);

/// Times in seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: FanId,
    event: EventId,
    iat: u64,
    /// The admission's end, rounded down.
    exp: u64,
    /// The admission's own: each pass of one admission has the same, so that a site can let each in once.
    jti: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Pass {
    pub pass: String,
    pub expires_at: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassBody {
    pub pass: String,
}

/// As RFC 7662 has it: whoever is not active is told no reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct Introspection {
    pub active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub sub: Option<FanId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Of the admission, in seconds since 1970: later than the pass's own where the admission has been extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
}

const NOT_ACTIVE: Introspection = Introspection { active: false, sub: None, jti: None, exp: None };

/// An admitted fan's pass for other sites (JWT, EdDSA), good until the admission ends. Counts as being here.
#[utoipa::path(get, path = "/events/{event}/queue/pass", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "keys: /.well-known/jwks.json", body = Pass),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "not_admitted"),
    (status = 404, description = "not_found"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Json<Pass>, Problem> {
    let fan = signed_in.account;
    let standing = public_event(&app, event).await?.waiting_room.poll(fan).await?;
    let (admission, exp) = admitted(standing).ok_or(Code::NotAdmitted)?;
    let claims = Claims {
        iss: app.tokens.issuer().to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: fan,
        event,
        iat: unix_now(),
        exp,
        jti: id(event, admission.place),
    };
    let pass = sign(app.keys.load().pass_key(now()), &claims);
    let expires_at = Timestamp(EventTime(exp * 1000));
    Ok(Json(Pass { pass, expires_at }))
}

/// Whether the admission of a pass is still there: for sites that do not want to believe one until it expires. Whoever has a
/// pass may ask.
#[utoipa::path(post, path = "/events/{event}/queue/pass/introspect", tag = "queue", params(("event" = String, Path)),
    request_body = PassBody, responses(
    (status = 200, body = Introspection),
    (status = 404, description = "not_found"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn introspect(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    Path(event): Path<EventId>,
    Json(PassBody { pass }): Json<PassBody>,
) -> Result<(Left, Json<Introspection>), Problem> {
    let left = app.limits.refresh.check(address)?;
    let room = public_event(&app, event).await?.waiting_room;
    let Some(claims) = verified(&app, &pass).filter(|claims| claims.event == event) else {
        return Ok((left, Json(NOT_ACTIVE)));
    };
    let found = match admitted(room.standing(claims.sub).await?) {
        Some((admission, exp)) if id(event, admission.place) == claims.jti => {
            Introspection { active: true, sub: Some(claims.sub), jti: Some(claims.jti), exp: Some(exp) }
        }
        _ => NOT_ACTIVE,
    };
    Ok((left, Json(found)))
}

/// The public keys of passes, newest first: each that one can be good by, and one that will sign soon.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "queue", responses((status = 200, description = "JWKS.", body = KeySet)))]
pub async fn keys(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], Json<KeySet>) {
    let known = app.keys.load();
    let keys = known.pass_keys(now(), LIFE).map(|key| PublicKey::new(key.id().to_owned(), key.x().to_owned()));
    (CACHED, Json(KeySet { keys: keys.collect() }))
}

/// The admission of a fan who may shop, and when it ends.
fn admitted(standing: Standing) -> Option<(Admission, u64)> {
    let Standing::Admitted(admission @ Admission { claim_by: None, until, .. }) = standing else { return None };
    // Rounded down: no pass outlives the admission in the journal.
    let exp = until.0 / 1000;
    (exp > unix_now()).then_some((admission, exp))
}

/// Names an admission, and does not tell the place.
fn id(event: EventId, place: Place) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"onsale pass");
    context.update(event.as_bytes());
    context.update(&place.0.to_be_bytes());
    URL_SAFE_NO_PAD.encode(context.finish().as_ref().get(..16).unwrap_or_default())
}

fn header(key: &PassKey) -> Header {
    Header { typ: Some(TYP.to_owned()), kid: Some(key.id().to_owned()), ..Header::new(Algorithm::EdDSA) }
}

fn sign(key: &PassKey, claims: &Claims) -> String {
    let part = |json: serde_json::Result<Vec<u8>>| URL_SAFE_NO_PAD.encode(json.expect("plain values"));
    let signed = [part(serde_json::to_vec(&header(key))), part(serde_json::to_vec(claims))].join(".");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    signed + "." + &signature
}

fn verified(app: &App, pass: &str) -> Option<Claims> {
    if pass.len() > MAX_BYTES {
        return None;
    }
    let said = jsonwebtoken::decode_header(pass).ok()?;
    let known = app.keys.load();
    // The whole header is known, as of each of our tokens.
    let key = known.pass_keys(now(), LIFE).find(|key| said == header(key))?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = 0;
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[app.tokens.issuer()]);
    let decoding = DecodingKey::from_ed_components(key.x()).ok()?;
    Some(jsonwebtoken::decode(pass, &decoding, &validation).ok()?.claims)
}
