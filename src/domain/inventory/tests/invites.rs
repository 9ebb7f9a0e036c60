//! Invites: one person each, for good.

use super::*;
use crate::domain::id::InviteId;

fn use_by(invite: u128, n: u64) -> Command {
    Command::UseInvite { invite: InviteId::from_u128(invite), fan: fan(n.into()) }
}

#[test]
fn an_invite_is_the_first_persons_and_no_other_ones() {
    let mut sale = Sale::seated(&[]);
    for _ in 0..2 {
        assert_eq!(sale.ask(use_by(7, 1)), Ok(Answer::Invited));
    }
    assert_eq!(sale.refused(use_by(7, 2)), Refusal::InviteUsed);
    assert_eq!(sale.ask(use_by(8, 2)), Ok(Answer::Invited));
    let used = sale.journal.iter().filter(|(_, entry)| matches!(entry, Entry::InviteUsed { .. })).count();
    assert_eq!(used, 2, "who comes again changes nothing");
    sale.check_replay();
}

#[test]
fn a_withdrawn_invite_is_nobodys_whether_it_was_used_or_not() {
    let mut sale = Sale::seated(&[]);
    sale.ask(use_by(7, 1)).expect("new");
    let withdraw = |invites: &[u128]| {
        Command::WithdrawInvites(invites.iter().map(|invite| InviteId::from_u128(*invite)).collect())
    };
    assert_eq!(sale.ask(withdraw(&[7, 9, 9])), Ok(Answer::InvitesWithdrawn { count: 2 }));
    assert_eq!(sale.ask(withdraw(&[9, 7])), Ok(Answer::InvitesWithdrawn { count: 0 }));
    for (invite, by) in [(7, 1), (7, 2), (9, 1)] {
        assert_eq!(sale.refused(use_by(invite, by)), Refusal::InviteWithdrawn);
    }
    sale.check_replay();
}
