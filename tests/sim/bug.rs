//! Bugs that the simulation can plant: the checks are worth what they find.
//!
//! Each is put where such a bug would sit: in the stores' answers, in the shell around the machines, or, where it would sit
//! in a machine itself, by falsifying what goes into or comes out of that machine.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The journal takes writes of an epoch that is over.
    SkipEpochCompare,
    /// The shell reports a segment as durable when it has sent it.
    AnswerBeforeCommit,
    /// A repeated append carries other bytes under the same sequence number.
    ResendOtherBytes,
    /// The owner's clock for what is due runs a minute ahead.
    EndHoldsEarly,
    /// Recovery forgets who holds what.
    ForgetHoldsOnRecovery,
    /// Recovery leaves out the last segment.
    RecoverWithoutTail,
    /// A repeat of a request arrives without its identity.
    DropRepeatsIdentity,
    /// An owner that may have been replaced still answers reads.
    ReadWithoutFence,
    /// A lease that somebody took away is believed in.
    KeepRevokedLease,
    /// Joins that the store may not have done are reported as failed, and their places stay.
    JoinAfterFailure,
    /// An admin hears that fans are removed who stay.
    RemoveNobody,
    /// Places of a former term are given out again.
    ReuseBurntPlaces,
    /// The second in the line is called before the first.
    Overtake,
    /// The owner believes in more slots than are configured.
    AdmitOverCap,
    /// The owner believes in more room for several ticket types together than is configured.
    SellOverQuota,
    /// The owner believes in more stock than is configured.
    SellOverStock,
    /// An owner forgets that the sale is paused,
    SellWhilePaused,
    /// or that the event is cancelled.
    SellWhenCancelled,
    /// Whoever asks is taken for the channel that seats are kept for.
    IgnoreChannel,
    /// A fan is told of the admission before the journal has it.
    TellBeforeAdmitted,
    /// Holds are taken by an admission that no journal knows.
    HoldWithoutAdmission,
    /// A redelivered payment is confirmed under another payment's id.
    ConfirmUnderAnotherPayment,
    /// A request that is answered as not attempted stays in the queue: an extension,
    ExtendAfterRefusal,
    /// a release, by which an order is cancelled too,
    ReleaseAfterRefusal,
    /// a payment.
    ConfirmAfterRefusal,
    /// Tickets are written once for each delivery.
    ConsumerWithoutDeduplication,
    /// Bus and outbox are told that a payment is done with before the database has it.
    AcknowledgeBeforeCommit,
    /// Facts count as published when they are sent.
    MarkPublishedBeforeConfirm,
    /// A webhook is answered before it is stored.
    AnswerWebhookBeforeCommit,
    /// Each attempt at a refund has a key of its own.
    RefundUnderNewKey,
    /// Whoever owns the event after a crash draws by another seed.
    DrawAnewAfterCrash,
    /// Whoever joins after the entries were closed is drawn too.
    EnterAfterClosing,
    /// One who waits is no entry.
    LeaveAnEntryOut,
    /// An owner forgets that there is a draw, and goes by the entries' arrival.
    CallBeforeTheDraw,
    /// The owner goes by other weights than are configured: the default class gets nearly all.
    StarveAClass,
    /// After a loss whoever comes back first is called first.
    CallWhileRebuilding,
    /// An owner believes that a code can be used as often as anybody likes,
    SellOverCode,
    /// that the uses of holds that have lapsed are not given back,
    KeepUsesOfLapsed,
    /// that a code which was withdrawn is still good,
    HoldByWithdrawnCode,
    /// that nothing needs a code,
    HoldWithoutCode,
    /// or that another one is named.
    NameAnotherCode,
    /// What comes later can be had at once,
    ReleaseEarly,
    /// or not when it is time.
    ReleaseLate,
    /// Whoever frees places need not know of the order's last move.
    FreeTheSeatTaken,
    /// A move is done when the ticket has got there, with nothing said of the seat that is left over.
    LeaveBothSeats,
    /// A card's tickets count once they are there, not from the decision on.
    CountCardOnceTicketed,
    /// A ticket that somebody has taken is taken once more.
    TakeReturnTwice,
    /// A mail that was taken is not looked at again,
    ForgetTakenMail,
    /// or counts as sent before it is.
    RecordMailBeforeSending,
}

impl Bug {
    pub const ALL: [Self; 49] = [
        Self::SkipEpochCompare,
        Self::AnswerBeforeCommit,
        Self::ResendOtherBytes,
        Self::EndHoldsEarly,
        Self::ForgetHoldsOnRecovery,
        Self::RecoverWithoutTail,
        Self::DropRepeatsIdentity,
        Self::ReadWithoutFence,
        Self::KeepRevokedLease,
        Self::JoinAfterFailure,
        Self::RemoveNobody,
        Self::ReuseBurntPlaces,
        Self::Overtake,
        Self::AdmitOverCap,
        Self::SellOverQuota,
        Self::SellOverStock,
        Self::SellWhilePaused,
        Self::SellWhenCancelled,
        Self::IgnoreChannel,
        Self::TellBeforeAdmitted,
        Self::HoldWithoutAdmission,
        Self::ConfirmUnderAnotherPayment,
        Self::ExtendAfterRefusal,
        Self::ReleaseAfterRefusal,
        Self::ConfirmAfterRefusal,
        Self::ConsumerWithoutDeduplication,
        Self::AcknowledgeBeforeCommit,
        Self::MarkPublishedBeforeConfirm,
        Self::AnswerWebhookBeforeCommit,
        Self::RefundUnderNewKey,
        Self::DrawAnewAfterCrash,
        Self::EnterAfterClosing,
        Self::LeaveAnEntryOut,
        Self::CallBeforeTheDraw,
        Self::StarveAClass,
        Self::CallWhileRebuilding,
        Self::SellOverCode,
        Self::KeepUsesOfLapsed,
        Self::HoldByWithdrawnCode,
        Self::HoldWithoutCode,
        Self::NameAnotherCode,
        Self::ReleaseEarly,
        Self::ReleaseLate,
        Self::FreeTheSeatTaken,
        Self::LeaveBothSeats,
        Self::CountCardOnceTicketed,
        Self::TakeReturnTwice,
        Self::ForgetTakenMail,
        Self::RecordMailBeforeSending,
    ];
}
