//! A page that is written on from top to bottom: lines of text that break and end in time, boxes and rules.
//!
//! Lengths in points. Draws nothing that can be clicked.

use krilla::{
    color::rgb,
    geom::{PathBuilder, Point, Rect},
    num::NormalizedF32,
    paint::{Fill, FillRule},
    surface::Surface,
};

use super::{fonts::Fonts, text};

#[derive(Debug, Clone, Copy)]
pub(super) struct Ink(pub u8, pub u8, pub u8);

pub(super) const BLACK: Ink = Ink(0x12, 0x12, 0x18);
pub(super) const GREY: Ink = Ink(0x66, 0x66, 0x70);
pub(super) const ACCENT: Ink = Ink(0x1f, 0x4e, 0x8c);

pub(super) struct Sheet<'a, 'b> {
    pub surface: &'a mut Surface<'b>,
    pub fonts: &'a Fonts,
}

/// Where a text may go: from its first line's base, so wide, in so many lines at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub x: f32,
    pub width: f32,
    pub size: f32,
    pub lines: usize,
}

impl Column {
    fn leading(self) -> f32 {
        self.size * 1.3
    }
}

impl Sheet<'_, '_> {
    /// One line; where it ends.
    pub fn line(&mut self, x: f32, y: f32, size: f32, ink: Ink, text: &str) -> f32 {
        self.fill(ink);
        let mut x = x;
        for run in self.fonts.shape(text).runs {
            self.surface.draw_glyphs(Point::from_xy(x, y), &run.glyphs, run.font, &run.text, size, false);
            x += run.width * size;
        }
        x
    }

    /// As many lines as it takes and the column allows; the base of a line after them.
    pub fn paragraph(&mut self, column: Column, y: f32, ink: Ink, text: &str) -> f32 {
        let mut y = y;
        for line in broken(self.fonts, text, column.width / column.size, column.lines) {
            self.line(column.x, y, column.size, ink, &line);
            y += column.leading();
        }
        y
    }

    pub fn rule(&mut self, x: f32, y: f32, width: f32) {
        self.boxes(Ink(0xd0, 0xd0, 0xd8), [[x, y, width, 0.75]]);
    }

    /// Filled ones: left, top, width, height.
    pub fn boxes(&mut self, ink: Ink, boxes: impl IntoIterator<Item = [f32; 4]>) {
        self.fill(ink);
        let mut path = PathBuilder::new();
        for [x, y, width, height] in boxes {
            if let Some(rect) = Rect::from_xywh(x, y, width, height) {
                path.push_rect(rect);
            }
        }
        if let Some(path) = path.finish() {
            self.surface.draw_path(&path);
        }
    }

    fn fill(&mut self, Ink(red, green, blue): Ink) {
        let paint = rgb::Color::new(red, green, blue).into();
        self.surface.set_fill(Some(Fill { paint, opacity: NormalizedF32::ONE, rule: FillRule::default() }));
    }
}

/// Lines no wider than `width`, in units of the font's size: between words, and within one that is wider than a line. What finds no
/// room in the last one is cut off.
fn broken(fonts: &Fonts, text: &str, width: f32, most: usize) -> Vec<String> {
    let space = fonts.width(" ");
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0.0);
    for word in text.split_whitespace().flat_map(|word| pieces(fonts, word, width)) {
        let long = fonts.width(&word);
        if !line.is_empty() && used + space + long > width {
            lines.push(std::mem::take(&mut line));
            used = 0.0;
        }
        if !line.is_empty() {
            line.push(' ');
            used += space;
        }
        line.push_str(&word);
        used += long;
    }
    lines.push(line);
    if lines.len() > most {
        let rest = lines.split_off(most.saturating_sub(1)).join(" ");
        // The longest that fits, by halving: a wider text takes longer to measure, too.
        let (mut length, mut too_long) = (1, rest.chars().count() + 1);
        while length + 1 < too_long {
            let half = usize::midpoint(length, too_long);
            if fonts.width(&text::shortened(&rest, half)) <= width {
                length = half;
            } else {
                too_long = half;
            }
        }
        lines.push(text::shortened(&rest, length));
    }
    lines
}

/// A word, cut where it is wider than a line.
fn pieces(fonts: &Fonts, word: &str, width: f32) -> Vec<String> {
    if fonts.width(word) <= width {
        return vec![word.to_owned()];
    }
    let mut pieces = Vec::new();
    let (mut piece, mut used) = (String::new(), 0.0);
    for c in word.chars() {
        let long = fonts.width(c.encode_utf8(&mut [0; 4]));
        if !piece.is_empty() && used + long > width {
            pieces.push(std::mem::take(&mut piece));
            used = 0.0;
        }
        piece.push(c);
        used += long;
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_within_long_ones_and_end_with_an_ellipsis() {
        let fonts = Fonts::built_in();
        let width = fonts.width("Philharmonic");
        let lines = |text: &str, most| broken(&fonts, text, width, most);
        assert_eq!(lines("Zagreb Philharmonic", 3), ["Zagreb", "Philharmonic"]);
        assert_eq!(lines("", 3), [""]);
        let long = "W".repeat(200);
        let broken = lines(&long, 50);
        assert!(broken.len() > 5 && broken.concat() == long);
        assert!(broken.iter().all(|line| fonts.width(line) <= width + 0.001));
        let cut = lines("Zagreb Philharmonic and a choir of a hundred", 2);
        assert_eq!(cut.len(), 2);
        assert!(cut[1].ends_with('…') && fonts.width(&cut[1]) <= width, "{cut:?}");
    }
}
