//! Identifiers: 128-bit, one type per thing named, text form 32 lower-case hexadecimal digits.
//!
//! Owns their form. Makes none: randomness arrives from outside.

use std::{cmp::Ordering, fmt, hash::Hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// An identifier of a `Kind`; two kinds do not mix.
pub struct Id<Kind> {
    uuid: Uuid,
    kind: PhantomData<fn() -> Kind>,
}

/// Marks the id of an event: a concert, a match.
pub enum Event {}
/// Marks the id of a fan, which is the id of an account, or of a device that is no account's yet.
pub enum Fan {}
/// Marks the id of an order within its event.
pub enum Order {}
/// Marks the id of a payment at the provider's side of ours.
pub enum Payment {}
/// Marks the id of a refund, which is also the key under which a provider is asked for it.
pub enum Refund {}
/// Marks the id of a ticket.
pub enum Ticket {}
/// Marks the id of an invite to an event's queue.
pub enum Invite {}
/// Marks the id of a scan at a door.
pub enum Scan {}

pub type EventId = Id<Event>;
pub type FanId = Id<Fan>;
pub type OrderId = Id<Order>;
pub type PaymentId = Id<Payment>;
pub type RefundId = Id<Refund>;
pub type TicketId = Id<Ticket>;
pub type InviteId = Id<Invite>;
pub type ScanId = Id<Scan>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 32 hexadecimal digits are expected")]
pub struct NotAnId;

impl<Kind> Id<Kind> {
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, kind: PhantomData }
    }

    pub const fn from_u128(value: u128) -> Self {
        Self::from_uuid(Uuid::from_u128(value))
    }

    pub const fn as_u128(self) -> u128 {
        self.uuid.as_u128()
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.uuid.as_bytes()
    }
}

impl Id<Fan> {
    /// A fan who has no account yet, known by a device. Marked by the UUID's version, which no account's id has.
    pub fn device(random: [u8; 16]) -> Self {
        Self::from_uuid(uuid::Builder::from_custom_bytes(random).into_uuid())
    }

    /// As an account's: never a device.
    pub fn random(random: [u8; 16]) -> Self {
        Self::from_uuid(uuid::Builder::from_random_bytes(random).into_uuid())
    }

    pub fn is_device(self) -> bool {
        self.uuid.get_version_num() == 8
    }
}

impl<Kind> Clone for Id<Kind> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Kind> Copy for Id<Kind> {}
impl<Kind> PartialEq for Id<Kind> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<Kind> Eq for Id<Kind> {}
impl<Kind> PartialOrd for Id<Kind> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<Kind> Ord for Id<Kind> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<Kind> Hash for Id<Kind> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}
impl<Kind> fmt::Display for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.simple().fmt(f)
    }
}
impl<Kind> fmt::Debug for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<Kind> FromStr for Id<Kind> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        // One spelling only: an id is also a key in stores.
        let canonical = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !canonical {
            return Err(NotAnId);
        }
        Uuid::try_parse(text).map(Self::from_uuid).map_err(|_| NotAnId)
    }
}
impl<Kind> Serialize for Id<Kind> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.uuid.simple().encode_lower(&mut Uuid::encode_buffer()))
        } else {
            self.as_bytes().serialize(serializer)
        }
    }
}
impl<'de, Kind> Deserialize<'de> for Id<Kind> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(|bytes| Self::from_uuid(Uuid::from_bytes(bytes)))
        }
    }
}

/// An order's public name. It names its event, so that any node knows which inventory to ask.
///
/// Text form: event id, a hyphen, order id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderRef {
    pub event: EventId,
    pub order: OrderId,
}

impl fmt::Display for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.event, self.order)
    }
}

impl FromStr for OrderRef {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (event, order) = text.split_once('-').ok_or(NotAnId)?;
        Ok(Self { event: event.parse()?, order: order.parse()? })
    }
}

impl Serialize for OrderRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for OrderRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id: EventId = "0190b5c2a0007000800000000000002a".parse().expect("canonical");
        assert_eq!(id.to_string(), "0190b5c2a0007000800000000000002a");
        for wrong in [
            "",
            "0190B5C2A0007000800000000000002A",
            "0190b5c2-a000-7000-8000-00000000002a",
            "0190b5c2a000700080000000000000zz",
            "../../etc",
        ] {
            assert_eq!(wrong.parse::<EventId>(), Err(NotAnId), "{wrong}");
        }
    }

    #[test]
    fn an_order_reference_names_its_event() {
        let reference = OrderRef { event: EventId::from_u128(7), order: OrderId::from_u128(9) };
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
}
