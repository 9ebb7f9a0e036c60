//! Fonts: which one has a character, and how wide a text comes out.
//!
//! Owns the built-in ones (`assets/fonts`): Latin, Greek and Cyrillic, and Korean. Others may be given for more scripts; what no font
//! has is shown as an empty box.

use harfrust::{Direction, FontRef, ShapeOptions, ShaperData, UnicodeBuffer};
use krilla::{
    Data,
    text::{Font, GlyphId, KrillaGlyph},
};
use skrifa::MetadataProvider;
use unicode_bidi::BidiInfo;

const SANS: &[u8] = include_bytes!("../../assets/fonts/onsale-sans.ttf");
const GOTHIC: &[u8] = include_bytes!("../../assets/fonts/onsale-gothic.ttf");

/// In the order in which they are asked for a character.
pub struct Fonts(Vec<Face>);

struct Face {
    bytes: Data,
    shaping: ShaperData,
    printed: Font,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a font that can be read")]
pub struct NotAFont;

/// A text as it is drawn, from left to right.
pub struct Shaped {
    pub runs: Vec<Run>,
    /// In units of the font's size.
    pub width: f32,
}

/// A part of it in one font.
pub struct Run {
    pub font: Font,
    pub text: String,
    pub glyphs: Vec<KrillaGlyph>,
    pub width: f32,
}

impl Fonts {
    pub fn built_in() -> Self {
        let faces = [SANS, GOTHIC].map(|bytes| Face::of(bytes.into()).expect("the built-in fonts are fonts"));
        Self(faces.into())
    }

    /// For what those before it lack.
    pub fn and(mut self, bytes: Vec<u8>) -> Result<Self, NotAFont> {
        self.0.push(Face::of(bytes.into()).ok_or(NotAFont)?);
        Ok(self)
    }

    /// One line.
    pub fn shape(&self, text: &str) -> Shaped {
        let mut runs = Vec::new();
        let bidi = BidiInfo::new(text, None);
        for paragraph in &bidi.paragraphs {
            let (levels, ranges) = bidi.visual_runs(paragraph, paragraph.range.clone());
            for range in ranges {
                let is_rtl = levels.get(range.start).is_some_and(unicode_bidi::Level::is_rtl);
                let mut parts = self.parts(text.get(range).unwrap_or_default());
                if is_rtl {
                    parts.reverse();
                }
                runs.extend(parts.into_iter().map(|(face, part)| face.shape(part, is_rtl)));
            }
        }
        let width = runs.iter().map(|run| run.width).sum();
        Shaped { runs, width }
    }

    pub fn width(&self, text: &str) -> f32 {
        self.shape(text).width
    }

    /// Stretches of one font. A letter goes to the first font that has it; what stands between letters stays in theirs.
    fn parts<'a>(&self, text: &'a str) -> Vec<(&Face, &'a str)> {
        let mut parts: Vec<(usize, usize)> = Vec::new();
        for (at, c) in text.char_indices() {
            let stays = parts.last().map(|(face, _)| *face).filter(|face| !c.is_alphanumeric() && self.has(*face, c));
            let face = stays.or_else(|| (0..self.0.len()).find(|face| self.has(*face, c)));
            let face = face.or_else(|| parts.last().map(|(face, _)| *face)).unwrap_or_default();
            if parts.last().is_none_or(|(last, _)| *last != face) {
                parts.push((face, at));
            }
        }
        let ends = parts.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
        let part = |((face, start), end): (&(usize, usize), usize)| Some((self.0.get(*face)?, text.get(*start..end)?));
        parts.iter().zip(ends).filter_map(part).collect()
    }

    fn has(&self, face: usize, c: char) -> bool {
        self.0.get(face).is_some_and(|face| face.font().charmap().map(c).is_some())
    }
}

impl Face {
    fn of(bytes: Data) -> Option<Self> {
        let font = FontRef::new(bytes.as_ref()).ok()?;
        let shaping = ShaperData::new(&font);
        let printed = Font::new(bytes.clone(), 0)?;
        Some(Self { bytes, shaping, printed })
    }

    fn font(&self) -> FontRef<'_> {
        FontRef::new(self.bytes.as_ref()).expect("it was read when it was taken in")
    }

    fn shape(&self, text: &str, is_rtl: bool) -> Run {
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        buffer.set_direction(if is_rtl { Direction::RightToLeft } else { Direction::LeftToRight });
        let font = self.font();
        let shaped = self.shaping.shaper(&font).build().shape(buffer, ShapeOptions::default());
        let mut starts: Vec<usize> = shaped.glyph_infos().iter().map(|info| info.cluster as usize).collect();
        starts.sort_unstable();
        let em = self.printed.units_per_em();
        let glyphs: Vec<_> = shaped
            .glyph_infos()
            .iter()
            .zip(shaped.glyph_positions())
            .map(|(info, position)| {
                let start = info.cluster as usize;
                let end = starts.get(starts.partition_point(|other| *other <= start)).copied().unwrap_or(text.len());
                let [advance, right, up, down] =
                    [position.x_advance, position.x_offset, position.y_offset, position.y_advance]
                        .map(|units| units as f32 / em);
                KrillaGlyph::new(GlyphId::new(info.glyph_id), advance, right, up, down, start..end, None)
            })
            .collect();
        let width = glyphs.iter().map(|glyph| glyph.x_advance).sum();
        Run { font: self.printed.clone(), text: text.to_owned(), glyphs, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        Fonts::built_in().shape(text).runs.into_iter().map(|run| run.text).collect()
    }

    #[test]
    fn each_letter_gets_a_font_that_has_it() {
        assert_eq!(texts("Ana Marić"), ["Ana Marić"]);
        assert_eq!(texts("서울 Hall 똠방각하"), ["서울 ", "Hall ", "똠방각하"]);
        let missing = |text: &str| {
            Fonts::built_in()
                .shape(text)
                .runs
                .iter()
                .flat_map(|run| &run.glyphs)
                .filter(|glyph| glyph.glyph_id.to_u32() == 0)
                .count()
        };
        assert_eq!(missing("ČčĆćĐđŠšŽž Ελλάδα Україна 20 € ₩ 가힣 „“ – …"), 0);
        assert_eq!(missing("漢"), 1);
    }

    #[test]
    fn the_width_is_that_of_all_runs_and_nothing_is_as_wide_as_nothing() {
        let fonts = Fonts::built_in();
        assert!(fonts.width("") < f32::EPSILON);
        let (one, two) = (fonts.width("서울"), fonts.width("서울서울"));
        assert!((two - 2.0 * one).abs() < 0.001, "{one} {two}");
        assert!(fonts.width("WWW") > fonts.width("iii"));
    }

    #[test]
    fn what_is_written_from_right_to_left_is_drawn_from_its_end() {
        let shaped = Fonts::built_in().shape("abc אבג def");
        let order: Vec<_> = shaped.runs.iter().map(|run| run.text.trim()).collect();
        assert_eq!(order, ["abc", "אבג", "def"]);
        let hebrew = &shaped.runs[1];
        let starts: Vec<_> = hebrew.glyphs.iter().map(|glyph| glyph.text_range.start).collect();
        assert!(starts.is_sorted_by(|a, b| a >= b), "{starts:?}");
    }

    #[test]
    fn a_file_that_is_no_font_is_refused() {
        assert!(Fonts::built_in().and(b"hello".to_vec()).is_err());
        assert!(Fonts::built_in().and(SANS.to_vec()).is_ok());
    }
}
