//! Every kind of message, in the order of [`Kind`].

use super::{Kind, Row, Text, Way};

const fn text(subject: &'static str, body: &'static str) -> Text {
    Text { subject, body }
}

pub static TABLE: [Row; 13] = [
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
    Row {
        kind: Kind::TicketReplaced,
        name: "ticket_replaced",
        // It has the new ticket attached.
        mail: Way::Always,
        in_app: Way::On,
        places: &["event", "order", "starts_at", "venue"],
        texts: [
            text(
                "Your new ticket: {event}",
                "A new ticket for {event} takes the place of an earlier one. The earlier one lets nobody in any more, whatever was \
                 printed or saved of it.\n\n{starts_at}\n{venue}\n\nOrder {order}",
            ),
            text(
                "Vaša nova ulaznica: {event}",
                "Nova ulaznica za {event} zamjenjuje raniju. Ranija više nikoga ne propušta, što god je od nje ispisano ili \
                 spremljeno.\n\n{starts_at}\n{venue}\n\nNarudžba {order}",
            ),
            text(
                "새 입장권: {event}",
                "{event}의 새 입장권이 이전 입장권을 대신합니다. 이전 입장권은 출력하거나 저장해 두셨더라도 더 이상 사용할 수 \
                 없습니다.\n\n{starts_at}\n{venue}\n\n주문 {order}",
            ),
        ],
    },
    Row {
        kind: Kind::TicketGiven,
        name: "ticket_given",
        mail: Way::On,
        in_app: Way::On,
        places: &["event", "order"],
        texts: [
            text(
                "Handed on: {event}",
                "The ticket for {event} that you gave away is another person's now. What you have of it lets nobody in any \
                 more.\n\nOrder {order}",
            ),
            text(
                "Predano: {event}",
                "Ulaznica za {event} koju ste dali sada je druge osobe. Ono što od nje imate više nikoga ne propušta.\n\n\
                 Narudžba {order}",
            ),
            text(
                "양도 완료: {event}",
                "양도하신 {event} 입장권은 이제 다른 분의 것입니다. 가지고 계신 입장권은 더 이상 사용할 수 없습니다.\n\n\
                 주문 {order}",
            ),
        ],
    },
];
