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
    /// Places of a former term are given out again.
    ReuseBurntPlaces,
    /// The second in the line is called before the first.
    Overtake,
    /// The owner believes in more slots than are configured.
    AdmitOverCap,
    /// A fan is told of the admission before the journal has it.
    TellBeforeAdmitted,
    /// Holds are taken by an admission that no journal knows.
    HoldWithoutAdmission,
    /// A redelivered payment is confirmed under another payment's id.
    ConfirmUnderAnotherPayment,
    /// Tickets are written once for each delivery.
    ConsumerWithoutDeduplication,
    /// The bus is told that a payment is done with before the database has it.
    AcknowledgeBeforeCommit,
    /// Facts count as published when they are sent.
    MarkPublishedBeforeConfirm,
    /// A webhook is answered before it is stored.
    AnswerWebhookBeforeCommit,
    /// Each attempt at a refund has a key of its own.
    RefundUnderNewKey,
}

impl Bug {
    pub const ALL: [Self; 19] = [
        Self::SkipEpochCompare,
        Self::AnswerBeforeCommit,
        Self::ResendOtherBytes,
        Self::EndHoldsEarly,
        Self::ForgetHoldsOnRecovery,
        Self::RecoverWithoutTail,
        Self::DropRepeatsIdentity,
        Self::ReadWithoutFence,
        Self::ReuseBurntPlaces,
        Self::Overtake,
        Self::AdmitOverCap,
        Self::TellBeforeAdmitted,
        Self::HoldWithoutAdmission,
        Self::ConfirmUnderAnotherPayment,
        Self::ConsumerWithoutDeduplication,
        Self::AcknowledgeBeforeCommit,
        Self::MarkPublishedBeforeConfirm,
        Self::AnswerWebhookBeforeCommit,
        Self::RefundUnderNewKey,
    ];
}
