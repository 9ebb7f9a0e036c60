//! I-21 to I-27, by nothing but what was seen and what the journal says. Shares no code with the waiting room.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Fact, FactKind, Fan, Seen, Time, What, arrival, class};

/// Whoever has had a place for so long was seen by whoever called.
pub const SEEN_AFTER: Time = 1_500;

/// Whatever does not hold, in words.
pub fn check(seen: &[Seen], facts: &[Fact]) -> Vec<String> {
    let mut wrong = Vec::new();
    for class in 0..10 {
        wrong.extend(first_come_first_served(seen, facts, class));
    }
    wrong.extend(slots(facts));
    wrong.extend(once_and_bound(seen, facts));
    wrong.extend(no_bypass(facts));
    wrong.extend(durable(seen, facts));
    wrong.extend(positions(seen));
    wrong
}

#[derive(Clone, Copy)]
struct Joined {
    class: u8,
    asked: Option<Time>,
    told: Option<Time>,
    left: bool,
}

fn joins(seen: &[Seen]) -> BTreeMap<Fan, Joined> {
    let mut joins = BTreeMap::new();
    for Seen { at, fan, what } in seen {
        let joined = joins.entry(*fan).or_insert(Joined { class: 0, asked: None, told: None, left: false });
        match what {
            What::Asked => joined.asked = joined.asked.or(Some(*at)),
            What::Told { place } if joined.told.is_none() => (joined.class, joined.told) = (class(*place), Some(*at)),
            What::Left => joined.left = true,
            _ => {}
        }
    }
    joins
}

fn admissions(facts: &[Fact]) -> impl Iterator<Item = (u64, u64, Fan)> {
    facts.iter().filter_map(|fact| match fact.what {
        FactKind::Admitted { place, fan, .. } => Some((fact.batch, place, fan)),
        _ => None,
    })
}

fn moved(facts: &[Fact]) -> BTreeSet<(Fan, u64)> {
    let moved = facts.iter().filter_map(|fact| match fact.what {
        FactKind::Moved { fan, to } => Some((fan, to)),
        _ => None,
    });
    moved.collect()
}

/// I-21: who was told of a place before another of the class even asked is not let in later than that one. Whoever was moved
/// by hand has no part in it.
fn first_come_first_served(seen: &[Seen], facts: &[Fact], class: u8) -> Vec<String> {
    let moved: BTreeSet<Fan> = moved(facts).into_iter().map(|(fan, _)| fan).collect();
    let mut joins = joins(seen);
    joins.retain(|fan, joined| joined.class == class && !moved.contains(fan));
    let batches: BTreeMap<Fan, u64> = admissions(facts).map(|(batch, _, fan)| (fan, batch)).collect();
    // Who neither left nor was let in still waits: behind everybody.
    let ahead = joins.iter().filter_map(|(fan, joined)| {
        let batch = batches.get(fan).copied();
        Some((joined.told?, batch.or((!joined.left).then_some(u64::MAX))?, *fan))
    });
    let mut ahead: Vec<(Time, u64, Fan)> = ahead.collect();
    ahead.sort_unstable();
    // Of those told by then, the one who was let in last.
    let mut last: Vec<(u64, Fan)> = Vec::new();
    for &(_, batch, fan) in &ahead {
        last.push(last.last().copied().unwrap_or_default().max((batch, fan)));
    }
    let overtaken = |(fan, joined): (&Fan, &Joined)| {
        let (asked, batch) = (joined.asked?, batches.get(fan)?);
        let before = ahead.partition_point(|(told, ..)| *told < asked);
        let (theirs, other) = *last.get(before.checked_sub(1)?)?;
        (theirs > *batch).then(|| format!("I-21: {other:x}, who had a place, is overtaken by {fan:x}"))
    };
    joins.iter().filter_map(overtaken).collect()
}

/// I-22: never more live admissions than slots, and none ends by time before its time.
fn slots(facts: &[Fact]) -> Vec<String> {
    let (mut wrong, mut live, mut slots) = (Vec::new(), BTreeMap::new(), 0);
    for batch in facts.chunk_by(|a, b| a.batch == b.batch) {
        for fact in batch {
            match fact.what {
                FactKind::Slots { count } => slots = count as usize,
                FactKind::Admitted { place, until, .. } | FactKind::Until { place, until } => {
                    live.insert(place, until);
                }
                FactKind::Ended { place, by_time } => match live.remove(&place) {
                    Some(until) if by_time && fact.at < until => {
                        wrong.push(format!("I-22: the admission of {place} ends at {} of {until}", fact.at));
                    }
                    Some(_) => {}
                    None => wrong.push(format!("I-22: the admission of {place} ends, and there is none")),
                },
                FactKind::Held { .. } | FactKind::Moved { .. } | FactKind::Activated => {}
            }
        }
        if live.len() > slots {
            wrong.push(format!("I-22: {} admissions for {slots} slots in batch {}", live.len(), batch[0].batch));
        }
    }
    wrong
}

/// I-23: a place is one fan's and let in once, a fan has one place, and nobody gets in with another's token.
fn once_and_bound(seen: &[Seen], facts: &[Fact]) -> Vec<String> {
    let (mut wrong, mut of_place, mut of_fan) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let moved = moved(facts);
    let mut belongs = |place: u64, fan: Fan| {
        let owner = *of_place.entry(place).or_insert(fan);
        let own = if moved.contains(&(fan, place)) { place } else { *of_fan.entry(fan).or_insert(place) };
        (owner != fan || own != place).then(|| format!("I-23: {fan:x} has {place}, which is {owner:x}'s, or {own}"))
    };
    let mut let_in = BTreeSet::new();
    for (batch, place, fan) in admissions(facts) {
        wrong.extend(belongs(place, fan));
        if !let_in.insert(place) {
            wrong.push(format!("I-23: {place} is let in a second time in batch {batch}"));
        }
    }
    for Seen { fan, what, .. } in seen {
        match *what {
            What::Told { place } | What::Position { place, .. } | What::Admitted { place, .. } => {
                wrong.extend(belongs(place, *fan));
            }
            What::TriedAnothers { allowed: true } => wrong.push(format!("I-23: {fan:x} shops by another's token")),
            _ => {}
        }
    }
    wrong
}

/// I-24: whoever holds something is let in just then, and has claimed it.
fn no_bypass(facts: &[Fact]) -> Vec<String> {
    let (mut wrong, mut live) = (Vec::new(), BTreeMap::new());
    for fact in facts {
        match fact.what {
            FactKind::Admitted { place, fan, claimed, until } => {
                live.insert(place, (fan, claimed, until));
            }
            FactKind::Until { place, until } => {
                live.entry(place).and_modify(|of| (of.1, of.2) = (true, until));
            }
            FactKind::Ended { place, .. } => {
                live.remove(&place);
            }
            FactKind::Held { place, fan } => {
                let may = live.get(&place).is_some_and(|of| of.0 == fan && of.1 && fact.at < of.2);
                if !may {
                    wrong.push(format!("I-24: {fan:x} holds something by {place}, {:?}", live.get(&place)));
                }
            }
            FactKind::Slots { .. } | FactKind::Moved { .. } | FactKind::Activated => {}
        }
    }
    wrong
}

/// I-25: every token that a fan has got is in the journal, was there first, and does not outlive it.
fn durable(seen: &[Seen], facts: &[Fact]) -> Vec<String> {
    let mut admitted = BTreeMap::new();
    for fact in facts {
        match fact.what {
            FactKind::Admitted { place, fan, until, .. } => {
                admitted.insert(place, (fan, fact.at, until));
            }
            FactKind::Until { place, until } => {
                admitted.entry(place).and_modify(|of| of.2 = until.max(of.2));
            }
            _ => {}
        }
    }
    let told = seen.iter().filter_map(|seen| match seen.what {
        What::Admitted { place, until } => Some((seen, place, until)),
        _ => None,
    });
    told.filter(|(seen, place, until)| {
        !admitted.get(place).is_some_and(|&(fan, at, ends)| fan == seen.fan && at <= seen.at && *until <= ends)
    })
    .map(|(seen, place, until)| {
        format!("I-25: {:x} has a token for {place} until {until}, the journal: {:?}", seen.fan, admitted.get(&place))
    })
    .collect()
}

/// I-26: nobody's number rises, whatever connection tells it, but once after it was said that the queue is rebuilt; and none is
/// more than ever stood before.
fn positions(seen: &[Seen]) -> Vec<String> {
    let places: BTreeSet<u64> = seen
        .iter()
        .filter_map(|seen| match seen.what {
            What::Told { place } | What::Admitted { place, .. } => Some(place),
            _ => None,
        })
        .collect();
    let (mut wrong, mut least, mut newest) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let (mut rebuilt, mut rebuilding) = (BTreeMap::new(), BTreeSet::new());
    for Seen { fan, what, .. } in seen {
        if matches!(what, What::Rebuilding { .. }) {
            if rebuilding.insert(*fan) {
                *rebuilt.entry(*fan).or_insert(0) += 1;
                least.retain(|(other, _), _| other != fan);
            }
            continue;
        }
        let What::Position { place, ahead, connection, seq } = *what else { continue };
        rebuilding.remove(fan);
        let before = least.insert((*fan, place), ahead);
        if before.is_some_and(|before| before < ahead) {
            wrong.push(format!("I-26: {fan:x} had {before:?} ahead and has {ahead}, connection {connection}"));
        }
        if newest.insert((*fan, connection), seq).is_some_and(|before| before >= seq) {
            wrong.push(format!("I-26: {fan:x} is told {seq} again on connection {connection}"));
        }
        // Just after the join, whoever came within that second counts, in whichever line.
        let before = places.iter().filter(|&&other| arrival(other) < arrival(place)).count();
        if ahead > before as u64 {
            wrong.push(format!("I-26: {fan:x} is told that {ahead} are ahead; so many never were"));
        }
    }
    let more = rebuilt.into_iter().filter(|(_, times)| *times > 1);
    wrong.extend(more.map(|(fan, times)| format!("I-26: {fan:x} is told {times} times that the queue is rebuilt")));
    wrong
}

/// I-26, and what is measured of it: how long a slot was free while somebody waited and a node ran the event, at most.
pub fn longest_stop(seen: &[Seen], facts: &[Fact]) -> Time {
    let joins = joins(seen);
    let let_in: BTreeMap<Fan, Time> = facts
        .iter()
        .filter_map(|fact| match fact.what {
            FactKind::Admitted { fan, .. } => Some((fan, fact.at)),
            _ => None,
        })
        .collect();
    let waited_at = |at: Time| {
        joins.iter().any(|(fan, joined)| {
            joined.told.is_some_and(|told| told <= at) && let_in.get(fan).is_some_and(|let_in| *let_in > at)
        })
    };
    let (mut longest, mut slots, mut live, mut free_since) = (0, 0_i64, 0_i64, None::<Time>);
    for batch in facts.chunk_by(|a, b| a.batch == b.batch) {
        for fact in batch {
            match fact.what {
                FactKind::Slots { count } => slots = count.into(),
                FactKind::Admitted { .. } => {
                    longest = longest.max(free_since.take().map_or(0, |since| fact.at.saturating_sub(since)));
                    live += 1;
                }
                // Nobody ran it before.
                FactKind::Activated => free_since = free_since.map(|_| fact.at),
                FactKind::Ended { .. } => live -= 1,
                _ => {}
            }
        }
        let stands = live < slots && waited_at(batch[0].at);
        free_since = stands.then(|| free_since.unwrap_or(batch[0].at));
    }
    longest
}

/// Of each admission the class, and of which classes somebody waited who might have been called instead: who had a place for a
/// while by then, and is let in later. Those who were put before all have no part in it.
pub fn calls(seen: &[Seen], facts: &[Fact]) -> Vec<(u8, BTreeSet<u8>)> {
    let moved: BTreeSet<Fan> = moved(facts).into_iter().map(|(fan, _)| fan).collect();
    let let_in: Vec<(Time, u64, Fan)> = facts
        .iter()
        .filter_map(|fact| match fact.what {
            FactKind::Admitted { place, fan, .. } => Some((fact.at, place, fan)),
            _ => None,
        })
        .collect();
    let joins = joins(seen);
    let waits_at = |number: usize, at: Time| {
        let later = let_in[number..].iter().filter(|(_, _, fan)| !moved.contains(fan));
        let waits = later.filter(|(_, _, fan)| {
            joins.get(fan).and_then(|joined| joined.told).is_some_and(|told| told + SEEN_AFTER <= at)
        });
        waits.map(|(_, place, _)| class(*place)).collect()
    };
    let calls = let_in.iter().enumerate().filter(|(_, (_, place, _))| class(*place) != 9);
    calls.map(|(number, (at, place, _))| (class(*place), waits_at(number, *at))).collect()
}

/// I-27: of any `n` admissions in a row during which fans of a class wait, the class gets its share of them, less one.
///
/// An admission is the class that was let in, and the classes of which somebody waited then. Shares add up to 1.
pub fn shares(admissions: &[(u8, BTreeSet<u8>)], shares: &BTreeMap<u8, f64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (&class, &share) in shares {
        for from in 0..admissions.len() {
            let (mut count, mut got) = (0_u32, 0_u32);
            for (let_in, waiting) in &admissions[from..] {
                if !waiting.contains(&class) {
                    break;
                }
                count += 1;
                got += u32::from(*let_in == class);
                if f64::from(got) < (share * f64::from(count)).floor() - 1.0 {
                    wrong.push(format!("I-27: class {class} got {got} of {count} admissions from the {from}th on"));
                    break;
                }
            }
        }
    }
    wrong
}
