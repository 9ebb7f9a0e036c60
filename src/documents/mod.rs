//! What a fan gets in hand: tickets as PDF, QR codes, calendar entries, passes for telephones, mails.
//!
//! Owns what they say, in each language, and how they look. Pure: no I/O and no clock; fonts arrive as bytes.
//!
//! Architecture invariant: knows `domain` only. Whatever people wrote passes [`text::plain`] before it gets into a document (S-50),
//! and nothing here makes links or scripts of it.

pub mod config;
pub mod fonts;
pub mod ics;
pub mod language;
pub mod mail;
pub mod note;
pub mod pdf;
pub mod programme;
pub mod qr;
#[cfg(test)]
mod sample;
mod sheet;
pub mod text;
pub mod wallet;
pub mod when;
