//! The steps of the draw, as the shell around the room does them.

use std::sync::Arc;

use onsale::domain::{
    draw::{Book, Digest, Lots, Tree, commitment, in_order},
    id::FanId,
    inventory::{
        draw::{Closed, Draw},
        request::{Command, DrawCommand, Request},
    },
    queue::{DrawStep, Place},
};

use crate::{
    bug::Bug,
    node::{Caller, Input, Node, ToNode, ToRoom},
    oracle::model::draw::EVENT,
    world::{Event, World},
};

/// As it would follow from the root secret: the same for every owner.
const SEED: Digest = Digest([7; 32]);

impl World {
    pub fn draw(&mut self, id: u32, node: &mut Node, step: DrawStep) {
        let command = match step {
            DrawStep::Commit => DrawCommand::Commit { commitment: commitment(&SEED) },
            DrawStep::Close { mut fans, last } => {
                if self.bug == Some(Bug::LeaveAnEntryOut) {
                    fans.pop();
                }
                let (entries, fans): (Vec<_>, Vec<_>) = in_order(EVENT, fans).into_iter().unzip();
                DrawCommand::Close { root: Tree::new(&entries).root(), last, fans }
            }
            DrawStep::Reveal => DrawCommand::Reveal { seed: SEED },
            DrawStep::Order => return self.inventory(id, node, Input::Read { reply: Caller::Order.into() }),
        };
        self.ask(id, node, Request { identity: None, command: Command::Draw(command) }, Caller::Draw);
    }

    /// From what the journal says now; whoever was admitted by it is left out.
    pub fn order(&mut self, id: u32, node: &Node) {
        let inventory = node.batcher.inventory();
        let Some(Draw { closed: Some(Closed { root, term, last, .. }), seed: Some(seed), beacon, .. }) =
            inventory.draw().cloned()
        else {
            return self.later(1, Event::ToNode(id, ToNode::Room(ToRoom::DrawStepped)));
        };
        let mut fans: Vec<FanId> = inventory.entrants().to_vec();
        let mut lots = Lots { seed, root, beacon: beacon.as_deref().unwrap_or_default() };
        if self.bug == Some(Bug::DrawAnewAfterCrash) && self.last_node > 1 {
            lots.seed = Digest([self.last_node as u8; 32]);
        }
        if self.bug == Some(Bug::EnterAfterClosing)
            && let Some(room) = &node.room
        {
            fans.extend(room.members(Some(last), 99).into_iter().map(|(_, fan)| fan));
            fans = in_order(EVENT, fans).into_iter().map(|(_, fan)| fan).collect();
        }
        let mut places: Vec<(Place, FanId)> = Book::new(EVENT, &lots, Arc::new(fans)).places(term);
        places.retain(|&(place, _)| !inventory.was_admitted(place));
        let delay = self.short_delay();
        self.later(delay, Event::ToNode(id, ToNode::Room(ToRoom::Drawn { places })));
    }
}
