//! The notice of an event in JSON.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use utoipa::ToSchema;

use crate::{domain::inventory::notice::Notice, http::shapes::Timestamp};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeBody {
    /// By language, such as `en` or `pt-BR`.
    pub texts: BTreeMap<String, String>,
    /// Since when.
    pub at: Timestamp,
}

impl NoticeBody {
    pub fn of(notice: &Notice) -> Self {
        Self { texts: notice.texts.clone(), at: notice.at.into() }
    }
}

/// Written as [`NoticeBody`]: all who ask are told from the same texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeTold(pub Arc<Notice>);

impl Serialize for NoticeTold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("NoticeBody", 2)?;
        body.serialize_field("texts", &self.0.texts)?;
        body.serialize_field("at", &Timestamp(self.0.at))?;
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::EventTime;

    #[test]
    fn what_is_told_is_the_body() {
        let texts = [("en".to_owned(), "Later.".to_owned()), ("hr".to_owned(), "Kasnije.".to_owned())].into();
        let notice = Notice { version: 3, at: EventTime(1_000), texts };
        let body = serde_json::to_value(NoticeBody::of(&notice)).expect("plain values");
        assert_eq!(serde_json::to_value(NoticeTold(Arc::new(notice))).expect("plain values"), body);
    }
}
