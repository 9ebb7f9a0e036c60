//! Letters: a mail of the database as it goes out, with what is true now.

use std::sync::Arc;

use lettre::message::Mailbox;
use uuid::Uuid;

use super::{
    clock::wall,
    notes::Notes,
    papers::{Papers, PapersError},
};
use crate::{
    documents::{
        ics,
        language::Language,
        mail::{self, Letter, NotALetter},
        note::{self, Telling},
    },
    domain::{id::OrderRef, message::Kind, order::OrderState},
    stores::{
        database::{
            Database,
            account_codes::Purpose,
            accounts::{self, Account},
            mails::{About, Mail},
            messages::{self, Message},
            orders,
            tickets::{self, State},
        },
        error::StoreError,
        post::Outgoing,
    },
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Letters {
    database: Database,
    papers: Papers,
    notes: Notes,
    from: Arc<Mailbox>,
}

#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    #[error(transparent)]
    Papers(#[from] PapersError),
    #[error("the account is not there any more")]
    NoAccount,
    #[error("the order has no tickets any more")]
    NoTickets,
    #[error("what it brings is good no more")]
    TooLate,
    #[error("the message is not there any more")]
    NoMessage,
    #[error(transparent)]
    NotALetter(#[from] NotALetter),
}

impl LetterError {
    /// Whether the mail can never be written.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Papers(PapersError::Store(error)) => error.is_final(),
            Self::Papers(PapersError::Overloaded) => false,
            Self::Papers(PapersError::NoEvent | PapersError::Failed(_)) => true,
            Self::NoAccount | Self::NoTickets | Self::NoMessage | Self::TooLate | Self::NotALetter(_) => true,
        }
    }
}

impl From<StoreError> for LetterError {
    fn from(error: StoreError) -> Self {
        Self::Papers(PapersError::Store(error))
    }
}

impl Letters {
    /// `from`: an address, or `Name <address>`.
    pub fn new(database: Database, papers: Papers, notes: Notes, from: &str) -> Result<Self, NotALetter> {
        Ok(Self { database, papers, notes, from: Arc::new(mail::sender(from)?) })
    }

    /// What messages say.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    pub async fn write(&self, mail: &Mail) -> Result<Outgoing, LetterError> {
        let account = accounts::by_id(&self.database, mail.account).await?.ok_or(LetterError::NoAccount)?;
        let message = match mail.about {
            About::Tickets(reference) => self.tickets(mail, reference, &account).await?,
            About::Message(id) => self.telling(mail, id, &account).await?,
        };
        let id = mail.id.simple().to_string();
        Ok(Outgoing { id, from: self.from.email.to_string(), to: account.email, message })
    }

    /// Whether it has what opens an account: then only the account's mailbox may see it.
    pub async fn is_secret(&self, mail: &Mail) -> Result<bool, StoreError> {
        let About::Message(id) = mail.about else { return Ok(false) };
        let message = messages::by_id(&self.database, id).await?;
        Ok(message.is_some_and(|message| matches!(message.kind, Kind::Reset | Kind::Verification)))
    }

    async fn tickets(&self, mail: &Mail, reference: OrderRef, account: &Account) -> Result<Vec<u8>, LetterError> {
        let mut tickets = tickets::of_order(&self.database, reference).await?;
        let of = tickets.len();
        // Some may be other people's by now.
        tickets.retain(|ticket| ticket.state == State::Live && ticket.fan == mail.account);
        if tickets.is_empty() {
            return Err(LetterError::NoTickets);
        }
        let language = Language::of(&account.language);
        let billing = self.papers.billing(reference.event).await?;
        let pdf = self.papers.pdf(&tickets, of, account, language).await?;
        let entries: Vec<_> = tickets.iter().map(|ticket| billing.entry(ticket, of, account)).collect();
        let letter = Letter {
            id: &mail.id.simple().to_string(),
            from: &self.from,
            to: mail::receiver(&account.name, &account.email)?,
            written_at: mail.created_at,
            language,
            programme: &billing.programme,
            entries: &entries,
            pdf,
            calendar: ics::of(&billing.programme, language),
        };
        Ok(mail::tickets(letter)?)
    }

    /// What is said of an offer that is taken, or has lapsed, helps nobody.
    async fn is_over(&self, message: &Message) -> Result<bool, StoreError> {
        if message.kind != Kind::Offer {
            return Ok(false);
        }
        let Ok(reference) = message.about.parse() else { return Ok(true) };
        let order = orders::by_reference(&self.database, reference).await?;
        Ok(order.is_none_or(|order| {
            !matches!(order.state, OrderState::Pending | OrderState::Paying) || order.expires_at <= wall()
        }))
    }

    /// The one that the message is about, on paper. Of one that was replaced since there is a newer message.
    async fn ticket(&self, message: &Message, account: &Account) -> Result<Vec<u8>, LetterError> {
        let id = message.about.parse().map_err(|_| LetterError::TooLate)?;
        let ticket = tickets::by_id(&self.database, id).await?;
        let ticket = ticket.filter(|ticket| ticket.state == State::Live && ticket.fan == message.account);
        let ticket = ticket.ok_or(LetterError::TooLate)?;
        let of = tickets::of_order(&self.database, ticket.reference).await?.len();
        Ok(self.papers.pdf(&[ticket], of, account, Language::of(&account.language)).await?)
    }

    async fn telling(&self, mail: &Mail, id: Uuid, account: &Account) -> Result<Vec<u8>, LetterError> {
        let message = messages::by_id(&self.database, id).await?.ok_or(LetterError::NoMessage)?;
        let life = match message.kind {
            Kind::Reset => Some(Purpose::Reset.life()),
            Kind::Verification => Some(Purpose::Verify.life()),
            _ => None,
        };
        if life.is_some_and(|life| message.created_at + life <= wall()) || self.is_over(&message).await? {
            return Err(LetterError::TooLate);
        }
        let ticket = match message.kind {
            Kind::TicketReplaced => Some(self.ticket(&message, account).await?),
            _ => None,
        };
        let said = self.notes.of(&message, account).await?;
        let telling = Telling {
            id: &mail.id.simple().to_string(),
            from: &self.from,
            to: mail::receiver(&account.name, &account.email)?,
            written_at: mail.created_at,
            language: Language::of(&account.language),
            name: &account.name,
            subject: &said.subject,
            text: &said.text,
            link: said.link.as_deref(),
            ticket,
        };
        Ok(note::telling(telling)?)
    }
}
