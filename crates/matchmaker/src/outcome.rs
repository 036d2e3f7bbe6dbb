/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The sender is registered.
    Registered,
    /// The sender and its target were told of each other.
    Matched,
    /// The target is not registered.
    NotFound,
    /// A connect named no target.
    MissingTarget,
    /// An object of another type, or of none.
    UnknownType,
    /// Answered like [`Self::Registered`], but not registered: the table is full of live peers that were heard before.
    TableFull,
    /// Not answered: larger than a datagram may be.
    TooLarge,
    /// Not answered: not a JSON object as wanted.
    Malformed,
    /// Not answered: no peer can have this source.
    BogusSource,
    /// Not answered: an error message, such as another matchmaker sends. Two of them that complain to each other
    /// about complaints would never end, and a forged source is enough to start it.
    Echo,
    /// Not answered: legacy datagrams are turned off.
    LegacyOff,
    /// Not answered: the source asked for more than its rate.
    SourceLimit,
    /// Not answered: the source asked for this target more often than it may.
    PairLimit,
    /// Not answered: the target is asked for more often than it may be.
    TargetLimit,
    /// Not answered: sources that are not registered ask for more than they may, in bytes or together.
    UnregisteredLimit,
    /// A STUN request that was told where it came from.
    StunAnswered,
    /// A STUN request that was told which of its attributes are not understood.
    StunRefused,
    /// Not answered: a STUN message that is no Binding request.
    StunIgnored,
    /// Not answered: a STUN message that contradicts itself.
    StunMalformed,
    /// Not answered: the source asked by STUN for more than its rate, or for more bytes than it sent.
    StunLimit,
}

impl Outcome {
    /// Whether the sender did not get what it asked for, which the log tells of.
    pub(crate) fn is_drop(self) -> bool {
        !matches!(
            self,
            Self::Registered
                | Self::Matched
                | Self::NotFound
                | Self::MissingTarget
                | Self::UnknownType
                | Self::StunAnswered
                | Self::StunRefused
        )
    }
}
