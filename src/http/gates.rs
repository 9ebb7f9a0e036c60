//! What stands before a place in a queue, in order: cheap things first. Whoever has a place passes all of them.

use std::net::IpAddr;

use http::HeaderMap;

use super::{app::App, captcha, challenge, exclusive, invites, problem::Problem, tokens::unix_now};
use crate::{
    actors::directory::EventHandles,
    domain::id::{EventId, FanId},
};

/// Who comes, and with what.
pub struct Comer<'a> {
    pub fan: FanId,
    pub address: IpAddr,
    pub headers: &'a HeaderMap,
    /// From a node that went away, or with the ticket of a place: what was asked for that was done.
    pub had_place: bool,
}

pub async fn pass(app: &App, handles: &EventHandles, event: EventId, comer: Comer<'_>) -> Result<(), Problem> {
    let Comer { fan, address, headers, had_place } = comer;
    if !had_place {
        let asked = app.challenges.looks(app.captcha.asking(), unix_now());
        if asked.challenge {
            challenge::pass(app, handles, event, fan, headers).await?;
        }
        if asked.captcha {
            captcha::pass(app, handles, event, (fan, address), headers).await?;
        }
    }
    invites::pass(app, handles, event, fan, headers).await?;
    exclusive::pass(app, handles, event, fan).await
}
