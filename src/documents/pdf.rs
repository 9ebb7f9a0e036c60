//! Tickets as PDF: one A4 page for each.
//!
//! Made of drawn text and filled boxes only: no links, forms, scripts or attachments, whatever people wrote.

use krilla::{Document, metadata::Metadata, page::PageSettings};

use super::{
    fonts::Fonts,
    language::Language,
    programme::{Entry, Programme},
    qr::Qr,
    sheet::{ACCENT, BLACK, Column, GREY, Ink, Sheet},
    text::plain,
    when,
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tickets cannot be printed: {0}")]
pub struct NotPrinted(String);

/// A4, in points.
const PAGE: (f32, f32) = (595.28, 841.89);
const MARGIN: f32 = 48.0;
const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
/// Of the QR code with its light border: 66 mm, which a telephone reads at arm's length.
const CODE: f32 = 188.0;

/// The same bytes for the same arguments.
pub fn tickets(
    programme: &Programme,
    entries: &[Entry],
    language: Language,
    fonts: &Fonts,
) -> Result<Vec<u8>, NotPrinted> {
    let mut document = Document::new();
    let title = plain(&programme.title);
    let metadata = Metadata::new().title(title).creator("onsale".into()).language(language.tag().into());
    document.set_metadata(metadata);
    for entry in entries {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| NotPrinted("no such page".into()))?;
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        draw(Sheet { surface: &mut surface, fonts }, programme, entry, language)?;
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|error| NotPrinted(error.to_string()))
}

fn draw(mut sheet: Sheet, programme: &Programme, entry: &Entry, language: Language) -> Result<(), NotPrinted> {
    let below = head(&mut sheet, programme, entry, language);
    sheet.rule(MARGIN, below, WIDTH);
    let top = below + 28.0;
    let left = facts(&mut sheet, programme, entry, language, top);
    if let Some(code) = &entry.code {
        let qr = Qr::of(code).map_err(|error| NotPrinted(error.to_string()))?;
        stamp(&mut sheet, &qr, PAGE.0 - MARGIN - CODE, top - 12.0);
    }
    let below = left.max(top + CODE);
    sheet.rule(MARGIN, below, WIDTH);
    foot(&mut sheet, entry, language, below + 22.0);
    Ok(())
}

/// What the event is, when and where.
fn head(sheet: &mut Sheet, programme: &Programme, entry: &Entry, language: Language) -> f32 {
    let words = language.words();
    sheet.boxes(ACCENT, [[0.0, 0.0, PAGE.0, 10.0]]);
    sheet.line(MARGIN, 56.0, 11.0, ACCENT, &format!("{} {}/{}", words.ticket, entry.position, entry.of));
    let column = |size, lines| Column { x: MARGIN, width: WIDTH, size, lines };
    let y = sheet.paragraph(column(26.0, 3), 92.0, BLACK, &plain(&programme.title));
    let local = |time| when::local(time, &programme.time_zone);
    let y = sheet.paragraph(column(14.0, 2), y + 2.0, BLACK, &when::long(&local(programme.starts_at), language));
    let mut times = Vec::new();
    if let Some(doors) = programme.doors_at {
        times.push(format!("{} {}", words.doors, when::time(&local(doors))));
    }
    times.push(format!("{} {}", words.ends, when::time(&local(programme.ends_at))));
    let y = sheet.paragraph(column(11.0, 1), y, GREY, &times.join("  ·  "));
    let place = format!("{}, {}", plain(&programme.venue), plain(&programme.city));
    let y = sheet.paragraph(column(14.0, 2), y + 6.0, BLACK, &place);
    let y = if programme.is_cancelled {
        sheet.paragraph(column(12.0, 2), y + 4.0, Ink(0xb0, 0x10, 0x10), words.cancelled)
    } else {
        y
    };
    y + 2.0
}

/// What this ticket is, beside the code.
fn facts(sheet: &mut Sheet, programme: &Programme, entry: &Entry, language: Language, top: f32) -> f32 {
    let words = language.words();
    let mut facts = vec![
        (words.kind, plain(&entry.kind), 15.0),
        (words.seat, entry.seat_in(language), 15.0),
        (words.holder, plain(&entry.holder), 15.0),
        (words.price, entry.price.to_string(), 12.0),
    ];
    if let Some(age) = programme.age_limit {
        facts.push((words.age, age.to_string(), 12.0));
    }
    facts.push((words.order, entry.order.to_string(), 8.0));
    facts.push((words.ticket, entry.ticket.to_string(), 8.0));
    let width = WIDTH - CODE - 24.0;
    facts.into_iter().fold(top, |y, (label, said, size)| {
        sheet.line(MARGIN, y, 9.0, GREY, label);
        let column = Column { x: MARGIN, width, size, lines: 2 };
        sheet.paragraph(column, y + 4.0 + size, BLACK, &said) + 8.0
    })
}

fn stamp(sheet: &mut Sheet, qr: &Qr, x: f32, y: f32) {
    let modules = |count: usize| f32::from(u16::try_from(count).unwrap_or(u16::MAX));
    let module = CODE / modules(qr.side() + 2 * Qr::BORDER);
    let at = |count: usize| modules(count + Qr::BORDER) * module;
    let bars = qr.bars().into_iter().map(|bar| [x + at(bar.x), y + at(bar.y), modules(bar.length) * module, module]);
    sheet.boxes(Ink(0xff, 0xff, 0xff), [[x, y, CODE, CODE]]);
    sheet.boxes(Ink(0, 0, 0), bars);
}

/// The code as text, for who has no camera, and what to do with it.
fn foot(sheet: &mut Sheet, entry: &Entry, language: Language, top: f32) {
    let words = language.words();
    let Some(code) = &entry.code else {
        sheet.paragraph(Column { x: MARGIN, width: WIDTH, size: 12.0, lines: 4 }, top + 3.0, BLACK, words.rotating);
        return;
    };
    sheet.line(MARGIN, top, 9.0, GREY, words.code);
    let y = sheet.paragraph(Column { x: MARGIN, width: WIDTH, size: 9.0, lines: 4 }, top + 13.0, BLACK, code);
    sheet.paragraph(Column { x: MARGIN, width: WIDTH, size: 10.0, lines: 4 }, y + 10.0, GREY, words.keep);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::sample::{entry, programme};

    fn made(title: &str, holder: &str, language: Language) -> Vec<u8> {
        tickets(&programme(title), &[entry(holder), entry(holder)], language, &Fonts::built_in()).expect("printed")
    }

    fn contains(pdf: &[u8], what: &str) -> bool {
        pdf.windows(what.len()).any(|window| window == what.as_bytes())
    }

    #[test]
    fn a_ticket_is_a_small_pdf_with_its_fonts_in_it_and_the_same_each_time() {
        for language in Language::ALL {
            let pdf = made("Noć u Zagrebu", "김민수 Marić", language);
            assert!(pdf.starts_with(b"%PDF-1.") && contains(&pdf, "%%EOF"));
            assert!(contains(&pdf, "/FontFile2"), "not embedded");
            assert!(pdf.len() < 100_000, "{} bytes: fonts are not cut down", pdf.len());
            assert_eq!(made("Noć u Zagrebu", "김민수 Marić", language), pdf);
        }
    }

    #[test]
    fn s_50_nothing_that_people_write_becomes_an_action_of_the_pdf() {
        let hostile = "(/x) >> /JS (app.alert(1)) /URI (http://e.example) endobj \r\n%%EOF <script> \u{202E}";
        let pdf = made(hostile, hostile, Language::English);
        for name in ["/JavaScript", "/OpenAction", "/AA", "/Annots", "/AcroForm", "/EmbeddedFiles", "/Launch"] {
            assert!(!contains(&pdf, name), "{name}");
        }
    }

    #[test]
    fn the_longest_texts_have_room() {
        let long = "漢字 Čaroban ".repeat(50);
        let mut programme = programme(&long);
        (programme.venue, programme.city, programme.is_cancelled) = (long.clone(), long.clone(), true);
        let mut entry = entry(&long);
        entry.kind = long;
        tickets(&programme, &[entry], Language::Korean, &Fonts::built_in()).expect("printed");
    }
}
