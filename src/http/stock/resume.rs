//! How a viewer says what it has seen.

use http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    domain::stock::Mark,
    http::problem::{Code, Problem},
};

/// What the last message named. Both, or neither: then all is told.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Resume {
    /// Of the last snapshot.
    epoch: Option<u64>,
    /// Of the last message.
    last_seq: Option<u64>,
}

const LAST_EVENT_ID: &str = "last-event-id";

impl Resume {
    pub fn mark(self) -> Result<Option<Mark>, Problem> {
        match (self.epoch, self.last_seq) {
            (Some(epoch), Some(seq)) => Ok(Some(Mark { epoch, seq })),
            (None, None) => Ok(None),
            _ => Err(Problem::new(Code::InvalidQuery).detail("epoch and last_seq go together")),
        }
    }

    /// A browser that opens its stream again sends the id of the last event; the URL is that of the first time.
    pub fn mark_of_stream(self, headers: &HeaderMap) -> Result<Option<Mark>, Problem> {
        let Some(id) = headers.get(LAST_EVENT_ID) else { return self.mark() };
        let mark = id.to_str().ok().and_then(|id| {
            let (epoch, seq) = id.split_once('-')?;
            Some(Mark { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
        });
        let wrong = || Problem::new(Code::InvalidQuery).detail("Last-Event-ID is the id of an event here, EPOCH-SEQ");
        mark.map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_last_events_id_goes_before_the_url_and_half_of_a_mark_is_refused() {
        let (epoch, last_seq) = (Some(7), Some(12));
        let mark = |resume: Resume, id: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(id.map(|id| (http::HeaderName::from_static(LAST_EVENT_ID), HeaderValue::from_static(id))));
            resume.mark_of_stream(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(mark(Resume::default(), None), Ok(None));
        assert_eq!(mark(Resume { epoch, last_seq }, None), Ok(Some(Mark { epoch: 7, seq: 12 })));
        assert_eq!(mark(Resume { epoch, last_seq }, Some("8-3")), Ok(Some(Mark { epoch: 8, seq: 3 })));
        assert_eq!(mark(Resume { epoch, last_seq: None }, None), Err(Code::InvalidQuery));
        assert_eq!(mark(Resume { epoch: None, last_seq }, None), Err(Code::InvalidQuery));
        for wrong in ["", "8", "8-", "-3", "a-b", "8-3-1", "8--3", "99999999999999999999-1"] {
            assert_eq!(mark(Resume::default(), Some(wrong)), Err(Code::InvalidQuery), "{wrong}");
        }
    }
}
