//! Codes for a discount, or for what is not open to everybody: what each is worth, and how often it was used.
//!
//! Owns the count of uses, which are tickets: a use is taken and given back with the stock of its ticket, by the same entry. So
//! what is counted is what is held or sold by the code, and nothing beside.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Corrupt, Decision, Inventory,
    blocks::Blocks,
    configuration::Configuration,
    entry::{Entry, EntryLine},
    orders::CompactLine,
    request::{Answer, CodeView, CodesPage, Refusal},
    stock::Move,
};
use crate::domain::{
    code::Code,
    id::FanId,
    money::Money,
    price::{Breakdown, Discount, WHOLE},
    time::EventTime,
};

/// Of one event, withdrawn ones too: their numbers stay theirs.
const MOST: usize = 100_000;
/// Made, or told, at once.
pub const MOST_AT_ONCE: usize = 1_000;

/// What each of some codes is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTerms {
    pub discount: Option<Discount>,
    /// Whether it opens ticket types that need a code, or are not open yet.
    pub opens: bool,
    /// Of which ticket types; none named: of all.
    pub ticket_types: Vec<Code>,
    /// Tickets, held and sold, by one code.
    pub max_uses: Option<u32>,
    /// Of those, one fan's.
    pub per_fan: Option<u32>,
    pub valid_from: Option<EventTime>,
    pub valid_until: Option<EventTime>,
}

impl CodeTerms {
    fn is_valid(&self) -> bool {
        let discount = match self.discount {
            None => true,
            Some(Discount::BasisPoints(of)) => of <= WHOLE,
            Some(Discount::Minor(minor)) => (0..=Money::MAX_MINOR).contains(&minor),
        };
        let order = self.valid_from.zip(self.valid_until).is_none_or(|(from, until)| from < until);
        discount && order && (self.discount.is_some() || self.opens)
    }

    fn is_for(&self, ticket_type: &Code) -> bool {
        self.ticket_types.is_empty() || self.ticket_types.contains(ticket_type)
    }

    fn is_valid_at(&self, now: EventTime) -> bool {
        self.valid_from.is_none_or(|from| now >= from) && self.valid_until.is_none_or(|until| now < until)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    code: Code,
    /// Which of the terms.
    terms: u32,
    uses: u32,
    withdrawn: bool,
}

/// A clone shares what is long with a snapshot that is being written.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    terms: Arc<Vec<CodeTerms>>,
    /// A code's number is its place here.
    list: Blocks<Record>,
    numbers: Arc<HashMap<Code, u32>>,
    /// Of codes that count by fan only.
    by_fan: Arc<BTreeMap<(u32, FanId), u32>>,
}

impl Codes {
    /// Also one that was withdrawn.
    fn find(&self, code: &Code) -> Option<u32> {
        self.numbers.get(code).copied()
    }

    fn get(&self, number: u32) -> Option<(&Record, &CodeTerms)> {
        let record = self.list.get(number as usize)?;
        Some((record, self.terms.get(record.terms as usize)?))
    }

    fn used_by(&self, number: u32, fan: FanId) -> u32 {
        self.by_fan.get(&(number, fan)).copied().unwrap_or(0)
    }

    /// How many more there may be in all, and of this fan; none of a code that is not known.
    fn room(&self, number: u32, fan: FanId) -> (u32, u32) {
        let Some((record, terms)) = self.get(number) else { return (0, 0) };
        let left = |most: Option<u32>, used: u32| most.map_or(u32::MAX, |most| most.saturating_sub(used));
        (left(terms.max_uses, record.uses), left(terms.per_fan, self.used_by(number, fan)))
    }

    fn make(&mut self, terms: &CodeTerms, codes: &[Code]) -> Result<(), Corrupt> {
        let at = u32::try_from(self.terms.len()).map_err(|_| Corrupt("too many kinds of codes".into()))?;
        Arc::make_mut(&mut self.terms).push(terms.clone());
        let numbers = Arc::make_mut(&mut self.numbers);
        for code in codes {
            let number = u32::try_from(self.list.len()).map_err(|_| Corrupt("too many codes".into()))?;
            if numbers.insert(code.clone(), number).is_some() {
                return Err(Corrupt("a code is made twice".into()));
            }
            self.list.push(Record { code: code.clone(), terms: at, uses: 0, withdrawn: false });
        }
        Ok(())
    }

    fn withdraw(&mut self, numbers: &[u32]) -> Result<(), Corrupt> {
        for &number in numbers {
            let record = self.list.get_mut(number as usize);
            record.ok_or_else(|| Corrupt(format!("code {number} is not known")))?.withdrawn = true;
        }
        Ok(())
    }

    fn take(&mut self, number: u32, fan: FanId, quantity: u32) -> Result<(), Corrupt> {
        let (in_all, of_fan) = self.room(number, fan);
        if quantity > in_all.min(of_fan) {
            return Err(Corrupt(format!("code {number} is used more often than it may be")));
        }
        self.lend(number, fan, quantity);
        Ok(())
    }

    /// Beyond what there is, too.
    fn lend(&mut self, number: u32, fan: FanId, quantity: u32) {
        let counts_fans = self.get(number).is_some_and(|(_, terms)| terms.per_fan.is_some());
        if let Some(record) = self.list.get_mut(number as usize) {
            record.uses = record.uses.saturating_add(quantity);
        }
        if counts_fans {
            *Arc::make_mut(&mut self.by_fan).entry((number, fan)).or_default() += quantity;
        }
    }

    fn give_back(&mut self, number: u32, fan: FanId, quantity: u32) -> Result<(), Corrupt> {
        let record = self.list.get_mut(number as usize);
        let record = record.ok_or_else(|| Corrupt(format!("code {number} is not known")))?;
        let left = record.uses.checked_sub(quantity);
        record.uses = left.ok_or_else(|| Corrupt(format!("code {number} gives back more than was used")))?;
        // Tickets may have gone to another fan since: then none of this one's are there to give back.
        if let Some(used) = self.by_fan.get(&(number, fan)).copied() {
            let by_fan = Arc::make_mut(&mut self.by_fan);
            match used.checked_sub(quantity) {
                None | Some(0) => by_fan.remove(&(number, fan)),
                Some(left) => by_fan.insert((number, fan), left),
            };
        }
        Ok(())
    }
}

impl Inventory {
    pub(super) fn decide_make_codes(&self, terms: &CodeTerms, codes: &[Code]) -> Result<Decision, Refusal> {
        if !terms.is_valid() {
            return Err(Refusal::InvalidConfiguration("a code that opens nothing and takes nothing off".into()));
        }
        if let Some(unknown) = terms.ticket_types.iter().find(|code| self.stock.offered(code).is_none()) {
            return Err(Refusal::UnknownTicketType(unknown.clone()));
        }
        let mut new = codes.to_vec();
        new.sort_unstable();
        if let Some(twice) = new.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first()) {
            return Err(Refusal::CodeExists(twice.clone()));
        }
        if let Some(known) = codes.iter().find(|code| self.codes.find(code).is_some()) {
            return Err(Refusal::CodeExists(known.clone()));
        }
        if codes.len() > MOST_AT_ONCE || self.codes.list.len() + codes.len() > MOST {
            return Err(Refusal::TooManyCodes { max: MOST as u32 });
        }
        let entry = Entry::CodesMade { terms: Box::new(terms.clone()), codes: codes.to_vec() };
        Ok(Decision::one(entry, Answer::CodesMade))
    }

    /// Nobody holds anything by these any more; what is held or sold stays.
    pub(super) fn decide_withdraw_codes(&self, codes: &[Code]) -> Result<Decision, Refusal> {
        let numbers = codes.iter().map(|code| self.codes.find(code).ok_or(Refusal::UnknownCode));
        let mut numbers: Vec<u32> = numbers.collect::<Result<_, _>>()?;
        numbers.retain(|number| self.codes.get(*number).is_some_and(|(record, _)| !record.withdrawn));
        numbers.sort_unstable();
        numbers.dedup();
        let answer = Answer::CodesWithdrawn { count: numbers.len() as u32 };
        if numbers.is_empty() {
            return Ok(Decision::already(answer));
        }
        Ok(Decision::one(Entry::CodesWithdrawn { codes: numbers }, answer))
    }

    /// Changes nothing.
    pub(super) fn decide_list_codes(&self, from: u32, limit: u32) -> Decision {
        let limit = (limit as usize).min(MOST_AT_ONCE) as u32;
        let view = |number: u32| {
            let (record, terms) = self.codes.get(number)?;
            let (code, uses, withdrawn) = (record.code.clone(), record.uses, record.withdrawn);
            Some(CodeView { number, code, terms: terms.clone(), uses, withdrawn })
        };
        let codes: Vec<CodeView> = (from..from.saturating_add(limit)).map_while(view).collect();
        let next = from.saturating_add(codes.len() as u32);
        let next = ((next as usize) < self.codes.list.len()).then_some(next);
        Decision::already(Answer::Codes(CodesPage { codes, next }))
    }

    /// The price under the code of those lines that it is for; a refusal if it cannot be used, or is needed and not there.
    pub(super) fn priced_by_code(
        &self,
        now: EventTime,
        (fan, code): (FanId, Option<&Code>),
        lines: &mut [EntryLine],
        configuration: &Configuration,
    ) -> Result<(), Refusal> {
        let Some(code) = code else { return lines.iter().try_for_each(|line| self.is_open(now, line)) };
        let number = self.codes.find(code).ok_or(Refusal::UnknownCode)?;
        let (record, terms) = self.codes.get(number).ok_or(Refusal::UnknownCode)?;
        if record.withdrawn {
            return Err(Refusal::UnknownCode);
        }
        if !terms.is_valid_at(now) {
            return Err(Refusal::CodeNotValidNow { from: terms.valid_from, until: terms.valid_until });
        }
        let mut covered = 0_u32;
        for line in lines {
            let Some(stock) = self.stock.get(line.ticket_type) else { continue };
            let is_for = terms.is_for(&stock.code);
            if !(is_for && terms.opens) {
                self.is_open(now, line)?;
            }
            if is_for {
                covered = covered.saturating_add(line.quantity);
                let each = configuration.charges.of_ticket(line.each().face_minor, terms.discount);
                let rate = line.rate().cloned();
                line.unit_price_minor = each.total_minor();
                line.breakdown = Some(Box::new(Breakdown { each, code: Some(number), rate, ..Breakdown::default() }));
            }
        }
        let (in_all, of_fan) = self.codes.room(number, fan);
        match covered {
            0 => Err(Refusal::CodeNotForThese),
            covered if covered > in_all => Err(Refusal::CodeUsedUp { left: in_all }),
            covered if covered > of_fan => Err(Refusal::CodeFanLimit { left: of_fan }),
            _ => Ok(()),
        }
    }

    /// To whoever has no code for it.
    fn is_open(&self, now: EventTime, line: &EntryLine) -> Result<(), Refusal> {
        self.is_for_all(now, line.ticket_type)
    }

    pub(super) fn is_for_all(&self, now: EventTime, ticket_type: u16) -> Result<(), Refusal> {
        let Some(stock) = self.stock.get(ticket_type) else { return Ok(()) };
        if stock.needs_code || stock.opens_at.is_some_and(|opens_at| now < opens_at) {
            let opens_at = stock.opens_at.filter(|_| !stock.needs_code);
            return Err(Refusal::CodeRequired { ticket_type: stock.code.clone(), opens_at });
        }
        Ok(())
    }

    /// Whether what was paid for can be the fan's again. Only counts matter: the price was promised.
    pub(super) fn codes_have_room(&self, fan: FanId, lines: &[EntryLine]) -> bool {
        let code = |line: &EntryLine| line.breakdown.as_ref().and_then(|breakdown| breakdown.code);
        lines.iter().filter_map(code).all(|number| {
            let same = lines.iter().filter(|line| code(line) == Some(number));
            let wanted = same.map(|line| line.quantity).fold(0, u32::saturating_add);
            let (in_all, of_fan) = self.codes.room(number, fan);
            wanted <= in_all.min(of_fan)
        })
    }

    pub(super) fn move_uses(&mut self, fan: FanId, line: &CompactLine, step: Move) -> Result<(), Corrupt> {
        let Some(number) = line.breakdown.as_ref().and_then(|breakdown| breakdown.code) else { return Ok(()) };
        match step {
            Move::Hold | Move::SellAtOnce => self.codes.take(number, fan, line.quantity),
            Move::GiveUp | Move::TakeBack => self.codes.give_back(number, fan, line.quantity),
            Move::Sell => Ok(()),
        }
    }

    /// A ticket that moves has two seats for a while, of which one goes back: its code is used once.
    pub(super) fn lend_uses(&mut self, fan: FanId, line: &CompactLine) {
        if let Some(number) = line.breakdown.as_ref().and_then(|breakdown| breakdown.code) {
            self.codes.lend(number, fan, line.quantity);
        }
    }

    pub(super) fn codes_made(&mut self, terms: &CodeTerms, codes: &[Code]) -> Result<(), Corrupt> {
        self.codes.make(terms, codes)
    }

    pub(super) fn codes_withdrawn(&mut self, codes: &[u32]) -> Result<(), Corrupt> {
        self.codes.withdraw(codes)
    }
}

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.terms, &self.list, &self.by_fan).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (terms, list, by_fan) = <(_, Blocks<Record>, _)>::deserialize(deserializer)?;
        let numbers = list.iter().zip(0..).map(|(record, number)| (record.code.clone(), number)).collect();
        Ok(Self { terms, list, numbers: Arc::new(numbers), by_fan })
    }
}
