//! What all who wait are told by those who steer the event. Part of its configuration, so that it outlives nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Refused, body::QueueReport, set};
use crate::{
    domain::{
        id::EventId,
        inventory::notice::{MAX_LANGUAGE_LEN, MAX_LANGUAGES, MAX_TEXT_LEN, Notice, is_language},
        time::EventTime,
    },
    http::{
        acting::Acting,
        app::App,
        extract::{Json, Path},
        now,
        problem::Problem,
        refusals::NotAllowed,
        shapes::{FieldError, Wrong},
    },
};

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeChange {
    /// By language, such as `en` or `pt-BR`, 20 at most; a text has 1 to 500 characters. None: the notice is taken away.
    pub texts: BTreeMap<String, String>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl NoticeChange {
    fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut wrong = Wrong::default();
        wrong_texts(&mut wrong, &self.texts);
        wrong.add_reason(&self.reason);
        wrong.or(())
    }

    /// For the audit: in which languages, and why.
    fn told(&self) -> String {
        let languages: Vec<&str> = self.texts.keys().map(String::as_str).collect();
        let languages = if languages.is_empty() { "none".to_owned() } else { languages.join(", ") };
        format!("{languages}: {}", self.reason)
    }
}

/// In each language once, and no longer than a notice may be.
pub fn wrong_texts<'a>(wrong: &mut Wrong, texts: impl IntoIterator<Item = (&'a String, &'a String)>) {
    let mut named = BTreeSet::new();
    for (language, text) in texts {
        if !is_language(language) {
            let message =
                format!("a language is expected, such as en or pt-BR, of at most {MAX_LANGUAGE_LEN} characters");
            wrong.add("texts", message);
            continue;
        }
        if !named.insert(language.to_ascii_lowercase()) {
            wrong.add(format!("texts.{language}"), "the language is named twice");
        }
        wrong.text(&format!("texts.{language}"), text, 1..=MAX_TEXT_LEN, false);
    }
    wrong.number("texts", named.len(), 0..=MAX_LANGUAGES);
}

/// By the configuration of this version; no texts are no notice.
pub fn of(version: u32, at: EventTime, texts: &BTreeMap<String, String>) -> Option<Arc<Notice>> {
    let notice = Notice { version, at, texts: texts.clone() };
    Some(notice).filter(|notice| !notice.texts.is_empty()).map(Arc::new)
}

/// Tells all who wait, in each language that is given; instead of what they were told before.
#[utoipa::path(put, path = "/events/{event}/queue/notice", tag = "admin", params(("event" = String, Path)),
    request_body = NoticeChange, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn set_notice(
    app: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<NoticeChange>,
) -> Result<Json<QueueReport>, Problem> {
    body.check()?;
    let (reason, at) = (body.told(), now());
    set(app, acting, event, "queue.notice", &reason, |event| {
        event.notice = of(event.version + 1, at, &body.texts);
    })
    .await
}
