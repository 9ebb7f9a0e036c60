//! The proof of work that is asked of newcomers: never, always, or while too many come at once; and when that is.
//!
//! Keeps nothing of what it has asked: a challenge is signed, for one fan and one event. Whoever has a place is asked nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{
    app::App,
    config::Config,
    problem::{Code, Problem},
    tokens::lives::CHALLENGE_S,
    websocket::protocols,
};
use crate::{
    actors::directory::EventHandles,
    domain::{
        claims::{ChallengeClaim, Kind},
        id::{EventId, FanId},
        queue::Standing,
    },
};

/// A solved challenge: `TOKEN.NONCE`.
pub const HEADER: &str = "onsale-challenge";
/// The same among a socket's protocols.
const PROTOCOL_PREFIX: &str = "challenge.";
const MAX_NONCE: usize = 32;
/// A rush counts as one for so many seconds after its last second.
const RUSH_S: u64 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asking {
    Off,
    On,
    UnderLoad,
}

pub struct Challenges {
    asking: Asking,
    bits: u32,
    rush: Rush,
}

impl Challenges {
    pub fn new(config: &Config) -> Self {
        Self { asking: config.join_challenge, bits: config.join_challenge_bits, rush: Rush::above(config.join_rush) }
    }

    /// Counts a newcomer, where loads count; what is asked of newcomers just now, if `captcha` says so of captchas.
    pub fn looks(&self, captcha: Asking, now_s: u64) -> Asked {
        let counts = [self.asking, captcha].contains(&Asking::UnderLoad);
        let is_rush = counts && self.rush.goes_on(now_s);
        let is_asked = |asking| asking == Asking::On || (asking == Asking::UnderLoad && is_rush);
        Asked { challenge: is_asked(self.asking), captcha: is_asked(captcha) }
    }
}

/// Of newcomers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub challenge: bool,
    pub captcha: bool,
}

/// Lets whoever has a place pass, and who has worked for one.
pub async fn pass(
    app: &App,
    handles: &EventHandles,
    event: EventId,
    fan: FanId,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let Challenges { bits, .. } = app.challenges;
    if let Some(solution) = solution(headers)
        && is_solved(app, event, fan, solution).await
    {
        return Ok(());
    }
    if handles.waiting_room.standing(fan).await? != Standing::NotHere {
        return Ok(());
    }
    let challenge = app.tokens.sign(Kind::Challenge, fan, CHALLENGE_S, ChallengeClaim { evt: event, bits });
    Err(Problem::new(Code::ChallengeRequired).with("challenge", challenge).with("bits", bits))
}

fn solution(headers: &HeaderMap) -> Option<&str> {
    let by_header = headers.get(HEADER).and_then(|value| value.to_str().ok());
    by_header.or_else(|| protocols(headers).find_map(|offered| offered.strip_prefix(PROTOCOL_PREFIX)))
}

async fn is_solved(app: &App, event: EventId, fan: FanId, solution: &str) -> bool {
    let Some((challenge, nonce)) = solution.rsplit_once('.') else { return false };
    if nonce.len() > MAX_NONCE {
        return false;
    }
    let Ok(claims) = app.tokens.verify_challenge(challenge).await else { return false };
    claims.sub == fan
        && claims.about.evt == event
        && zero_bits(digest(&SHA256, solution.as_bytes()).as_ref()) >= claims.about.bits
}

/// That the hash begins with.
fn zero_bits(hash: &[u8]) -> u32 {
    let zeros = hash.iter().take_while(|byte| **byte == 0).count();
    zeros as u32 * 8 + hash.get(zeros).map_or(0, |byte| byte.leading_zeros())
}

/// Whether more than so many come in one second, at this node.
struct Rush {
    above: u32,
    second: AtomicU64,
    count: AtomicU32,
    until: AtomicU64,
}

impl Rush {
    fn above(above: u32) -> Self {
        Self { above, second: AtomicU64::new(0), count: AtomicU32::new(0), until: AtomicU64::new(0) }
    }

    /// Counts one. Two that turn to a new second together may lose a count.
    fn goes_on(&self, now_s: u64) -> bool {
        let count = if self.second.swap(now_s, Ordering::Relaxed) == now_s {
            self.count.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            self.count.store(1, Ordering::Relaxed);
            1
        };
        if count > self.above && self.until.swap(now_s + RUSH_S, Ordering::Relaxed) <= now_s {
            tracing::warn!(above = self.above, "a rush of joins: more is asked of newcomers");
        }
        now_s < self.until.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use http::header::SEC_WEBSOCKET_PROTOCOL;

    use super::*;

    #[test]
    fn bits_are_counted_from_the_first() {
        for (hash, bits) in
            [([0x80, 0], 0), ([0x40, 0], 1), ([0x01, 0xff], 7), ([0, 0xff], 8), ([0, 0x10], 11), ([0, 0], 16)]
        {
            assert_eq!(zero_bits(&hash), bits, "{hash:?}");
        }
    }

    #[test]
    fn a_rush_begins_with_one_too_many_in_a_second_and_is_over_a_minute_after_the_last() {
        let rush = Rush::above(3);
        assert!((0..3).all(|_| !rush.goes_on(100)));
        assert!((0..3).all(|_| !rush.goes_on(101)), "each second counts anew");
        assert!(rush.goes_on(101), "the fourth");
        assert!(rush.goes_on(160));
        assert!(!rush.goes_on(161));
    }

    #[test]
    fn a_solution_comes_in_a_header_or_among_a_sockets_protocols() {
        let mut headers = HeaderMap::new();
        assert_eq!(solution(&headers), None);
        headers.append(SEC_WEBSOCKET_PROTOCOL, "onsale.v1, ticket.a.b, challenge.x.y.z.7".parse().expect("a value"));
        assert_eq!(solution(&headers), Some("x.y.z.7"));
        headers.insert(HEADER, "u.v.w.8".parse().expect("a value"));
        assert_eq!(solution(&headers), Some("u.v.w.8"));
    }
}
