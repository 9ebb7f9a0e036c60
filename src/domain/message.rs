//! Messages to fans: which kinds there are, who may switch what off, and what each says in each language.
//!
//! A kind is a row of [`TABLE`]; nothing else has to be written for one but the place from which it is sent. Texts have places such as
//! `{event}`; which ones a kind has, its row says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    OrderReceived,
    Tickets,
    PaymentRefused,
    RefundBegun,
    RefundDone,
    EventChanged,
    EventCancelled,
    Broadcast,
    Verification,
    Reset,
    Offer,
}

/// One of the two ways on which a message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Always,
    /// Unless the fan does not want it.
    On,
    /// If the fan wants it.
    Off,
    Never,
}

impl Way {
    /// Whether it comes, and whether the fan has a say.
    pub fn is_on(self, wanted: Option<bool>) -> bool {
        match self {
            Self::Always => true,
            Self::On => wanted.unwrap_or(true),
            Self::Off => wanted.unwrap_or(false),
            Self::Never => false,
        }
    }

    pub fn is_fixed(self) -> bool {
        matches!(self, Self::Always | Self::Never)
    }
}

pub struct Row {
    pub kind: Kind,
    pub name: &'static str,
    pub mail: Way,
    pub in_app: Way,
    /// What its texts may name, besides [`EVERYWHERE`].
    pub places: &'static [&'static str],
    /// In the order of [`LANGUAGES`].
    pub texts: [Text; 3],
}

/// A subject of one line, and a text of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    pub subject: &'static str,
    pub body: &'static str,
}

/// Those that have texts of our own; any other gets the first.
pub const LANGUAGES: [&str; 3] = ["en", "hr", "ko"];
/// The fan's name.
pub const EVERYWHERE: &str = "name";

const fn text(subject: &'static str, body: &'static str) -> Text {
    Text { subject, body }
}

/// In the order of [`Kind`].
pub static TABLE: [Row; 11] = [
    Row {
        kind: Kind::OrderReceived,
        name: "order_received",
        mail: Way::Off,
        in_app: Way::On,
        places: &["event", "order", "amount"],
        texts: [
            text(
                "Payment received: {event}",
                "We have your payment of {amount} for {event}. Your tickets follow.\n\nOrder {order}",
            ),
            text(
                "Uplata je primljena: {event}",
                "Primili smo Vašu uplatu od {amount} za {event}. Ulaznice slijede.\n\nNarudžba {order}",
            ),
            text(
                "결제가 완료되었습니다: {event}",
                "{event} 결제 금액 {amount}을(를) 확인했습니다. 입장권을 곧 보내 드립니다.\n\n주문 {order}",
            ),
        ],
    },
    Row {
        kind: Kind::Tickets,
        name: "tickets",
        // It has the tickets attached, and is written elsewhere: `documents::mail`.
        mail: Way::Always,
        in_app: Way::On,
        places: &["event", "order", "starts_at", "venue"],
        texts: [
            text(
                "Your tickets: {event}",
                "Your tickets for {event} are here.\n\n{starts_at}\n{venue}\n\nOrder {order}",
            ),
            text(
                "Vaše ulaznice: {event}",
                "Vaše ulaznice za {event} su spremne.\n\n{starts_at}\n{venue}\n\nNarudžba {order}",
            ),
            text(
                "예매하신 입장권: {event}",
                "{event} 입장권이 발급되었습니다.\n\n{starts_at}\n{venue}\n\n주문 {order}",
            ),
        ],
    },
    Row {
        kind: Kind::PaymentRefused,
        name: "payment_refused",
        mail: Way::On,
        in_app: Way::On,
        places: &["event", "order", "amount"],
        texts: [
            text(
                "Payment not made: {event}",
                "The payment of {amount} for {event} was not made, and nothing was taken. While your places are held you can pay \
                 again.\n\nOrder {order}",
            ),
            text(
                "Plaćanje nije uspjelo: {event}",
                "Plaćanje {amount} za {event} nije provedeno i ništa nije naplaćeno. Dok su Vaša mjesta zadržana, možete platiti \
                 ponovno.\n\nNarudžba {order}",
            ),
            text(
                "결제가 이루어지지 않았습니다: {event}",
                "{event} 결제({amount})가 이루어지지 않았으며 청구된 금액은 없습니다. 좌석이 확보되어 있는 동안 다시 결제하실 수 \
                 있습니다.\n\n주문 {order}",
            ),
        ],
    },
    Row {
        kind: Kind::RefundBegun,
        name: "refund_begun",
        mail: Way::On,
        in_app: Way::On,
        places: &["event", "order", "amount"],
        texts: [
            text(
                "Your money goes back: {event}",
                "{amount} for {event} go back to you. We tell you when it is done.\n\nOrder {order}",
            ),
            text(
                "Vraćamo Vam novac: {event}",
                "Vraćamo Vam {amount} za {event}. Javit ćemo Vam kad bude gotovo.\n\nNarudžba {order}",
            ),
            text(
                "환불이 시작되었습니다: {event}",
                "{event} 결제 금액 중 {amount}을(를) 환불합니다. 완료되면 알려 드리겠습니다.\n\n주문 {order}",
            ),
        ],
    },
    Row {
        kind: Kind::RefundDone,
        name: "refund_done",
        mail: Way::On,
        in_app: Way::On,
        places: &["event", "order", "amount"],
        texts: [
            text(
                "Refund done: {event}",
                "{amount} for {event} are on their way to you. Your bank may need some days.\n\nOrder {order}",
            ),
            text(
                "Povrat je proveden: {event}",
                "{amount} za {event} je na putu do Vas. Vašoj banci može trebati nekoliko dana.\n\nNarudžba {order}",
            ),
            text(
                "환불이 완료되었습니다: {event}",
                "{event} 환불 금액 {amount}을(를) 보내 드렸습니다. 은행에 따라 며칠이 걸릴 수 있습니다.\n\n주문 {order}",
            ),
        ],
    },
    Row {
        kind: Kind::EventChanged,
        name: "event_changed",
        mail: Way::On,
        in_app: Way::On,
        places: &["event", "starts_at", "venue"],
        texts: [
            text(
                "Changed: {event}",
                "Date or place of {event} have changed. From now on:\n\n{starts_at}\n{venue}\n\nYour tickets stay good.",
            ),
            text(
                "Promjena: {event}",
                "Promijenili su se termin ili mjesto za {event}. Novo:\n\n{starts_at}\n{venue}\n\nVaše ulaznice i dalje vrijede.",
            ),
            text(
                "변경 안내: {event}",
                "{event}의 일시 또는 장소가 변경되었습니다.\n\n{starts_at}\n{venue}\n\n예매하신 입장권은 그대로 유효합니다.",
            ),
        ],
    },
    Row {
        kind: Kind::EventCancelled,
        name: "event_cancelled",
        mail: Way::On,
        in_app: Way::On,
        places: &["event", "starts_at", "venue"],
        texts: [
            text("Cancelled: {event}", "{event} has been cancelled.\n\n{starts_at}\n{venue}"),
            text("Otkazano: {event}", "{event} je otkazan.\n\n{starts_at}\n{venue}"),
            text("취소 안내: {event}", "{event}이(가) 취소되었습니다.\n\n{starts_at}\n{venue}"),
        ],
    },
    Row {
        kind: Kind::Broadcast,
        name: "broadcast",
        mail: Way::On,
        in_app: Way::On,
        places: &["event", "starts_at", "venue", "subject", "text"],
        texts: [
            text("{event}: {subject}", "{text}"),
            text("{event}: {subject}", "{text}"),
            text("{event}: {subject}", "{text}"),
        ],
    },
    Row {
        kind: Kind::Verification,
        name: "verification",
        mail: Way::Always,
        in_app: Way::Never,
        places: &["link"],
        texts: [
            text(
                "Is this your address?",
                "Somebody has made an account with this address. If it was you, confirm it within 15 minutes:\n\n{link}\n\nIf it was not, do nothing.",
            ),
            text(
                "Je li ovo Vaša adresa?",
                "Netko je otvorio račun s ovom adresom. Ako ste to bili Vi, potvrdite je u roku od 15 minuta:\n\n{link}\n\nAko niste, ne morate učiniti ništa.",
            ),
            text(
                "이메일 주소 확인",
                "이 주소로 계정이 만들어졌습니다. 본인이라면 15분 안에 아래 링크에서 확인해 주세요.\n\n{link}\n\n본인이 아니라면 아무것도 하지 않으셔도 됩니다.",
            ),
        ],
    },
    Row {
        kind: Kind::Reset,
        name: "reset",
        mail: Way::Always,
        in_app: Way::Never,
        places: &["code"],
        texts: [
            text(
                "Your code",
                "The code for a new password:\n\n{code}\n\nIt is good for 10 minutes, once. If you did not ask for it, do nothing: your password stays as it is.",
            ),
            text(
                "Vaš kod",
                "Kod za novu lozinku:\n\n{code}\n\nVrijedi 10 minuta i samo jednom. Ako ga niste zatražili, ne morate učiniti ništa: Vaša lozinka ostaje ista.",
            ),
            text(
                "인증 코드",
                "새 비밀번호를 위한 코드입니다.\n\n{code}\n\n10분 동안 한 번만 사용할 수 있습니다. 요청하지 않으셨다면 아무것도 하지 않으셔도 되며 비밀번호는 바뀌지 않습니다.",
            ),
        ],
    },
    Row {
        kind: Kind::Offer,
        name: "offer",
        mail: Way::Always,
        in_app: Way::On,
        places: &["event", "starts_at", "venue", "order", "held", "amount", "until"],
        texts: [
            text(
                "Tickets for you: {event}",
                "Tickets that you wait for have become free, and are held for you:\n\n{held}\n\nPay {amount} for them by {until}. What is not \
                 paid by then goes to the next who waits, and you wait no more.\n\nOrder {order}",
            ),
            text(
                "Ulaznice za Vas: {event}",
                "Oslobodile su se ulaznice na koje čekate i čuvamo ih za Vas:\n\n{held}\n\nPlatite {amount} do {until}. Što do tada nije \
                 plaćeno dobiva sljedeća osoba na listi, a Vi više niste na njoj.\n\nNarudžba {order}",
            ),
            text(
                "예매 가능한 입장권이 있습니다: {event}",
                "기다리시던 입장권이 나와 맡아 두고 있습니다.\n\n{held}\n\n{until}까지 {amount}을(를) 결제해 주세요. 그때까지 결제하지 않으시면 다음 \
                 대기자에게 넘어가며 대기도 끝납니다.\n\n주문 {order}",
            ),
        ],
    },
];

impl Kind {
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.kind)
    }

    /// In a language of [`LANGUAGES`], or in the first of them.
    pub fn text(self, language: &str) -> Text {
        let at = LANGUAGES.iter().position(|one| *one == language).unwrap_or(0);
        self.row().texts[at]
    }

    fn has(self, place: &str) -> bool {
        place == EVERYWHERE || self.row().places.contains(&place)
    }

    /// Whether all that the text names is there for this kind: the first that is not.
    pub fn check(self, text: &str) -> Result<(), NoSuchPlace> {
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (_, from) = rest.split_at(at);
            let end = from.find('}').filter(|_| from.starts_with('{'));
            let Some((place, after)) = end.and_then(|end| Some((from.get(1..end)?, from.get(end + 1..)?))) else {
                return Err(NoSuchPlace(from.chars().take(20).collect()));
            };
            if !self.has(place) {
                return Err(NoSuchPlace(place.chars().take(40).collect()));
            }
            rest = after;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place of this kind's texts")]
pub struct NoSuchPlace(String);

/// What stands in the places. One that is not known stays empty; what is filled in is not looked through again.
pub fn filled(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        let Some((place, after)) = from.split_once('}') else { return out };
        out.push_str(values.get(place).map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row_with_texts_that_name_only_what_it_has() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!((row.kind as usize, Kind::by_name(row.name)), (at, Some(row.kind)), "{}", row.name);
            for text in row.texts {
                assert_eq!((row.kind.check(text.subject), row.kind.check(text.body)), (Ok(()), Ok(())), "{}", row.name);
                assert!(!text.subject.is_empty() && !text.subject.contains('\n'), "{}", row.name);
            }
            assert_eq!(serde_json::to_value(row.kind).expect("a name"), row.name);
        }
        assert_eq!(Kind::Tickets.text("ko").subject, "예매하신 입장권: {event}");
        assert_eq!(Kind::Tickets.text("fr"), Kind::Tickets.text("en"));
    }

    #[test]
    fn a_place_that_a_kind_does_not_have_is_found() {
        for good in ["", "{name}", "a {event} b {order}{amount}", "no places"] {
            assert_eq!(Kind::RefundDone.check(good), Ok(()), "{good}");
        }
        for wrong in ["{code}", "{}", "{ event }", "{event", "event}", "{{event}}", "}{", "{name.secret}", "{EVENT}"] {
            assert!(Kind::RefundDone.check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_filled_in_names_no_places_itself() {
        let values = BTreeMap::from([("event", "{order} <b>".to_owned()), ("order", "secret".to_owned())]);
        assert_eq!(filled("a {event} b {name}c", &values), "a {order} <b> b c");
    }

    #[test]
    fn what_is_fixed_is_not_the_fans_to_say() {
        assert!(Way::Always.is_on(Some(false)) && !Way::Never.is_on(Some(true)));
        assert!(
            Way::On.is_on(None) && !Way::On.is_on(Some(false)) && !Way::Off.is_on(None) && Way::Off.is_on(Some(true))
        );
        assert!(Kind::Tickets.row().mail.is_fixed());
    }
}
