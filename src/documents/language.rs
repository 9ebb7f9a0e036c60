//! The languages of documents, and the words of each. Any other language gets English.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    Croatian,
    Korean,
}

/// Said on paper.
pub struct Words {
    pub ticket: &'static str,
    pub kind: &'static str,
    pub seat: &'static str,
    pub zone: &'static str,
    pub row: &'static str,
    pub number: &'static str,
    pub free_seating: &'static str,
    pub holder: &'static str,
    pub price: &'static str,
    pub order: &'static str,
    pub starts: &'static str,
    pub doors: &'static str,
    pub ends: &'static str,
    pub age: &'static str,
    pub code: &'static str,
    pub keep: &'static str,
    /// Where the code changes.
    pub rotating: &'static str,
    pub cancelled: &'static str,
    /// Of a mail; the title follows.
    pub subject: &'static str,
    /// The name follows, and `greeting_end`.
    pub greeting: &'static str,
    pub greeting_end: &'static str,
    pub attached: &'static str,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::English, Self::Croatian, Self::Korean];

    /// Of a tag such as `hr` or `ko-KR`.
    pub fn of(tag: &str) -> Self {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|known| known.tag() == language).unwrap_or(Self::English)
    }

    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Croatian => "hr",
            Self::Korean => "ko",
        }
    }

    pub const fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Croatian => &CROATIAN,
            Self::Korean => &KOREAN,
        }
    }
}

static ENGLISH: Words = Words {
    ticket: "Ticket",
    kind: "Ticket type",
    seat: "Seat",
    zone: "Zone",
    row: "Row",
    number: "Seat",
    free_seating: "No numbered seat",
    holder: "Name",
    price: "Price",
    order: "Order",
    starts: "Starts",
    doors: "Doors open",
    ends: "Ends",
    age: "Age from",
    code: "Code",
    keep: "Show this code at the door, on paper or on a screen. Keep it to yourself: it lets in one person, once, and whoever comes \
           with it first.",
    rotating: "This page does not let anybody in. The code for the door changes all the time: show it on your telephone, where you are signed \
           in.",
    cancelled: "The event has been cancelled.",
    subject: "Your tickets",
    greeting: "Hello ",
    greeting_end: ",",
    attached: "thank you for your order. Your tickets are attached, and the event for your calendar.",
};

static CROATIAN: Words = Words {
    ticket: "Ulaznica",
    kind: "Vrsta ulaznice",
    seat: "Mjesto",
    zone: "Zona",
    row: "Red",
    number: "Sjedalo",
    free_seating: "Bez numeriranog mjesta",
    holder: "Ime",
    price: "Cijena",
    order: "Narudžba",
    starts: "Početak",
    doors: "Otvaranje vrata",
    ends: "Završetak",
    age: "Dob od",
    code: "Kod",
    keep: "Pokažite ovaj kod na ulazu, na papiru ili na zaslonu. Čuvajte ga za sebe: pušta jednu osobu, jednom, i to onu koja s njim \
           dođe prva.",
    rotating: "Ova stranica ne vrijedi za ulaz. Kod za ulaz stalno se mijenja: pokažite ga na svojem telefonu, gdje ste prijavljeni.",
    cancelled: "Događaj je otkazan.",
    subject: "Vaše ulaznice",
    greeting: "Poštovani/a ",
    greeting_end: ",",
    attached: "hvala na narudžbi. U privitku su Vaše ulaznice i događaj za Vaš kalendar.",
};

static KOREAN: Words = Words {
    ticket: "입장권",
    kind: "티켓 종류",
    seat: "좌석",
    zone: "구역",
    row: "열",
    number: "번",
    free_seating: "지정 좌석 없음",
    holder: "이름",
    price: "가격",
    order: "주문",
    starts: "시작",
    doors: "입장 시작",
    ends: "종료",
    age: "관람 연령",
    code: "코드",
    keep: "입구에서 이 코드를 종이나 화면으로 보여 주세요. 코드는 한 사람이 한 번만 입장할 수 있고 먼저 제시한 사람이 입장하므로 다른 \
           사람에게 알려 주지 마세요.",
    rotating: "이 종이로는 입장할 수 없습니다. 입장 코드는 계속 바뀌므로 로그인한 휴대전화 화면으로 보여 주세요.",
    cancelled: "이 공연은 취소되었습니다.",
    subject: "예매하신 입장권",
    greeting: "",
    greeting_end: " 님, 안녕하세요.",
    attached: "예매해 주셔서 감사합니다. 입장권과 캘린더 일정을 첨부해 드립니다.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_not_looked_at_and_what_is_unknown_gets_english() {
        for (tag, language) in [
            ("en", Language::English),
            ("hr-HR", Language::Croatian),
            ("ko", Language::Korean),
            ("kok", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(Language::of(tag), language, "{tag}");
        }
    }
}
