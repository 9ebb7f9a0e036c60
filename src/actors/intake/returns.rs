//! Tickets that are to be given back find their takers: as many as the inventory says somebody waits for, the longest offered
//! first.
//!
//! Each is one transaction with its refund; the refund frees the place, and the inventory offers that to who waits. One worker
//! at a time looks at an event.

use std::{sync::Weak, time::Duration};

use super::rounds::rounds;
use crate::{
    actors::{clock::wall, directory::Directory, foundation::Foundation},
    domain::{
        code::Code,
        inventory::{
            request::{Answer, Command, Request},
            waitlist::{Returning, WaitlistAnswer, WaitlistCommand},
        },
        time::Millis,
    },
    stores::{
        database::{
            audit,
            returns::{self, Look, NotReturned, Offered},
        },
        error::StoreError,
    },
};

const EVERY: Duration = Duration::from_millis(500);
/// Events looked at in one round.
const BATCH: u32 = 16;
/// A worker has an event for so long.
const LEASE: Millis = Millis::seconds(30);
/// Between two looks while tickets are offered, and while none are.
const REST: Millis = Millis::seconds(1);
const LONG_REST: Millis = Millis::minutes(60);

pub(super) async fn run(on: Foundation, directory: Weak<dyn Directory>) {
    rounds("tickets that are offered back", EVERY, || round(&on, &directory)).await;
}

async fn round(on: &Foundation, directory: &Weak<dyn Directory>) -> Result<bool, StoreError> {
    for look in returns::due(&on.database, wall(), BATCH).await? {
        let Some(look) = returns::move_look(&on.database, look, wall() + LEASE).await? else { continue };
        let rest = look_at(on, directory, look).await?;
        returns::move_look(&on.database, look, wall() + rest).await?;
    }
    Ok(false)
}

/// Says when to look again.
async fn look_at(on: &Foundation, directory: &Weak<dyn Directory>, look: Look) -> Result<Millis, StoreError> {
    let offered = returns::offered(&on.database, look.event).await?;
    if offered.is_empty() {
        return Ok(LONG_REST);
    }
    let coming = returns::coming(&on.database, look.event).await?;
    let mut returning: Vec<Returning> = Vec::new();
    for Offered { ticket_type, .. } in &offered {
        match returning.iter_mut().find(|returning| returning.ticket_type == *ticket_type) {
            Some(returning) => returning.tickets += 1,
            None => {
                let coming = coming.iter().find(|(code, _)| code == ticket_type).map_or(0, |(_, count)| *count);
                returning.push(Returning { ticket_type: ticket_type.clone(), tickets: 1, coming });
            }
        }
    }
    for (ticket_type, count) in wanted(directory, look, returning).await {
        let of_type = offered.iter().filter(|offered| offered.ticket_type == ticket_type);
        for offered in of_type.take(count as usize) {
            take(on, offered).await?;
        }
    }
    Ok(REST)
}

/// Nobody, while the event cannot be asked.
async fn wanted(directory: &Weak<dyn Directory>, look: Look, returning: Vec<Returning>) -> Vec<(Code, u32)> {
    let Some(directory) = directory.upgrade() else { return Vec::new() };
    let Ok(event) = directory.event(look.event).await else { return Vec::new() };
    let command = Command::Waitlist(WaitlistCommand::Wanted(returning));
    match event.inventory.ask(Request { identity: None, command }).await {
        Ok(Answer::Waitlist(WaitlistAnswer::Wanted(wanted))) => wanted,
        _ => Vec::new(),
    }
}

async fn take(on: &Foundation, offered: &Offered) -> Result<(), StoreError> {
    let mut write = on.database.begin().await?;
    match returns::take(&mut write, offered, wall()).await {
        Ok(Ok(refund)) => {
            audit::append(
                &mut write,
                &audit::Act {
                    at: refund.created_at,
                    account: Some(offered.fan),
                    role: "fan".into(),
                    address: String::new(),
                    action: "ticket.return".into(),
                    object: offered.ticket.to_string(),
                    reason: refund.note.clone(),
                    request_id: refund.id.to_string(),
                },
            )
            .await?;
            write.commit().await?;
            tracing::info!(ticket = %offered.ticket, refund = %refund.id, "a ticket was given back");
            Ok(())
        }
        Ok(Err(NotReturned::Withdrawn)) => Ok(()),
        Ok(Err(NotReturned::Scanned | NotReturned::Void)) => {
            drop(write);
            returns::void(&on.database, offered.ticket, wall()).await
        }
        // A door was faster with the same ticket: the next look sees it.
        Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
