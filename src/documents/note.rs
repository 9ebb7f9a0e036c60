//! The mail that tells of something: a greeting and a text, plain and as HTML.

use std::fmt::Write as _;

use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart, header::ContentType};

use super::{
    language::Language,
    mail::{Envelope, NotALetter, sealed},
    text::{escaped, plain},
};
use crate::domain::time::EventTime;

pub struct Telling<'a> {
    /// Of the mail: digits and letters.
    pub id: &'a str,
    pub from: &'a Mailbox,
    pub to: Mailbox,
    pub written_at: EventTime,
    pub language: Language,
    pub name: &'a str,
    /// One line.
    pub subject: &'a str,
    /// Paragraphs with an empty line between them.
    pub text: &'a str,
    /// Where it stands in the text, it can be followed.
    pub link: Option<&'a str>,
    /// A PDF.
    pub ticket: Option<Vec<u8>>,
}

/// RFC 5322. The same bytes for the same telling.
pub fn telling(telling: Telling) -> Result<Vec<u8>, NotALetter> {
    let words = telling.language.words();
    let greeting = format!("{}{}{}", words.greeting, plain(telling.name), words.greeting_end);
    let text = format!("{greeting}\n\n{}\n", telling.text);
    let said = MultiPart::alternative()
        .boundary(format!("said-{}", telling.id))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html(&telling, &greeting)));
    let Telling { id, from, to, written_at, subject, ticket, .. } = telling;
    let body = match ticket {
        None => said,
        Some(ticket) => {
            let kind = ContentType::parse("application/pdf").map_err(|_| NotALetter::Message)?;
            let parts = MultiPart::mixed().boundary(format!("parts-{id}")).multipart(said);
            parts.singlepart(Attachment::new("ticket.pdf".into()).body(ticket, kind))
        }
    };
    sealed(Envelope { id, from, to, written_at, subject: plain(subject) }, body)
}

fn html(telling: &Telling, greeting: &str) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font:16px/1.5 sans-serif;color:#121218;background:#fff\">\n<p>{}</p>\n",
        telling.language.tag(),
        escaped(telling.subject),
        escaped(greeting),
    );
    for paragraph in telling.text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let lines: Vec<_> = paragraph.lines().map(|line| shown(line, telling.link)).collect();
        let _ = writeln!(html, "<p>{}</p>", lines.join("<br>\n"));
    }
    html.push_str("</body></html>\n");
    html
}

fn shown(line: &str, link: Option<&str>) -> String {
    let escaped = escaped(line);
    if link == Some(line) { format!("<a href=\"{escaped}\">{escaped}</a>") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::mail::{receiver, sender};

    fn made(subject: &str, text: &str, link: Option<&str>) -> String {
        let from = sender("Tickets <tickets@shop.example>").expect("an address");
        let telling = Telling {
            id: "0a1b",
            from: &from,
            to: receiver("Ann", "ann@example.org").expect("an address"),
            written_at: EventTime(1_764_414_000_000),
            language: Language::English,
            name: "Ann",
            subject,
            text,
            link,
            ticket: None,
        };
        String::from_utf8(super::telling(telling).expect("a mail")).expect("encoded")
    }

    #[test]
    fn a_telling_is_the_same_each_time_and_has_a_link_where_there_is_one() {
        let link = "https://shop.example/verify/abc";
        let mail = made("Subject", &format!("Follow:\n\n{link}\n\nBye"), Some(link));
        assert_eq!(made("Subject", &format!("Follow:\n\n{link}\n\nBye"), Some(link)), mail);
        assert!(mail.contains("Message-ID: <0a1b@shop.example>") && mail.contains("Auto-Submitted: auto-generated"));
        assert!(mail.contains("Hello Ann,") && mail.contains("<a href="), "{mail}");
    }

    #[test]
    fn s_50_a_text_cannot_add_a_header_or_markup() {
        let mail = made("x\r\nBcc: all@example.org\r\n\r\nx", "<img src=x>\r\n.\r\nBcc: all@example.org", None);
        let head = mail.split("\r\n\r\n").next().expect("a head");
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc:")), "{head}");
        let (_, html) = mail.split_once("text/html").expect("an HTML part");
        assert!(!html.contains("<img"), "{html}");
    }
}
