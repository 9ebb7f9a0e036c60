//! Seat plans: from an organizer's JSON or CSV to the seats of a configuration.
//!
//! Owns the two forms and what is said about a mistake in them: which line or seat, which field. What a plan means for
//! stock already sold is the inventory's to decide.

use std::{collections::HashSet, sync::Arc};

use axum::{body::Body, extract::State};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acting::Acting,
    app::App,
    events::{answer::EventAnswer, configure, steered, told},
    extract::{Json, Path, Query, json},
    problem::{Code as Refused, Problem},
    refusals::NotAllowed,
    shapes::{FieldError, Wrong},
};
use crate::domain::{
    code::{Code, SeatId},
    id::EventId,
    inventory::configuration::{Kept, Seat, SeatKind, Stock, TicketType},
};

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// The event's version that this plan was made for.
    version: u32,
}

/// Replaces the seat plan. Seats that are held or sold must stay in it.
#[utoipa::path(put, path = "/events/{event}/seat-plan", tag = "events", params(("event" = String, Path), PlanQuery),
    request_body(description = "JSON, or CSV with a header line", content(
        (SeatPlan = "application/json"), (String = "text/csv"))),
    security(("bearer" = [])), responses(
    (status = 200, body = EventAnswer),
    (status = 400, description = "invalid_query"),
    NotAllowed,
    (status = 409, description = "stale_version or below_taken"),
    (status = 413, description = "body_too_large"),
    (status = 415, description = "unsupported_media_type"),
    (status = 422, description = "invalid_body, with `errors` naming each line or seat, or invalid_event"),
    (status = 503, description = "event_unavailable or outcome_unknown"),
))]
pub async fn replace(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Query(query): Query<PlanQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<EventAnswer>, Problem> {
    let (event, role) = steered(&app, &acting, id, &[]).await?;
    let read = match json::media_type(&headers).as_deref() {
        Some("application/json") => from_json,
        Some("text/csv") => from_csv,
        _ => return Err(Problem::new(Refused::UnsupportedMediaType).detail("application/json or text/csv is expected")),
    };
    let bytes = json::read(body, app.config.seat_plan_limit).await?;
    // Eight megabytes take a while to read: not on a thread that serves others.
    let seats =
        tokio::task::spawn_blocking(move || read(&bytes)).await.map_err(|_| Problem::new(Refused::Internal))??;
    let act = acting.act(role, "event.seat-plan", id, "");
    let event = configure(&app, event, query.version, act, |details, mut configuration| {
        check_types(&seats, &configuration.ticket_types)?;
        configuration.seats = seats;
        configuration.version += 1;
        Ok((details, configuration))
    })
    .await?;
    Ok(Json(told(&app, event).await))
}

fn check_types(seats: &[Seat], types: &[TicketType]) -> Result<(), Vec<FieldError>> {
    let seated: HashSet<&Code> = types.iter().filter(|t| t.stock == Stock::Seats).map(|t| &t.code).collect();
    let mut wrong = Wrong::default();
    for seat in seats.iter().filter(|seat| !seated.contains(&seat.ticket_type)) {
        wrong.add(seat.id.as_str(), format!("{} is not a ticket type that is sold by seat", seat.ticket_type));
    }
    wrong.or(())
}

/// No event has more numbered seats than this.
pub const MOST_SEATS: usize = 100_000;

/// A whole plan, as JSON. As CSV: a header line with the names of a seat's fields, then one line a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatPlan {
    pub seats: Vec<PlannedSeat>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedSeat {
    #[schema(value_type = String, example = "A-12-7")]
    pub id: SeatId,
    #[schema(value_type = String, example = "A")]
    pub zone: Code,
    #[schema(value_type = String, example = "12")]
    pub row: Code,
    /// Order within the row: seats whose numbers follow one another are neighbours.
    #[schema(example = 7)]
    pub number: u16,
    #[schema(value_type = String, example = "VIP")]
    pub ticket_type: Code,
    /// Standard unless said otherwise.
    #[serde(default)]
    pub kind: Option<PlannedKind>,
    /// Nobody can buy it.
    #[serde(default)]
    pub blocked: Option<bool>,
    /// Only holds that name this channel get it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub channel: Option<Code>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlannedKind {
    Standard,
    Accessible,
    Companion,
}

impl From<PlannedKind> for SeatKind {
    fn from(kind: PlannedKind) -> Self {
        match kind {
            PlannedKind::Standard => Self::Standard,
            PlannedKind::Accessible => Self::Accessible,
            PlannedKind::Companion => Self::Companion,
        }
    }
}

impl From<SeatKind> for PlannedKind {
    fn from(kind: SeatKind) -> Self {
        match kind {
            SeatKind::Standard => Self::Standard,
            SeatKind::Accessible => Self::Accessible,
            SeatKind::Companion => Self::Companion,
        }
    }
}

/// Reads a JSON plan. The parser's own message names line and column.
pub fn from_json(bytes: &[u8]) -> Result<Vec<Seat>, Vec<FieldError>> {
    let mut wrong = Wrong::default();
    let plan: SeatPlan = match serde_json::from_slice(bytes) {
        Ok(plan) if json::is_object(bytes) => plan,
        read => {
            let message = read.err().map_or("an object is expected".to_owned(), |error| error.to_string());
            wrong.add("seats", message);
            return wrong.or(Vec::new());
        }
    };
    let seats = checked(plan.seats.into_iter().enumerate().map(|(i, seat)| (format!("seats[{i}]"), seat)), &mut wrong);
    wrong.or(seats)
}

/// Reads a CSV plan: UTF-8, a header line, comma-separated; a byte order mark is skipped.
pub fn from_csv(bytes: &[u8]) -> Result<Vec<Seat>, Vec<FieldError>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut wrong = Wrong::default();
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            wrong.add("line 1", reason(&error));
            return wrong.or(Vec::new());
        }
    };
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    while !wrong.is_full() && rows.len() <= MOST_SEATS {
        let read = reader.read_record(&mut record);
        let line = format!("line {}", line_of(bytes, record.position().unwrap_or_else(|| reader.position())));
        match read.and_then(|more| if more { record.deserialize(Some(&header)).map(Some) } else { Ok(None) }) {
            Ok(Some(seat)) => rows.push((line, seat)),
            Ok(None) => break,
            Err(error) => wrong.add(line, reason(&error)),
        }
    }
    let seats = checked(rows.into_iter(), &mut wrong);
    wrong.or(seats)
}

/// The reader's position is before any blank lines that it skips.
fn line_of(bytes: &[u8], position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let blank = bytes.iter().skip(start).take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + blank.filter(|byte| **byte == b'\n').map(|_| 1).sum::<u64>()
}

/// The reason without the library's own idea of where it was.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields instead of {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".into(),
        _ => "cannot be read".into(),
    }
}

fn checked(rows: impl Iterator<Item = (String, PlannedSeat)>, wrong: &mut Wrong) -> Vec<Seat> {
    let mut ids = HashSet::new();
    let mut spots = HashSet::new();
    let mut seats = Vec::new();
    for (at, seat) in rows {
        if seats.len() == MOST_SEATS {
            wrong.add("seats", format!("there are more than {MOST_SEATS}"));
            break;
        }
        if !ids.insert(seat.id.clone()) {
            wrong.add(&at, format!("seat {} is named twice", seat.id));
        } else if !spots.insert((seat.zone.clone(), seat.row.clone(), seat.number)) {
            wrong.add(&at, format!("zone {}, row {} has number {} already", seat.zone, seat.row, seat.number));
        } else if seat.blocked == Some(true) && seat.channel.is_some() {
            wrong.add(&at, "a seat is blocked or kept for a channel, not both");
        }
        seats.push(seat.into());
    }
    if seats.is_empty() {
        wrong.add("seats", "there are none");
    }
    seats
}

impl From<PlannedSeat> for Seat {
    fn from(seat: PlannedSeat) -> Self {
        let kept = match seat.channel {
            _ if seat.blocked == Some(true) => Kept::Blocked,
            Some(channel) => Kept::For(channel),
            None => Kept::Free,
        };
        Self {
            id: seat.id,
            zone: seat.zone,
            row: seat.row,
            number: seat.number,
            ticket_type: seat.ticket_type,
            kind: seat.kind.map_or(SeatKind::Standard, SeatKind::from),
            kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: Result<Vec<Seat>, Vec<FieldError>>) -> Vec<String> {
        let errors = result.expect_err("must be refused");
        errors.into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect()
    }

    #[test]
    fn both_forms_say_the_same() {
        let json = br#"{"seats": [
            {"id": "A-1-1", "zone": "A", "row": "1", "number": 1, "ticket_type": "VIP", "kind": "accessible"},
            {"id": "A-1-2", "zone": "A", "row": "1", "number": 2, "ticket_type": "VIP", "blocked": true},
            {"id": "A-1-3", "zone": "A", "row": "1", "number": 3, "ticket_type": "VIP", "channel": "sponsor"}]}"#;
        let csv = "\u{feff}id,zone,row,number,ticket_type,kind,blocked,channel\r\n\
            A-1-1,A,1,1,VIP,accessible,,\r\nA-1-2, A ,1,2,VIP,,true,\r\n\"A-1-3\",A,1,3,VIP,standard,false,sponsor\r\n";
        let seats = from_json(json).expect("valid");
        assert_eq!(from_csv(csv.as_bytes()).expect("valid"), seats);
        assert_eq!(seats[0].kind, SeatKind::Accessible);
        assert_eq!(seats[1].kept, Kept::Blocked);
        assert_eq!(seats[2].kept, Kept::For("sponsor".parse().expect("code")));
    }

    #[test]
    fn columns_with_a_default_may_be_left_out() {
        let seats = from_csv(b"number,id,zone,row,ticket_type\n4,S4,Z,R,T\n").expect("valid");
        assert_eq!((seats[0].number, seats[0].kind, &seats[0].kept), (4, SeatKind::Standard, &Kept::Free));
    }

    #[test]
    fn a_mistake_in_csv_names_its_line() {
        let head = "id,zone,row,number,ticket_type\n";
        for (body, expected) in [
            ("A1,A,1,1,VIP\nA1,A,1,2,VIP\n", "line 3: seat A1 is named twice"),
            ("A1,A,1,1,VIP\nA2,A,1,1,VIP\n", "line 3: zone A, row 1 has number 1 already"),
            ("A1,A,1,-1,VIP\n", "line 2: "),
            ("A1,A,1,1.5,VIP\n", "line 2: "),
            ("A1,A,1,70000,VIP\n", "line 2: "),
            ("A 1,A,1,1,VIP\n", "line 2: not a code"),
            ("A1,A,1,1\n", "line 2: has 4 fields instead of 5"),
            ("A1,A,1,1,VIP\n\nA2,A,1,x,VIP\n", "line 4: "),
            ("", "seats: there are none"),
        ] {
            let told = told(from_csv(format!("{head}{body}").as_bytes()));
            assert!(told[0].starts_with(expected), "{body:?} gave {told:?}");
        }
        assert!(told(from_csv(b"id,zone,row,number,ticket_type,price\nA1,A,1,1,VIP,5\n"))[0].contains("unknown field"));
        assert!(told(from_csv(b"id,zone\nA1,A\n"))[0].contains("missing field"));
        assert!(told(from_csv(b"id,zone,row,number,ticket_type\n\xff\xfe,A,1,1,VIP\n"))[0].contains("not UTF-8"));
    }

    #[test]
    fn a_mistake_in_json_names_its_place() {
        for (body, expected) in [
            ("", "seats: EOF"),
            (r#"{"seats": []}"#, "seats: there are none"),
            (r#"{"seats": [{"id": "A1"}]}"#, "seats: missing field `zone` at line 1"),
            (r#"{"seats": [], "price": 1}"#, "seats: unknown field `price`"),
            (r#"[[["A1", "A", "1", 1, "VIP", null, null, null]]]"#, "seats: an object is expected"),
        ] {
            let told = told(from_json(body.as_bytes()));
            assert!(told[0].starts_with(expected), "{body:?} gave {told:?}");
        }
        let seat = r#"{"id": "A1", "zone": "A", "row": "1", "number": 1, "ticket_type": "VIP", "blocked": true, "channel": "x"}"#;
        assert!(
            told(from_json(format!(r#"{{"seats": [{seat}]}}"#).as_bytes()))[0]
                .starts_with("seats[0]: a seat is blocked or")
        );
    }

    #[test]
    fn no_more_seats_than_the_limit_are_taken() {
        let mut text = String::from("id,zone,row,number,ticket_type\n");
        for i in 0..=MOST_SEATS {
            text.push_str(&format!("S{i},Z,{},{},T\n", i / 1000, i % 1000));
        }
        assert!(told(from_csv(text.as_bytes()))[0].contains("more than"));
    }
}
