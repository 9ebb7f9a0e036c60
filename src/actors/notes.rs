//! Notes: what a message says, with what is true now: in the fan's language, by the organizer's text if there is one.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use moka::future::Cache;
use uuid::Uuid;

use super::{
    codes::Codes,
    papers::{Billing, Papers, PapersError},
};
use crate::{
    documents::{language::Language, text::plain, when},
    domain::{
        id::FanId,
        message::{self, Kind},
    },
    stores::{
        database::{
            Database,
            accounts::Account,
            mailings::{self, Said, Texts},
            messages::Message,
            orders,
            templates::{self, Template},
        },
        error::StoreError,
    },
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Notes(Arc<Inner>);

struct Inner {
    database: Database,
    papers: Papers,
    templates: Cache<Which, Option<Arc<Template>>>,
    broadcasts: Cache<Uuid, Option<Arc<Texts>>>,
    codes: Codes,
    /// How the outside reaches this shop, without a slash at the end.
    shop_url: String,
}

type Which = (Option<FanId>, Kind, Language);

/// How old an organizer's text may be on nodes other than the one that took it.
const FRESH: Duration = Duration::from_secs(10);
/// Kept of each.
const MOST: u64 = 1_000;

/// Subject, text, and the link in it, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub subject: String,
    pub text: String,
    pub link: Option<String>,
}

impl Notes {
    pub fn new(database: Database, papers: Papers, codes: Codes, shop_url: String) -> Self {
        let templates = Cache::builder().max_capacity(MOST).time_to_live(FRESH).build();
        let broadcasts = Cache::builder().max_capacity(MOST).time_to_live(FRESH).build();
        Self(Arc::new(Inner { database, papers, templates, broadcasts, codes, shop_url }))
    }

    /// Somebody has set a text here, or taken one away.
    pub fn changed(&self) {
        self.0.templates.invalidate_all();
    }

    pub fn codes(&self) -> &Codes {
        &self.0.codes
    }

    pub async fn of(&self, message: &Message, account: &Account) -> Result<Note, PapersError> {
        let language = Language::of(&account.language);
        let billing = match message.event {
            Some(event) => match self.0.papers.billing_since(event, message.created_at).await {
                // Deleted since: what is said of it stays empty.
                Err(PapersError::NoEvent) => None,
                billing => Some(billing?),
            },
            None => None,
        };
        let mut values = BTreeMap::from([(message::EVERYWHERE, plain(&account.name))]);
        for place in message.kind.row().places {
            values.extend(message.details.get(*place).map(|value| (*place, plain(value))));
        }
        if let Some(billing) = &billing {
            values.extend(of_event(billing, language));
        }
        if let (Kind::Offer, Some(billing)) = (message.kind, &billing) {
            values.extend(self.offer(message, billing, language).await?);
        }
        if message.kind == Kind::Broadcast {
            values.extend(self.broadcast(message, &account.language).await?);
        }
        let link = self.proof(message, &mut values);
        let template = self.template(message.kind, billing.as_deref(), language).await?;
        Ok(Note {
            // A title or a name of any length may be in it.
            subject: plain(&message::filled(&template.0, &values)),
            text: message::filled(&template.1, &values),
            link,
        })
    }

    async fn template(
        &self,
        kind: Kind,
        billing: Option<&Billing>,
        language: Language,
    ) -> Result<(Cow<'static, str>, Cow<'static, str>), PapersError> {
        let organizer = billing.map(|billing| billing.organizer);
        let read = async {
            let found = templates::find(&self.0.database, organizer, kind, language.tag()).await;
            Ok(found.map_err(PapersError::Store)?.map(Arc::new))
        };
        let found = self.0.templates.try_get_with((organizer, kind, language), read).await;
        Ok(match found.map_err(|error: Arc<PapersError>| error.for_another())? {
            Some(template) => (template.subject.clone().into(), template.body.clone().into()),
            None => {
                let text = kind.text(language.tag());
                (text.subject.into(), text.body.into())
            }
        })
    }

    /// In the fan's language, or in English, or in the one that there is.
    async fn broadcast(&self, message: &Message, language: &str) -> Result<[(&'static str, String); 2], PapersError> {
        let gone = || PapersError::Store(StoreError::Corrupt("a broadcast without its text".into()));
        let id: Uuid = message.about.parse().map_err(|_| gone())?;
        let read = async {
            let mailing = mailings::by_id(&self.0.database, id).await.map_err(PapersError::Store)?;
            Ok(mailing.map(|mailing| Arc::new(mailing.texts)))
        };
        let texts = self.0.broadcasts.try_get_with(id, read).await;
        let texts = texts.map_err(|error: Arc<PapersError>| error.for_another())?.ok_or_else(gone)?;
        let base = language.split('-').next().unwrap_or_default();
        let said = [language, base, "en"].into_iter().find_map(|language| texts.get(language));
        let Said { subject, text } = said.or_else(|| texts.values().next()).ok_or_else(gone)?;
        Ok([("subject", plain(subject)), ("text", lines(text))])
    }

    /// What is held, as it is now.
    async fn offer(
        &self,
        message: &Message,
        billing: &Billing,
        language: Language,
    ) -> Result<Vec<(&'static str, String)>, PapersError> {
        let Ok(reference) = message.about.parse() else { return Ok(Vec::new()) };
        let order = orders::by_reference(&self.0.database, reference).await.map_err(PapersError::Store)?;
        let Some(order) = order else { return Ok(Vec::new()) };
        let held = order.lines.iter().map(|line| {
            let seats: Vec<_> = line.seats.iter().map(ToString::to_string).collect();
            let seats = if seats.is_empty() { String::new() } else { format!(" ({})", seats.join(", ")) };
            format!("{} × {}{seats}", line.quantity, plain(&billing.kind(&line.ticket_type, line.rate())))
        });
        let until = when::local(order.expires_at, &billing.programme.time_zone);
        Ok(vec![
            ("order", reference.to_string()),
            ("held", held.collect::<Vec<_>>().join("\n")),
            ("amount", order.total.to_string()),
            ("until", when::long(&until, language)),
        ])
    }

    fn proof(&self, message: &Message, values: &mut BTreeMap<&'static str, String>) -> Option<String> {
        let id: Uuid = message.about.parse().ok()?;
        match message.kind {
            Kind::Reset => {
                values.insert("code", self.0.codes.code(id));
                None
            }
            Kind::Verification => {
                let link = format!("{}/verify/{}", self.0.shop_url, self.0.codes.token(id));
                values.insert("link", link.clone());
                Some(link)
            }
            _ => None,
        }
    }
}

fn of_event(billing: &Billing, language: Language) -> [(&'static str, String); 3] {
    let programme = &billing.programme;
    let starts_at = when::long(&when::local(programme.starts_at, &programme.time_zone), language);
    let venue = format!("{}, {}", plain(&programme.venue), plain(&programme.city));
    [("event", plain(&programme.title)), ("starts_at", starts_at), ("venue", venue)]
}

/// Each harmless, with the breaks between them.
fn lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}
