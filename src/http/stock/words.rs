//! What viewers are told, in words, as it travels.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use fastwebsockets::{Frame, Payload};
use serde::Serialize;

use crate::{
    domain::stock::{Change, Delta, Map, Mark},
    http::websocket::encoded,
};

#[derive(Serialize)]
#[serde(tag = "type")]
enum Said<'a> {
    #[serde(rename = "stock.snapshot")]
    Snapshot { epoch: u64, seq: u64, version: u32, sections: Vec<SectionNow<'a>>, counts: Vec<CountNow<'a>> },
    #[serde(rename = "stock.delta")]
    Bits {
        seq: u64,
        section: &'a str,
        /// First byte, and the bytes that take the place of those there.
        bits: Vec<(u32, String)>,
    },
    #[serde(rename = "stock.delta")]
    Count {
        seq: u64,
        #[serde(flatten)]
        count: CountNow<'a>,
    },
}

#[derive(Serialize)]
struct SectionNow<'a> {
    section: &'a str,
    seats: u32,
    bits: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountNow<'a> {
    ticket_type: &'a str,
    free: u32,
}

/// One message, for each way to tell it.
pub struct Told {
    pub socket: Vec<u8>,
    pub stream: Vec<u8>,
}

pub fn snapshot(mark: Mark, map: &Map) -> Told {
    let sections = map.sections.iter().map(|section| SectionNow {
        section: section.zone.as_str(),
        seats: section.seats,
        bits: STANDARD_NO_PAD.encode(&section.bits),
    });
    let counts = map.counts.iter().map(|(code, free)| CountNow { ticket_type: code.as_str(), free: *free });
    let said = Said::Snapshot {
        epoch: mark.epoch,
        seq: mark.seq,
        version: map.version,
        sections: sections.collect(),
        counts: counts.collect(),
    };
    tell(mark, "stock.snapshot", &said)
}

pub fn delta(epoch: u64, delta: &Delta) -> Told {
    let Delta { seq, change } = delta;
    let said = match change {
        Change::Bits { zone, runs } => {
            let bits = runs.iter().map(|run| (run.from, STANDARD_NO_PAD.encode(&run.bytes))).collect();
            Said::Bits { seq: *seq, section: zone.as_str(), bits }
        }
        Change::Count { ticket_type, free } => {
            Said::Count { seq: *seq, count: CountNow { ticket_type: ticket_type.as_str(), free: *free } }
        }
    };
    tell(Mark { epoch, seq: *seq }, "stock.delta", &said)
}

fn tell(Mark { epoch, seq }: Mark, name: &str, said: &Said<'_>) -> Told {
    let text = serde_json::to_string(said).expect("words are plain values");
    let stream = format!("event: {name}\nid: {epoch}-{seq}\ndata: {text}\n\n").into_bytes();
    Told { socket: encoded(Frame::text(Payload::Borrowed(text.as_bytes()))), stream }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::stock::{Run, Section};

    fn text(told: &Told) -> Value {
        let stream = std::str::from_utf8(&told.stream).expect("UTF-8");
        let data = stream.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        assert!(told.socket.ends_with(data.as_bytes()), "the same on both ways");
        serde_json::from_str(data).expect("JSON")
    }

    #[test]
    fn bits_travel_as_base64_and_the_id_of_an_event_says_how_to_go_on() {
        let code = |text: &str| text.parse().expect("a code");
        let section = Section { zone: code("A"), seats: 10, bits: vec![0xfe, 0x03] };
        let map = Map { version: 3, sections: vec![section], counts: vec![(code("GA"), 9)] };
        let told = snapshot(Mark { epoch: 7, seq: 12 }, &map);
        assert!(told.stream.starts_with(b"event: stock.snapshot\nid: 7-12\n"));
        assert_eq!(
            text(&told),
            json!({"type": "stock.snapshot", "epoch": 7, "seq": 12, "version": 3,
                "sections": [{"section": "A", "seats": 10, "bits": "/gM"}], "counts": [{"ticketType": "GA", "free": 9}]})
        );
        let runs = vec![Run { from: 1, bytes: vec![1] }];
        let told = delta(7, &Delta { seq: 13, change: Change::Bits { zone: code("A"), runs } });
        assert!(told.stream.starts_with(b"event: stock.delta\nid: 7-13\n"));
        assert_eq!(text(&told), json!({"type": "stock.delta", "seq": 13, "section": "A", "bits": [[1, "AQ"]]}));
        let told = delta(7, &Delta { seq: 14, change: Change::Count { ticket_type: code("GA"), free: 8 } });
        assert_eq!(text(&told), json!({"type": "stock.delta", "seq": 14, "ticketType": "GA", "free": 8}));
    }
}
