//! Letters: a mail of the database as it goes out, with what is true now.

use std::sync::Arc;

use lettre::message::Mailbox;

use super::{
    clock::wall,
    papers::{Papers, PapersError},
};
use crate::{
    documents::{
        ics,
        language::Language,
        mail::{self, Letter, NotALetter},
        offer,
    },
    domain::{inventory::request::Line, order::OrderState},
    stores::{
        database::{
            Database,
            accounts::{self, Account},
            mails::{Kind, Mail},
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
    #[error("the offer is over")]
    OfferOver,
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
            Self::NoAccount | Self::NoTickets | Self::OfferOver | Self::NotALetter(_) => true,
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
    pub fn new(database: Database, papers: Papers, from: &str) -> Result<Self, NotALetter> {
        Ok(Self { database, papers, from: Arc::new(mail::sender(from)?) })
    }

    pub async fn write(&self, mail: &Mail) -> Result<Outgoing, LetterError> {
        let account = accounts::by_id(&self.database, mail.account).await?.ok_or(LetterError::NoAccount)?;
        match mail.kind {
            Kind::Tickets => self.tickets(mail, account).await,
            Kind::Offer => self.offer(mail, account).await,
        }
    }

    /// What is said of an offer that is taken or over helps nobody.
    async fn offer(&self, mail: &Mail, account: Account) -> Result<Outgoing, LetterError> {
        let order = orders::by_reference(&self.database, mail.reference).await?.ok_or(LetterError::OfferOver)?;
        let is_open = matches!(order.state, OrderState::Pending | OrderState::Paying) && wall() < order.expires_at;
        if !is_open {
            return Err(LetterError::OfferOver);
        }
        let billing = self.papers.billing(mail.reference.event).await?;
        let line = |line: Line| offer::Line {
            quantity: line.quantity,
            kind: billing.kind(&line.ticket_type),
            seats: line.seats,
        };
        let id = mail.id.simple().to_string();
        let message = offer::mail(&offer::Offer {
            id: &id,
            from: &self.from,
            to: mail::receiver(&account.name, &account.email)?,
            written_at: mail.created_at,
            language: Language::of(&account.language),
            programme: &billing.programme,
            name: &account.name,
            order: mail.reference,
            lines: order.lines.into_iter().map(line).collect(),
            total: order.total,
            expires_at: order.expires_at,
        })?;
        Ok(Outgoing { id, from: self.from.email.to_string(), to: account.email, message })
    }

    async fn tickets(&self, mail: &Mail, account: Account) -> Result<Outgoing, LetterError> {
        let mut tickets = tickets::of_order(&self.database, mail.reference).await?;
        let of = tickets.len();
        // Some may be other people's by now.
        tickets.retain(|ticket| ticket.state == State::Live && ticket.fan == mail.account);
        if tickets.is_empty() {
            return Err(LetterError::NoTickets);
        }
        let language = Language::of(&account.language);
        let billing = self.papers.billing(mail.reference.event).await?;
        let pdf = self.papers.pdf(&tickets, of, &account, language).await?;
        let entries: Vec<_> = tickets.iter().map(|ticket| billing.entry(ticket, of, &account)).collect();
        let id = mail.id.simple().to_string();
        let letter = Letter {
            id: &id,
            from: &self.from,
            to: mail::receiver(&account.name, &account.email)?,
            written_at: mail.created_at,
            language,
            programme: &billing.programme,
            entries: &entries,
            pdf,
            calendar: ics::of(&billing.programme, language),
        };
        let message = mail::tickets(letter)?;
        Ok(Outgoing { id, from: self.from.email.to_string(), to: account.email, message })
    }
}
