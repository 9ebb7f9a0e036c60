//! What a connection keeps, and how each message changes it.

use std::{mem, sync::Arc, time::Duration};

use ractor::ActorRef;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Close, Directory, EventId, FanId, Notice, Outgoing, Outlet, Shut, Standing,
    message::{Attached, Message},
    screen::{Lost, Screen, Sight},
};
use crate::{
    actors::{
        backoff::Backoff,
        beside,
        directory::DirectoryError,
        waiting_room::{self, Attachment, Ear},
    },
    domain::queue::{News, Outcome, Place},
};

const LONGEST_WAIT: Duration = Duration::from_secs(2);

pub(super) struct State {
    directory: Arc<dyn Directory>,
    event: EventId,
    fan: FanId,
    screen: Arc<Screen>,
    room: Option<Room>,
    /// Where the fan stood last; `None` before that is known.
    standing: Option<Standing>,
    /// By the ticket that was shown first, or as told last.
    place: Option<Place>,
    /// News of attempts that were not yet known to have succeeded.
    early: Vec<(u64, News)>,
    /// The last attempt to attach that is known to have come to an end.
    detached: u64,
    closing: bool,
    attaching: Option<AbortOnDropHandle<()>>,
    asking: Option<AbortOnDropHandle<()>>,
}

struct Room {
    attempt: u64,
    handle: waiting_room::Handle,
    attachment: Attachment,
    _sight: Arc<Sight>,
}

/// Passes on what the room says, and that it says no more.
struct Listener {
    me: ActorRef<Message>,
    attempt: u64,
}

impl Ear for Listener {
    fn hear(&self, news: News) {
        // A connection that has ended hears nothing.
        let _ = self.me.cast(Message::News(self.attempt, news));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.me.cast(Message::Detached(self.attempt));
    }
}

impl State {
    pub fn new(
        me: &ActorRef<Message>,
        directory: Arc<dyn Directory>,
        event: EventId,
        fan: FanId,
        place: Option<Place>,
        outlet: Box<dyn Outlet>,
    ) -> Self {
        let mut state = Self {
            directory,
            event,
            fan,
            screen: Arc::new(Screen::new(me.clone(), outlet)),
            room: None,
            standing: None,
            place,
            early: Vec::new(),
            detached: 0,
            closing: false,
            attaching: None,
            asking: None,
        };
        state.attach(me);
        state
    }

    pub fn handle(&mut self, me: &ActorRef<Message>, message: Message) {
        let handled = match message {
            Message::Claim => self.claim(me),
            Message::Extend => self.extend(me),
            Message::Leave => self.leave(me),
            Message::Goaway => self.goaway(),
            Message::Gone => Err(Lost),
            Message::Attached(attached) => self.attached(me, attached),
            Message::News(attempt, news) => self.hear(attempt, news),
            Message::Detached(attempt) => {
                self.detached(me, attempt);
                Ok(())
            }
            Message::ChangeReturned(Ok(Outcome::NoExtension)) => self.screen.say(Outgoing::Notice(Notice::NoExtension)),
            Message::ChangeReturned(Ok(outcome)) => self.stand(standing_of(&outcome)),
            Message::LeaveReturned(Ok(_)) => self.close(Close::Left),
            Message::ChangeReturned(Err(_)) | Message::LeaveReturned(Err(_)) => {
                self.screen.say(Outgoing::Notice(Notice::TryAgain))
            }
        };
        if handled.is_err() || self.closing {
            me.stop(None);
        }
    }

    /// Joins, so that an opened socket has a place, and ties the socket to the room; for as long as that takes. Who was let in
    /// does not join again: the admission may have ended meanwhile, and whoever has left must not wait once more.
    fn attach(&mut self, me: &ActorRef<Message>) {
        self.room = None;
        self.early.clear();
        self.screen.untie();
        let (directory, event, fan) = (Arc::clone(&self.directory), self.event, self.fan);
        let (actor, mut attempt) = (me.clone(), self.detached);
        let joins = matches!(self.standing, None | Some(Standing::Waiting(_)));
        if let Some(Standing::Waiting(place)) = self.standing {
            self.place = Some(place);
        }
        let place = self.place;
        self.attaching = Some(beside::run(me, async move {
            let mut backoff = Backoff::up_to(LONGEST_WAIT);
            loop {
                attempt += 1;
                let listener = Listener { me: actor.clone(), attempt };
                if let Some(attached) = try_to_attach(&*directory, event, fan, joins.then_some(place), listener).await {
                    break Message::Attached(attached);
                }
                backoff.wait().await;
            }
        }));
    }

    fn attached(&mut self, me: &ActorRef<Message>, attached: Attached) -> Result<(), Lost> {
        self.attaching = None;
        match attached {
            Attached::NoSuchEvent => self.close(Close::NoSuchEvent),
            Attached::Refused(why) => {
                self.screen.say(Outgoing::Notice(Notice::Refused(why)))?;
                self.close(Close::Refused(why))
            }
            // The room has ended before this was heard.
            Attached::Here { attempt, .. } if attempt <= self.detached => {
                self.attach(me);
                Ok(())
            }
            Attached::Here { attempt, room, attachment, standing, clock } => {
                let before = self.standing.replace(standing);
                if matches!(before, Some(Standing::Admitted(_))) && standing == Standing::NotHere {
                    self.screen.say(Outgoing::Notice(Notice::AdmissionEnded))?;
                }
                let sight = self.screen.tie(attempt, &attachment, clock, standing)?;
                self.room = Some(Room { attempt, handle: room, attachment, _sight: sight });
                let early = mem::take(&mut self.early);
                early.into_iter().try_for_each(|(heard_by, news)| self.hear(heard_by, news))
            }
        }
    }

    /// Attempts that came to nothing are told of too.
    fn detached(&mut self, me: &ActorRef<Message>, attempt: u64) {
        self.detached = self.detached.max(attempt);
        if self.room.as_ref().is_some_and(|room| room.attempt == attempt) {
            self.attach(me);
        }
    }

    fn hear(&mut self, attempt: u64, news: News) -> Result<(), Lost> {
        match &self.room {
            Some(room) if room.attempt == attempt => self.news(news),
            // Of an attachment that is no more: where the fan stands was asked since.
            Some(_) => Ok(()),
            None => {
                self.early.push((attempt, news));
                Ok(())
            }
        }
    }

    fn news(&mut self, news: News) -> Result<(), Lost> {
        let standing = match news {
            News::Turn(admission) => {
                self.screen.say(Outgoing::Turn(admission))?;
                Standing::Admitted(admission)
            }
            News::Admitted(admission) => Standing::Admitted(admission),
            News::AdmissionEndsSoon(admission) => {
                self.screen.say(Outgoing::Notice(Notice::AdmissionEndsSoon))?;
                Standing::Admitted(admission)
            }
            News::AdmissionEnded => {
                self.screen.say(Outgoing::Notice(Notice::AdmissionEnded))?;
                Standing::NotHere
            }
            News::Removed => return self.close(Close::Removed),
            News::Tied => return self.close(Close::Tied),
            News::Placed(place) => Standing::Waiting(place),
            News::Left => Standing::NotHere,
            // Where the fan stands in the queue is as it was.
            News::Offered { reference, until } => return self.screen.say(Outgoing::Offer { reference, until }),
        };
        self.stand(standing)
    }

    fn stand(&mut self, standing: Standing) -> Result<(), Lost> {
        // Whoever attaches again asks where they stand.
        let Some(room) = &self.room else { return Ok(()) };
        self.standing = Some(standing);
        self.screen.stand(standing, &room.attachment.lanes.queue())
    }

    fn claim(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        let Some((room, fan)) = self.room() else { return self.try_again() };
        self.asking = Some(beside::run(me, async move { Message::ChangeReturned(room.claim(fan).await) }));
        Ok(())
    }

    fn extend(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        let Some((room, fan)) = self.room() else { return self.try_again() };
        self.asking = Some(beside::run(me, async move { Message::ChangeReturned(room.extend(fan).await) }));
        Ok(())
    }

    fn leave(&mut self, me: &ActorRef<Message>) -> Result<(), Lost> {
        let Some((room, fan)) = self.room() else { return self.try_again() };
        self.asking = Some(beside::run(me, async move { Message::LeaveReturned(room.leave(fan).await) }));
        Ok(())
    }

    fn room(&self) -> Option<(waiting_room::Handle, FanId)> {
        self.room.as_ref().map(|room| (room.handle.clone(), self.fan))
    }

    fn try_again(&self) -> Result<(), Lost> {
        self.screen.say(Outgoing::Notice(Notice::TryAgain))
    }

    fn goaway(&mut self) -> Result<(), Lost> {
        self.screen.goaway()?;
        self.close(Close::GoingAway)
    }

    fn close(&mut self, why: Close) -> Result<(), Lost> {
        if self.closing {
            return Ok(());
        }
        self.closing = true;
        self.screen.untie();
        self.screen.say(Outgoing::Close(why))
    }
}

fn standing_of(outcome: &Outcome) -> Standing {
    match *outcome {
        Outcome::Waiting { place } => Standing::Waiting(place),
        Outcome::Admitted(admission) => Standing::Admitted(admission),
        _ => Standing::NotHere,
    }
}

/// `joins`: perhaps by the place that the fan had. `None`: not now.
async fn try_to_attach(
    directory: &dyn Directory,
    event: EventId,
    fan: FanId,
    joins: Option<Option<Place>>,
    listener: Listener,
) -> Option<Attached> {
    let attempt = listener.attempt;
    let handles = match directory.event(event).await {
        Ok(handles) => handles,
        Err(DirectoryError::UnknownEvent) => return Some(Attached::NoSuchEvent),
        Err(DirectoryError::Unavailable | DirectoryError::Elsewhere) => return None,
    };
    // Attached first, so that no news is missed between the two.
    let attachment = handles.waiting_room.attach(fan, Box::new(listener)).await.ok()?;
    let standing = if let Some(place) = joins {
        let joined = match place {
            Some(place) => handles.waiting_room.restore(fan, place).await,
            None => handles.waiting_room.join(fan).await,
        };
        match joined.ok()? {
            Outcome::Full => return Some(Attached::Refused(Shut::Full)),
            Outcome::NotOpen { from } => return Some(Attached::Refused(Shut::NotOpen { from })),
            Outcome::Closed => return Some(Attached::Refused(Shut::Closed)),
            Outcome::AccountNeeded => return Some(Attached::Refused(Shut::AccountNeeded)),
            Outcome::DeviceTied => return Some(Attached::Refused(Shut::DeviceTied)),
            Outcome::Halted => return Some(Attached::Refused(Shut::Halted)),
            outcome => standing_of(&outcome),
        }
    } else {
        handles.waiting_room.standing(fan).await.ok()?
    };
    let clock = handles.inventory.clock();
    Some(Attached::Here { attempt, room: handles.waiting_room, attachment, standing, clock })
}
