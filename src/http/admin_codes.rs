//! Discount and presale codes: made, listed with their uses, withdrawn; by the event's organizer, operators and admins.
//!
//! What they are worth, and how often they were used, the event's inventory knows.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acting::Acting,
    admin_queue::{Refused, STEERERS, record},
    app::App,
    events::steered,
    extract::{Json, Path, Query},
    problem::{Code as ProblemCode, Problem},
    refusals::NotAllowed,
    shapes::{FieldError, Price, Timestamp, Wrong},
};
use crate::domain::{
    code::Code,
    id::EventId,
    inventory::{
        codes::{CodeTerms, MOST_AT_ONCE},
        configuration::MAX_QUANTITY,
        request::{Answer, CodeView, Command, Request},
    },
    money::{Currency, Money},
    price::{Discount, WHOLE},
};

/// Symbols of a code that is made here: base 32 without letters that look like others. Thirteen of them are 65 bits.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 13;

/// Either so many, or these. A discount, or what it opens, or both.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodesBody {
    /// So many that nobody can guess.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    pub count: Option<u32>,
    /// Upper and lower case are the same. Whatever people can think up others can guess.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 1_000)]
    pub codes: Option<Vec<Code>>,
    pub terms: TermsBody,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// What each of the codes is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TermsBody {
    #[serde(default)]
    pub discount: Option<DiscountBody>,
    /// Whether it opens ticket types that need a code, or are not open yet.
    #[serde(default)]
    pub opens: bool,
    /// None named: all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub ticket_types: Vec<Code>,
    /// Tickets by each code.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub max_uses: Option<u32>,
    /// Of those, tickets of one fan.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub per_fan: Option<u32>,
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
    #[serde(default)]
    pub valid_until: Option<Timestamp>,
}

/// One of the two, off each ticket's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum DiscountBody {
    /// Hundredths of a percent of the price.
    BasisPoints(u32),
    /// Never more than the price.
    Amount(Price),
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CodesMade {
    #[schema(value_type = Vec<String>)]
    pub codes: Vec<Code>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CodesListed {
    pub codes: Vec<CodeListed>,
    /// `from` of the next page.
    pub next: Option<u32>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CodeListed {
    #[schema(value_type = String)]
    pub code: Code,
    pub terms: TermsBody,
    /// Tickets that are held or sold by it now.
    pub uses: u32,
    pub withdrawn: bool,
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CodesQuery {
    /// Codes are numbered from 0 in the order in which they were made.
    pub from: Option<u32>,
    /// 1000 at most.
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodesWithdrawBody {
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1_000)]
    pub codes: Vec<Code>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CodesWithdrawn {
    /// Those that were not withdrawn before.
    pub withdrawn: u32,
}

impl CodesBody {
    fn check(&self, currency: Currency) -> Result<(), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        match (self.count, &self.codes) {
            (Some(count), None) => wrong.number("count", count, 1..=MOST_AT_ONCE as u32),
            (None, Some(codes)) => wrong.number("codes", codes.len(), 1..=MOST_AT_ONCE),
            _ => wrong.add("count", "either count or codes is expected"),
        }
        self.terms.check(&mut wrong, currency);
        wrong.add_reason(&self.reason);
        wrong.or(())
    }
}

impl TermsBody {
    fn check(&self, wrong: &mut Wrong, currency: Currency) {
        match self.discount {
            None if !self.opens => wrong.add("terms.discount", "a code takes something off, or opens something"),
            None => {}
            Some(DiscountBody::BasisPoints(of)) => wrong.number("terms.discount.basis_points", of, 1..=WHOLE),
            Some(DiscountBody::Amount(amount)) => {
                wrong.number("terms.discount.amount.minor", amount.minor, 1..=Money::MAX_MINOR);
                if amount.currency != currency {
                    wrong.add("terms.discount.amount.currency", format!("must be the event's: {currency}"));
                }
            }
        }
        for (field, most) in [("terms.max_uses", self.max_uses), ("terms.per_fan", self.per_fan)] {
            if let Some(most) = most {
                wrong.number(field, most, 1..=MAX_QUANTITY);
            }
        }
        if self.valid_from.zip(self.valid_until).is_some_and(|(from, until)| from >= until) {
            wrong.add("terms.valid_until", "must be after valid_from");
        }
    }

    fn of(terms: CodeTerms, currency: Currency) -> Self {
        let discount = terms.discount.map(|discount| match discount {
            Discount::BasisPoints(of) => DiscountBody::BasisPoints(of),
            Discount::Minor(minor) => DiscountBody::Amount(Price::new(minor, currency)),
        });
        let CodeTerms { opens, ticket_types, max_uses, per_fan, valid_from, valid_until, .. } = terms;
        let (valid_from, valid_until) = (valid_from.map(Timestamp), valid_until.map(Timestamp));
        Self { discount, opens, ticket_types, max_uses, per_fan, valid_from, valid_until }
    }

    fn terms(&self) -> CodeTerms {
        let discount = self.discount.map(|discount| match discount {
            DiscountBody::BasisPoints(of) => Discount::BasisPoints(of),
            DiscountBody::Amount(amount) => Discount::Minor(amount.minor),
        });
        CodeTerms {
            discount,
            opens: self.opens,
            ticket_types: self.ticket_types.clone(),
            max_uses: self.max_uses,
            per_fan: self.per_fan,
            valid_from: self.valid_from.map(|at| at.0),
            valid_until: self.valid_until.map(|at| at.0),
        }
    }
}

/// As it is kept: people write codes in any case.
pub fn kept(code: &Code) -> Code {
    code.as_str().to_ascii_uppercase().parse().unwrap_or_else(|_| code.clone())
}

fn made() -> Code {
    let mut bits = rand::random::<u128>();
    let symbols = (0..LENGTH).map(|_| {
        let symbol = SYMBOLS[(bits % 32) as usize];
        bits /= 32;
        char::from(symbol)
    });
    symbols.collect::<String>().parse().expect("these symbols are a code's")
}

/// Makes codes of one kind. An act of weight.
#[utoipa::path(post, path = "/events/{event}/codes", tag = "admin", params(("event" = String, Path)),
    request_body = CodesBody, security(("bearer" = [])), responses((status = 201, body = CodesMade), NotAllowed,
    (status = 409, description = "code_exists or too_many_codes"),
    (status = 422, description = "invalid_body or unknown_ticket_type"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown")))]
pub async fn make(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<CodesBody>,
) -> Result<(StatusCode, Json<CodesMade>), Problem> {
    let (event, _) = steered(&app, &acting, id, &STEERERS).await?;
    body.check(event.configuration.currency)?;
    // Who has one has another price.
    acting.with_password()?;
    let codes: Vec<Code> = match &body.codes {
        Some(codes) => codes.iter().map(kept).collect(),
        None => (0..body.count.unwrap_or_default()).map(|_| made()).collect(),
    };
    let reason = format!("{}: {}", codes.len(), body.reason);
    let handles = record(&app, &acting, id, "codes.make", &reason).await?;
    let command = Command::MakeCodes { terms: Box::new(body.terms.terms()), codes: codes.clone() };
    match handles.inventory.ask(Request { identity: None, command }).await? {
        Answer::CodesMade => Ok((StatusCode::CREATED, Json(CodesMade { codes }))),
        other => Err(unexpected(&other)),
    }
}

/// Every code and how often it was used, in the order in which they were made.
#[utoipa::path(get, path = "/events/{event}/codes", tag = "admin", params(("event" = String, Path), CodesQuery),
    security(("bearer" = [])), responses((status = 200, body = CodesListed), NotAllowed,
    (status = 400, description = "invalid_query"),
    (status = 503, description = "overloaded or event_unavailable")))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Query(query): Query<CodesQuery>,
) -> Result<Json<CodesListed>, Problem> {
    let (event, _) = steered(&app, &acting, id, &STEERERS).await?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=MOST_AT_ONCE as u32).contains(&limit) {
        let detail = format!("limit must be between 1 and {MOST_AT_ONCE}");
        return Err(Problem::new(ProblemCode::InvalidQuery).detail(detail));
    }
    let command = Command::ListCodes { from: query.from.unwrap_or(0), limit };
    let handles = app.directory.event(id).await?;
    let page = match handles.inventory.ask(Request { identity: None, command }).await? {
        Answer::Codes(page) => page,
        other => return Err(unexpected(&other)),
    };
    let listed = |CodeView { code, terms, uses, withdrawn, .. }| {
        let terms = TermsBody::of(terms, event.configuration.currency);
        CodeListed { code, terms, uses, withdrawn }
    };
    Ok(Json(CodesListed { codes: page.codes.into_iter().map(listed).collect(), next: page.next }))
}

/// Nobody holds anything by these any more. What is held or sold by them stays, at its price.
#[utoipa::path(post, path = "/events/{event}/codes/withdraw", tag = "admin", params(("event" = String, Path)),
    request_body = CodesWithdrawBody, security(("bearer" = [])),
    responses((status = 200, body = CodesWithdrawn), NotAllowed, Refused))]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<CodesWithdrawBody>,
) -> Result<Json<CodesWithdrawn>, Problem> {
    let mut wrong = Wrong::default();
    wrong.number("codes", body.codes.len(), 1..=MOST_AT_ONCE);
    wrong.add_reason(&body.reason);
    wrong.or(())?;
    let reason = format!("{}: {}", body.codes.len(), body.reason);
    let handles = record(&app, &acting, id, "codes.withdraw", &reason).await?;
    let command = Command::WithdrawCodes(body.codes.iter().map(kept).collect());
    match handles.inventory.ask(Request { identity: None, command }).await? {
        Answer::CodesWithdrawn { count } => Ok(Json(CodesWithdrawn { withdrawn: count })),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> Problem {
    tracing::error!(?answer, "not an answer to what was asked of codes");
    ProblemCode::Internal.into()
}
