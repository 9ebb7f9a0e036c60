//! The mail that tells somebody who waited of an offer: what is held, and until when.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{
    language::Language,
    mail::NotALetter,
    programme::Programme,
    text::{escaped, plain},
    when,
};
use crate::domain::{code::SeatId, id::OrderRef, money::Money, time::EventTime};

pub struct Offer<'a> {
    /// Of the mail: digits and letters.
    pub id: &'a str,
    pub from: &'a Mailbox,
    pub to: Mailbox,
    pub written_at: EventTime,
    pub language: Language,
    pub programme: &'a Programme,
    /// Whom it is for.
    pub name: &'a str,
    pub order: OrderRef,
    pub lines: Vec<Line>,
    pub total: Money,
    pub expires_at: EventTime,
}

pub struct Line {
    pub quantity: u32,
    /// The ticket type's name.
    pub kind: String,
    pub seats: Vec<SeatId>,
}

struct Words {
    subject: &'static str,
    offered: &'static str,
    until: &'static str,
    after: &'static str,
    total: &'static str,
}

static ENGLISH: Words = Words {
    subject: "Tickets for you",
    offered: "tickets that you wait for have become free. They are held for you:",
    until: "Pay for them by",
    after: "What is not paid by then goes to the next who waits, and you wait no more.",
    total: "Total",
};

static CROATIAN: Words = Words {
    subject: "Ulaznice za Vas",
    offered: "oslobodile su se ulaznice na koje čekate. Čuvamo ih za Vas:",
    until: "Platite ih do",
    after: "Što do tada nije plaćeno dobiva sljedeća osoba na listi, a Vi više niste na njoj.",
    total: "Ukupno",
};

static KOREAN: Words = Words {
    subject: "예매 가능한 입장권이 있습니다",
    offered: "기다리시던 입장권이 나왔습니다. 다음 입장권을 맡아 두고 있습니다.",
    until: "결제 기한:",
    after: "기한까지 결제하지 않으시면 다음 대기자에게 넘어가며 대기도 끝납니다.",
    total: "합계",
};

const fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Croatian => &CROATIAN,
        Language::Korean => &KOREAN,
    }
}

/// RFC 5322.
pub fn mail(offer: &Offer) -> Result<Vec<u8>, NotALetter> {
    let (id, words) = (offer.id, words(offer.language));
    let said = MultiPart::alternative()
        .boundary(format!("said-{id}"))
        .singlepart(SinglePart::plain(text(offer, words)))
        .singlepart(SinglePart::html(html(offer, words)));
    let message = Message::builder()
        .message_id(Some(format!("<{id}@{}>", offer.from.email.domain())))
        .date(UNIX_EPOCH + Duration::from_millis(offer.written_at.0))
        .from(offer.from.clone())
        .to(offer.to.clone())
        .subject(format!("{}: {}", words.subject, plain(&offer.programme.title)))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
        .multipart(said)
        .map_err(|_| NotALetter::Message)?;
    Ok(message.formatted())
}

/// A paragraph each, of a line or more.
fn paragraphs(offer: &Offer, words: &Words) -> Vec<Vec<String>> {
    let (programme, common) = (offer.programme, offer.language.words());
    let local = |time| when::long(&when::local(time, &programme.time_zone), offer.language);
    let line = |line: &Line| {
        let seats: Vec<_> = line.seats.iter().map(ToString::to_string).collect();
        let seats = if seats.is_empty() { String::new() } else { format!(" ({})", seats.join(", ")) };
        format!("{} × {}{seats}", line.quantity, plain(&line.kind))
    };
    let mut held: Vec<_> = offer.lines.iter().map(line).collect();
    held.push(format!("{}: {}", words.total, offer.total));
    vec![
        vec![format!("{}{}{}", common.greeting, plain(offer.name), common.greeting_end)],
        vec![words.offered.to_owned()],
        vec![
            plain(&programme.title),
            local(programme.starts_at),
            format!("{}, {}", plain(&programme.venue), plain(&programme.city)),
        ],
        held,
        vec![format!("{} {}", words.until, local(offer.expires_at)), words.after.to_owned()],
        vec![format!("{} {}", common.order, offer.order)],
    ]
}

fn text(offer: &Offer, words: &Words) -> String {
    let paragraphs: Vec<_> = paragraphs(offer, words).iter().map(|lines| lines.join("\n")).collect();
    paragraphs.join("\n\n") + "\n"
}

fn html(offer: &Offer, words: &Words) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font:16px/1.5 sans-serif;color:#121218;background:#fff\">\n",
        offer.language.tag(),
        escaped(words.subject),
    );
    for lines in paragraphs(offer, words) {
        let lines: Vec<_> = lines.iter().map(|line| escaped(line)).collect();
        let _ = writeln!(html, "<p>{}</p>", lines.join("<br>\n"));
    }
    html.push_str("</body></html>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        documents::{mail, sample},
        domain::{
            id::{EventId, OrderId},
            money::Currency,
        },
    };

    fn made(title: &str, name: &str, language: Language) -> String {
        let from = mail::sender("Tickets <tickets@shop.example>").expect("an address");
        let offer = Offer {
            id: "0a1b",
            from: &from,
            to: mail::receiver(name, "ann@example.org").expect("an address"),
            written_at: EventTime(1_764_414_000_000),
            language,
            programme: &sample::programme(title),
            name,
            order: OrderRef { event: EventId::from_u128(1), order: OrderId::from_u128(2) },
            lines: vec![Line { quantity: 2, kind: "Floor".into(), seats: vec!["A-1-2".parse().expect("code")] }],
            total: Money { minor: 9_000, currency: Currency::EUR },
            expires_at: EventTime(1_764_428_400_000),
        };
        String::from_utf8(super::mail(&offer).expect("a mail")).expect("encoded")
    }

    #[test]
    fn it_says_what_is_held_and_until_when_in_each_language() {
        for language in Language::ALL {
            let mail = made("A concert", "Ann", language);
            assert!(mail.contains("Message-ID: <0a1b@shop.example>"), "{mail}");
        }
        let mail = made("A concert", "Ann", Language::English);
        for part in ["Tickets for you: A concert", "(A-1-2)", "Pay for them by", "29 November 2025", "90.00"] {
            assert!(mail.contains(part), "{part} is not in {mail}");
        }
    }

    #[test]
    fn s_50_a_name_or_title_cannot_add_a_header_or_markup() {
        let hostile = "x\r\nBcc: all@example.org\r\n\r\n<img src=x onerror=alert(1)>";
        let mail = made(hostile, hostile, Language::English);
        let head = mail.split("\r\n\r\n").next().expect("a head").to_lowercase();
        assert!(!head.lines().any(|line| line.starts_with("bcc:")), "{head}");
        let (_, html) = mail.split_once("text/html").expect("an HTML part");
        assert!(!html.contains("<img"), "{html}");
    }
}
