//! Passes for the wallets of telephones: what they say. Packing and signing is done by whoever has the keys.

use serde_json::{Value, json};

use super::{
    language::Language,
    programme::{Entry, Programme},
    text::plain,
    when,
};

/// Who gives out passes, as Apple knows it.
#[derive(Debug, Clone)]
pub struct Issuer {
    pub pass_type: String,
    pub team: String,
    /// As people read it.
    pub organization: String,
}

/// `pass.json` of a ticket with this code.
pub fn apple(programme: &Programme, entry: &Entry, code: &str, language: Language, issuer: &Issuer) -> Value {
    let words = language.words();
    let field = |key: &str, label: &str, value: String| json!({"key": key, "label": label, "value": value});
    let local = |time| when::local(time, &programme.time_zone);
    let starts = local(programme.starts_at);
    let place = format!("{}, {}", plain(&programme.venue), plain(&programme.city));
    let mut back = vec![
        field("price", words.price, entry.price.to_string()),
        field("order", words.order, entry.order.to_string()),
        field("ticket", words.ticket, entry.ticket.to_string()),
    ];
    if let Some(doors) = programme.doors_at {
        back.insert(0, field("doors", words.doors, when::time(&local(doors))));
    }
    json!({
        "formatVersion": 1,
        "passTypeIdentifier": issuer.pass_type,
        "teamIdentifier": issuer.team,
        "organizationName": issuer.organization,
        "serialNumber": entry.ticket.to_string(),
        "description": format!("{}: {}", words.ticket, plain(&programme.title)),
        "relevantDate": moment(&starts),
        "expirationDate": moment(&local(programme.ends_at)),
        "voided": programme.is_cancelled,
        "sharingProhibited": true,
        "backgroundColor": "rgb(31, 78, 140)",
        "foregroundColor": "rgb(255, 255, 255)",
        "labelColor": "rgb(200, 215, 235)",
        "barcodes": [{"format": "PKBarcodeFormatQR", "message": code, "messageEncoding": "iso-8859-1"}],
        "eventTicket": {
            "headerFields": [field("position", words.ticket, format!("{}/{}", entry.position, entry.of))],
            "primaryFields": [field("event", &place, plain(&programme.title))],
            "secondaryFields": [field("when", words.starts, when::long(&starts, language))],
            "auxiliaryFields": [
                field("kind", words.kind, plain(&entry.kind)),
                field("seat", words.seat, entry.seat_in(language)),
                field("holder", words.holder, plain(&entry.holder)),
            ],
            "backFields": back,
        },
    })
}

/// The payload of Google's "save to wallet": the event as a class, the ticket as an object of it.
pub fn google(
    programme: &Programme,
    entry: &Entry,
    code: &str,
    language: Language,
    (issuer, organization): (&str, &str),
) -> Value {
    let said = |text: String| json!({"defaultValue": {"language": language.tag(), "value": text}});
    let local = |time| moment(&when::local(time, &programme.time_zone));
    let class = format!("{issuer}.{}", programme.event);
    let mut times = json!({"start": local(programme.starts_at), "end": local(programme.ends_at)});
    if let Some(doors) = programme.doors_at {
        times["doorsOpen"] = json!(local(doors));
    }
    json!({
        "eventTicketClasses": [{
            "id": class,
            "issuerName": organization,
            "reviewStatus": "UNDER_REVIEW",
            "eventName": said(plain(&programme.title)),
            "venue": {"name": said(plain(&programme.venue)), "address": said(plain(&programme.city))},
            "dateTime": times,
        }],
        "eventTicketObjects": [{
            "id": format!("{issuer}.{}", entry.ticket),
            "classId": class,
            "state": if programme.is_cancelled { "INACTIVE" } else { "ACTIVE" },
            "ticketHolderName": plain(&entry.holder),
            "ticketNumber": entry.ticket.to_string(),
            "ticketType": said(plain(&entry.kind)),
            "seatInfo": {"seat": said(entry.seat_in(language))},
            "barcode": {"type": "QR_CODE", "value": code},
        }],
    })
}

/// RFC 3339, with the venue's offset.
fn moment(at: &jiff::Zoned) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::sample::{entry, programme};

    #[test]
    fn a_pass_says_what_the_ticket_says_in_the_venues_time() {
        let issuer = Issuer { pass_type: "pass.example".into(), team: "A1B2C3".into(), organization: "Shop".into() };
        let (programme, entry) = (programme("Noć\u{202E} u Zagrebu"), entry("김민수"));
        let pass = apple(&programme, &entry, "CODE", Language::Korean, &issuer);
        assert_eq!(pass["barcodes"][0]["message"], "CODE");
        assert_eq!(pass["relevantDate"], "2035-06-01T20:00:00+02:00");
        assert_eq!(pass["serialNumber"], entry.ticket.to_string());
        assert_eq!(pass["eventTicket"]["primaryFields"][0]["value"], "Noć u Zagrebu");
        assert_eq!(pass["eventTicket"]["auxiliaryFields"][2]["value"], "김민수");

        let saved = google(&programme, &entry, "CODE", Language::Croatian, ("3388", "Shop"));
        let (class, object) = (&saved["eventTicketClasses"][0], &saved["eventTicketObjects"][0]);
        assert_eq!(class["id"], object["classId"]);
        assert_eq!(class["dateTime"]["doorsOpen"], "2035-06-01T19:00:00+02:00");
        assert_eq!(object["barcode"], json!({"type": "QR_CODE", "value": "CODE"}));
        assert_eq!(object["ticketType"]["defaultValue"], json!({"language": "hr", "value": "Balcony"}));
    }
}
