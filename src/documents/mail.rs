//! The mail that brings the tickets of an order: text and HTML, with PDF and calendar entry attached.
//!
//! The same bytes for the same letter, however often it goes out: its id makes the Message-ID and the boundaries.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use lettre::{
    Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::{
    language::{Language, Words},
    programme::{Entry, Programme},
    text::{escaped, plain},
    when,
};
use crate::domain::time::EventTime;

pub struct Letter<'a> {
    /// Of the mail: digits and letters.
    pub id: &'a str,
    pub from: &'a Mailbox,
    pub to: Mailbox,
    pub written_at: EventTime,
    pub language: Language,
    pub programme: &'a Programme,
    /// One at least.
    pub entries: &'a [Entry],
    pub pdf: Vec<u8>,
    pub calendar: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotALetter {
    #[error("not an address that mails can go to")]
    Address,
    #[error("not a mail")]
    Message,
}

/// Whom mails are from, as the configuration says it: an address, or `Name <address>`.
pub fn sender(text: &str) -> Result<Mailbox, NotALetter> {
    text.parse().map_err(|_| NotALetter::Address)
}

/// The name as somebody wrote it; the address is checked.
pub fn receiver(name: &str, address: &str) -> Result<Mailbox, NotALetter> {
    let address = address.parse().map_err(|_| NotALetter::Address)?;
    Ok(Mailbox::new(Some(plain(name)).filter(|name| !name.is_empty()), address))
}

/// RFC 5322.
pub fn tickets(letter: Letter) -> Result<Vec<u8>, NotALetter> {
    let (text, html) = (text(&letter), html(&letter));
    let Letter { id, from, to, written_at, language, programme, pdf, calendar, .. } = letter;
    let subject = format!("{}: {}", language.words().subject, plain(&programme.title));
    let kind = |kind: &str| ContentType::parse(kind).map_err(|_| NotALetter::Message);
    let said = MultiPart::alternative()
        .boundary(format!("said-{id}"))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html));
    let parts = MultiPart::mixed()
        .boundary(format!("parts-{id}"))
        .multipart(said)
        .singlepart(Attachment::new("tickets.pdf".into()).body(pdf, kind("application/pdf")?))
        .singlepart(Attachment::new("event.ics".into()).body(calendar, kind("text/calendar; charset=utf-8")?));
    sealed(Envelope { id, from, to, written_at, subject }, parts)
}

/// Of every mail.
pub(super) struct Envelope<'a> {
    /// Digits and letters: of a repeat the same.
    pub id: &'a str,
    pub from: &'a Mailbox,
    pub to: Mailbox,
    pub written_at: EventTime,
    pub subject: String,
}

pub(super) fn sealed(envelope: Envelope, body: MultiPart) -> Result<Vec<u8>, NotALetter> {
    let Envelope { id, from, to, written_at, subject } = envelope;
    let message = Message::builder()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .date(UNIX_EPOCH + Duration::from_millis(written_at.0))
        .from(from.clone())
        .to(to)
        .subject(subject)
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
        .multipart(body)
        .map_err(|_| NotALetter::Message)?;
    Ok(message.formatted())
}

fn greeting(words: &Words, entry: Option<&Entry>) -> String {
    let name = entry.map(|entry| plain(&entry.holder)).unwrap_or_default();
    format!("{}{name}{}", words.greeting, words.greeting_end)
}

/// What the event is, when and where: a line each.
fn event(letter: &Letter) -> Vec<String> {
    let (programme, words) = (letter.programme, letter.language.words());
    let local = |time| when::local(time, &programme.time_zone);
    let mut lines = vec![plain(&programme.title), when::long(&local(programme.starts_at), letter.language)];
    lines.extend(programme.doors_at.map(|doors| format!("{} {}", words.doors, when::time(&local(doors)))));
    lines.push(format!("{}, {}", plain(&programme.venue), plain(&programme.city)));
    if programme.is_cancelled {
        lines.push(words.cancelled.to_owned());
    }
    lines
}

fn ticket(letter: &Letter, entry: &Entry) -> String {
    let words = letter.language.words();
    let (position, of, seat) = (entry.position, entry.of, entry.seat_in(letter.language));
    format!("{} {position}/{of}: {}, {seat}, {}", words.ticket, plain(&entry.kind), entry.price)
}

fn order(letter: &Letter) -> String {
    let order = letter.entries.first().map(|entry| entry.order.to_string()).unwrap_or_default();
    format!("{} {order}", letter.language.words().order)
}

fn text(letter: &Letter) -> String {
    let words = letter.language.words();
    let mut text = format!("{}\n\n{}\n\n", greeting(words, letter.entries.first()), words.attached);
    for line in event(letter) {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    for entry in letter.entries {
        let _ = writeln!(text, "{}", ticket(letter, entry));
    }
    let _ = write!(text, "{}\n\n{}\n", order(letter), words.keep);
    text
}

fn html(letter: &Letter) -> String {
    let words = letter.language.words();
    let mut html = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font:16px/1.5 sans-serif;color:#121218;background:#fff\">\n<p>{}</p>\n<p>{}</p>\n",
        letter.language.tag(),
        escaped(words.subject),
        escaped(&greeting(words, letter.entries.first())),
        escaped(words.attached),
    );
    let lines: Vec<_> = event(letter).iter().map(|line| escaped(line)).collect();
    if let Some((title, rest)) = lines.split_first() {
        let _ = write!(html, "<h1 style=\"font-size:22px\">{title}</h1>\n<p>{}</p>\n", rest.join("<br>\n"));
    }
    html.push_str("<ul>\n");
    for entry in letter.entries {
        let _ = writeln!(html, "<li>{}</li>", escaped(&ticket(letter, entry)));
    }
    let _ = write!(html, "</ul>\n<p>{}</p>\n<p>{}</p>\n</body></html>\n", escaped(&order(letter)), escaped(words.keep));
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::sample;

    fn made(title: &str, name: &str, language: Language) -> String {
        let from = sender("Tickets <tickets@shop.example>").expect("an address");
        let letter = Letter {
            id: "0a1b",
            from: &from,
            to: receiver(name, "ann@example.org").expect("an address"),
            written_at: EventTime(1_764_414_000_000),
            language,
            programme: &sample::programme(title),
            entries: &[sample::entry(name)],
            pdf: b"%PDF-1.7 \r\n\0\xff".to_vec(),
            calendar: "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".into(),
        };
        String::from_utf8(tickets(letter).expect("a mail")).expect("encoded")
    }

    /// Up to the first empty line, each with its continuations.
    fn headers(mail: &str) -> Vec<String> {
        let head = mail.split("\r\n\r\n").next().expect("a head").replace("\r\n ", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_mail_is_the_same_each_time_and_names_itself() {
        let mail = made("Noć u Zagrebu", "김민수", Language::Korean);
        assert_eq!(made("Noć u Zagrebu", "김민수", Language::Korean), mail);
        let headers = headers(&mail);
        for header in ["Message-ID: <0a1b@shop.example>", "Auto-Submitted: auto-generated", "MIME-Version: 1.0"] {
            assert!(headers.iter().any(|one| one == header), "{header} is not in {headers:?}");
        }
        for part in
            ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf", "text/calendar"]
        {
            assert!(mail.contains(part), "{part} is not in {mail}");
        }
    }

    #[test]
    fn s_50_a_name_or_title_cannot_add_a_header_or_markup() {
        let hostile = "x\r\nBcc: all@example.org\r\n\r\n<img src=x onerror=alert(1)>";
        let mail = made(hostile, hostile, Language::English);
        let headers = headers(&mail);
        assert!(!headers.iter().any(|header| header.to_lowercase().starts_with("bcc:")), "{headers:?}");
        assert_eq!(headers.iter().filter(|header| header.starts_with("To:")).count(), 1);
        let (_, html) = mail.split_once("text/html").expect("an HTML part");
        assert!(!html.contains("<img"), "{html}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["", "ann", "ann@", "a\r\nb@example.org", "a@example.org\r\nBcc: b@example.org"] {
            assert!(receiver("Ann", wrong).is_err(), "{wrong:?}");
        }
        assert!(sender("tickets@shop.example").is_ok());
    }
}
