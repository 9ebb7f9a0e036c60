//! Invites to the queue of an event: signed, for one event, good until a time. Whose an invite has become, and which are withdrawn,
//! is in the event's journal; those that nobody has used are kept nowhere.
//!
//! Owns their form: `version u8 = 1 | id, 16 bytes | good until, seconds since 1970, u64 big-endian | first 16 bytes of HMAC-SHA-256
//! over event and all before`, base64 for URLs without padding.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderMap;

use super::{
    app::App,
    problem::{Code, Problem},
    tokens::unix_now,
    websocket::protocols,
};
use crate::{
    actors::directory::EventHandles,
    domain::{
        id::{EventId, FanId, InviteId},
        inventory::request::{Command, Request},
        queue::Standing,
    },
    stores::secret::RootSecret,
};

pub const HEADER: &str = "onsale-invite";
/// The same among a socket's protocols.
const PROTOCOL_PREFIX: &str = "invite.";

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
const SAID_BYTES: usize = 1 + 16 + 8;
const TOKEN_LEN: usize = 55;

/// Made and read with keys that follow from the root secret alone: an invite outlives generations of keys.
pub struct Invites {
    /// The first one signs.
    keys: Vec<hmac::Key>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoInvite {
    /// Not made here, or for another event.
    Forged,
    Expired,
}

impl Invites {
    pub fn new(secret: &RootSecret) -> Self {
        let keys = secret.keys("invite");
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())).collect() }
    }

    pub fn make(&self, event: EventId, id: InviteId, until_s: u64) -> String {
        let mut bytes = Vec::with_capacity(SAID_BYTES + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend(id.as_bytes());
        bytes.extend(until_s.to_be_bytes());
        let key = self.keys.first().expect("a root secret has one that signs");
        bytes.extend(tag(key, event, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn read(&self, event: EventId, token: &str, now_s: u64) -> Result<InviteId, NoInvite> {
        // In these lengths a token has one spelling.
        let bytes = Some(token).filter(|token| token.len() == TOKEN_LEN).map(|token| URL_SAFE_NO_PAD.decode(token));
        let Some(Ok(bytes)) = bytes else { return Err(NoInvite::Forged) };
        let (said, signed) = bytes.split_at_checked(SAID_BYTES).ok_or(NoInvite::Forged)?;
        if !self.keys.iter().any(|key| verify_slices_are_equal(&tag(key, event, said), signed).is_ok()) {
            return Err(NoInvite::Forged);
        }
        let (Some((&[VERSION], id)), Some((_, until))) = (said.split_first_chunk(), said.split_last_chunk()) else {
            return Err(NoInvite::Forged);
        };
        let (Some((id, _)), until_s) = (id.split_first_chunk(), u64::from_be_bytes(*until)) else {
            return Err(NoInvite::Forged);
        };
        if until_s <= now_s {
            return Err(NoInvite::Expired);
        }
        Ok(InviteId::from_u128(u128::from_be_bytes(*id)))
    }
}

fn tag(key: &hmac::Key, event: EventId, said: &[u8]) -> [u8; TAG_BYTES] {
    let mut context = hmac::Context::with_key(key);
    context.update(event.as_bytes());
    context.update(said);
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
    tag
}

/// Where only invited ones get a place: lets whoever has one pass, and who brings an invite, which is theirs from then on.
pub async fn pass(
    app: &App,
    handles: &EventHandles,
    event: EventId,
    fan: FanId,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if !handles.inventory.configuration().queue.invite_only
        || handles.waiting_room.standing(fan).await? != Standing::NotHere
    {
        return Ok(());
    }
    // It is one person's, and nobody knows whose a device is.
    if fan.is_device() {
        return Err(Code::AccountNeeded.into());
    }
    let token = brought(headers).ok_or(Code::InviteNeeded)?;
    let invite = app.invites.read(event, token, unix_now()).map_err(|why| match why {
        NoInvite::Forged => Problem::new(Code::InvalidInvite),
        NoInvite::Expired => Problem::new(Code::InvalidInvite).detail("the invite has expired"),
    })?;
    handles.inventory.ask(Request { identity: None, command: Command::UseInvite { invite, fan } }).await?;
    Ok(())
}

fn brought(headers: &HeaderMap) -> Option<&str> {
    let by_header = headers.get(HEADER).and_then(|value| value.to_str().ok());
    by_header.or_else(|| protocols(headers).find_map(|offered| offered.strip_prefix(PROTOCOL_PREFIX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=";
    const NEW: &str = "8Yk2n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEkmSg=";
    const EVENT: EventId = EventId::from_u128(7);
    const INVITE: InviteId = InviteId::from_u128(0xfeed);

    fn invites(secrets: &str) -> Invites {
        Invites::new(&RootSecret::parse(secrets).expect("secrets"))
    }

    #[test]
    fn an_invite_is_good_for_its_event_until_its_time_and_over_a_change_of_secret() {
        let token = invites(OLD).make(EVENT, INVITE, 1_000);
        assert_eq!(token.len(), 55);
        for secrets in [OLD.to_owned(), format!("{OLD}\n{NEW}"), format!("{NEW}\n{OLD}")] {
            assert_eq!(invites(&secrets).read(EVENT, &token, 999), Ok(INVITE), "{secrets}");
        }
        assert_eq!(invites(OLD).read(EVENT, &token, 1_000), Err(NoInvite::Expired));
        assert_eq!(invites(OLD).read(EventId::from_u128(8), &token, 1), Err(NoInvite::Forged));
        for secrets in [NEW.to_owned(), format!("{NEW}\nretired {OLD}")] {
            assert_eq!(invites(&secrets).read(EVENT, &token, 1), Err(NoInvite::Forged), "{secrets}");
        }
    }

    #[test]
    fn no_bit_of_an_invite_can_be_changed() {
        let invites = invites(OLD);
        let token = invites.make(EVENT, INVITE, u64::MAX);
        let bytes = URL_SAFE_NO_PAD.decode(&token).expect("base64");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(invites.read(EVENT, &URL_SAFE_NO_PAD.encode(bytes), 1), Err(NoInvite::Forged), "bit {bit}");
        }
        for wrong in ["", "x", "é", &token[1..], &format!("{token}A"), &format!("{token}="), &"A".repeat(10_000)] {
            assert_eq!(invites.read(EVENT, wrong, 1), Err(NoInvite::Forged), "{wrong}");
        }
    }
}
