//! QR codes: which squares are dark, and the same as SVG.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// A square of modules, without the light border.
pub struct Qr {
    side: usize,
    dark: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than fits into a QR code")]
pub struct TooLong;

/// Dark modules side by side in one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    pub x: usize,
    pub y: usize,
    pub length: usize,
}

impl Qr {
    /// Modules that must be light around it (ISO/IEC 18004).
    pub const BORDER: usize = 4;

    /// Readable with up to 15 % of it lost: a ticket is folded, and a screen is scratched.
    pub fn of(text: &str) -> Result<Self, TooLong> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| TooLong)?;
        let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
        Ok(Self { side: code.width(), dark })
    }

    pub fn side(&self) -> usize {
        self.side
    }

    pub fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        for (y, row) in self.dark.chunks(self.side).enumerate() {
            let mut x = 0;
            for stretch in row.chunk_by(|one, next| one == next) {
                if stretch.first() == Some(&true) {
                    bars.push(Bar { x, y, length: stretch.len() });
                }
                x += stretch.len();
            }
        }
        bars
    }

    pub fn svg(&self) -> String {
        let (border, side) = (Self::BORDER, self.side + 2 * Self::BORDER);
        let mut path = String::new();
        for Bar { x, y, length } in self.bars() {
            let _ = write!(path, "M{} {}h{length}v1h-{length}z", x + border, y + border);
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{0}\" height=\"{0}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/><path fill=\"#000\" \
             d=\"{path}\"/></svg>\n",
            side * 8
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_the_dark_modules() {
        let qr = Qr::of("AQJoZWxsbw").expect("short");
        let dark = qr.dark.iter().filter(|dark| **dark).count();
        assert_eq!(qr.bars().iter().map(|bar| bar.length).sum::<usize>(), dark);
        // The corner of a finder: seven dark ones, then light.
        assert_eq!(qr.bars().first(), Some(&Bar { x: 0, y: 0, length: 7 }));
        assert_eq!(qr.side() * qr.side(), qr.dark.len());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Qr::of(&"a".repeat(3_000)).is_err());
    }
}
