//! The signature of a payment message: `t=SECONDS,v1=HEX` with `v1` = HMAC-SHA-256 of `t.body` under a shared secret.
//!
//! Owns form, freshness and comparison in constant time. Several secrets are good at once, while one is being replaced.

use aws_lc_rs::hmac;

use crate::http::hex::{hex, unhex};

pub const HEADER: &str = "onsale-signature";

/// A message older or newer than this is refused, in seconds: a copied one is of no use later.
pub const TOLERANCE_S: u64 = 300;

/// Of HMAC-SHA-256.
const TAG_BYTES: usize = 32;
/// More signatures than this are not looked at.
const MOST_SIGNATURES: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("the signature header is missing or malformed")]
    Malformed,
    #[error("the message is too old or from the future")]
    Stale,
    #[error("the signature does not match")]
    Mismatch,
}

pub fn sign(secret: &[u8], at_s: u64, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &message(at_s, body));
    format!("t={at_s},v1={}", hex(tag.as_ref()))
}

/// Good if any of the signatures was made with any of the secrets, of this body, now.
pub fn verify<S: AsRef<[u8]>>(header: &str, body: &[u8], secrets: &[S], now_s: u64) -> Result<(), Forged> {
    let mut at = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) if at.is_none() => at = Some(text.parse::<u64>().map_err(|_| Forged::Malformed)?),
            Some(("v1", text)) if signatures.len() < MOST_SIGNATURES => {
                signatures.push(unhex(text).filter(|tag| tag.len() == TAG_BYTES).ok_or(Forged::Malformed)?);
            }
            // A later scheme may stand beside ours.
            Some((name, _)) if !matches!(name, "t" | "v1") => {}
            _ => return Err(Forged::Malformed),
        }
    }
    let at = at.ok_or(Forged::Malformed)?;
    if signatures.is_empty() {
        return Err(Forged::Malformed);
    }
    if at.abs_diff(now_s) > TOLERANCE_S {
        return Err(Forged::Stale);
    }
    let message = message(at, body);
    let good = secrets.iter().any(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
        signatures.iter().any(|signature| hmac::verify(&key, &message, signature).is_ok())
    });
    if good { Ok(()) } else { Err(Forged::Mismatch) }
}

fn message(at_s: u64, body: &[u8]) -> Vec<u8> {
    let mut message = format!("{at_s}.").into_bytes();
    message.extend_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const BODY: &[u8] = br#"{"id": "evt_1"}"#;

    #[test]
    fn a_fresh_signature_by_any_current_secret_is_good() {
        let secrets = [b"new".as_slice(), b"old"];
        for secret in secrets {
            assert_eq!(verify(&sign(secret, NOW, BODY), BODY, &secrets, NOW + TOLERANCE_S), Ok(()));
        }
        let both = format!("{},v1={},v2=whatever", sign(b"gone", NOW, BODY), &sign(b"old", NOW, BODY)[16..]);
        assert_eq!(verify(&both, BODY, &secrets, NOW), Ok(()));
    }

    #[test]
    fn forged_stale_and_malformed_signatures_are_told_apart() {
        let good = sign(b"secret", NOW, BODY);
        let other_time = good.replace("t=1800000000", "t=1800000001");
        for (header, body, now, expected) in [
            (good.as_str(), br#"{"id": "evt_2"}"#.as_slice(), NOW, Forged::Mismatch),
            (&other_time, BODY, NOW, Forged::Mismatch),
            (&sign(b"other", NOW, BODY), BODY, NOW, Forged::Mismatch),
            (&sign(b"", NOW, BODY), BODY, NOW, Forged::Mismatch),
            (&good, BODY, NOW + TOLERANCE_S + 1, Forged::Stale),
            (&good, BODY, NOW - TOLERANCE_S - 1, Forged::Stale),
            ("", BODY, NOW, Forged::Malformed),
            ("t=1800000000", BODY, NOW, Forged::Malformed),
            (&good[13..], BODY, NOW, Forged::Malformed),
            (&format!("{good},t=1800000000"), BODY, NOW, Forged::Malformed),
            (&good[..good.len() - 2], BODY, NOW, Forged::Malformed),
            (&good.replace("v1=", "v1=zz"), BODY, NOW, Forged::Malformed),
            ("t=-1,v1=00", BODY, NOW, Forged::Malformed),
        ] {
            assert_eq!(verify(header, body, &[b"secret"], now), Err(expected), "{header}");
        }
        assert_eq!(verify::<&[u8]>(&good, BODY, &[], NOW), Err(Forged::Mismatch));
    }
}
