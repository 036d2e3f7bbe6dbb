use super::message::BadMessage;

/// What became of a message of another node, or of an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeOutcome {
    /// An ask of another node: the target here was told.
    Told,
    /// An ask of another node that was not met.
    Refused,
    /// Both sides of an ask of ours were told.
    Matched,
    /// An ask of ours was not met: nobody hears the target, or not within the time of an ask.
    NotFound,
    /// An ask of ours was not met, and other nodes could not be reached, so that its peer is to ask again.
    Unreachable,
    /// An ask of ours was not met for another reason.
    Declined,
    /// An ask of ours goes to the next node, since the one before does not hear the target.
    Next,
    /// A peer that was here is elsewhere now.
    Moved,
    /// An answer to no ask that is under way.
    Stray,
    /// Dropped: a message that is too long.
    TooLong,
    /// Dropped: a message of another version.
    OtherVersion,
    /// Dropped: a message of no form that there is.
    Malformed,
    /// Dropped: more messages than are looked at.
    Flood,
}

impl From<BadMessage> for NodeOutcome {
    fn from(bad: BadMessage) -> Self {
        match bad {
            BadMessage::TooLong => Self::TooLong,
            BadMessage::OtherVersion => Self::OtherVersion,
            BadMessage::Malformed => Self::Malformed,
        }
    }
}
