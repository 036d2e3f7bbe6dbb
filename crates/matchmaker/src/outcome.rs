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
    /// Version 2: told to come again with the token that it was given, or with a signature.
    V2Verify,
    /// Version 2: the sender is registered.
    V2Registered,
    /// Version 2: the sender and its target were told of each other.
    V2Matched,
    /// Version 2: the same, and that neither NAT can be punched.
    V2Unpunchable,
    /// Version 2: a connect that came again; the sender was told the same.
    V2Repeated,
    /// Version 2: the target is not registered.
    V2NotFound,
    /// Version 2: several peers have the IP that was asked for.
    V2Ambiguous,
    /// Version 2: a connect of a peer that is not registered.
    V2Unregistered,
    /// Version 2: a side of a pair heard of it.
    V2Acked,
    /// Version 2: the sender unregistered.
    V2Left,
    /// Version 2: a probe was answered.
    V2Probed,
    /// Version 2: a pair met in its local network.
    V2ReachedLan,
    /// Version 2: a pair met at the address that we saw.
    V2ReachedMapped,
    /// Version 2: a pair met at another address, where a punch came from.
    V2ReachedObserved,
    /// Version 2: a pair did not meet.
    V2NotReached,
    /// Version 2: an acknowledgement or a result of no pair that the sender was told of lately.
    V2Stray,
    /// Version 2: a request that is not of its form.
    V2BadRequest,
    /// Version 2: the answer would have been larger than the request.
    V2TooSmall,
    /// Version 2: the token is too old, forged, or of another address.
    V2BadToken,
    /// Version 2: the signature is not right.
    V2BadSignature,
    /// Version 2: more signatures than are looked at.
    V2SignatureLimit,
    /// Version 2: the sender asked for this target more often than it may.
    V2PairLimit,
    /// Version 2: the target is asked for more often than it may be.
    V2TargetLimit,
    /// Version 2: there is no room for the registration.
    V2Full,
    /// The target is not registered here; other nodes are asked.
    Sought,
    /// Version 2: the same.
    V2Sought,
    /// More connects for peers that are not here than other nodes are asked about.
    SeekLimit,
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
                | Self::V2Verify
                | Self::V2Registered
                | Self::V2Matched
                | Self::V2Unpunchable
                | Self::V2Repeated
                | Self::V2NotFound
                | Self::V2Ambiguous
                | Self::V2Unregistered
                | Self::V2Acked
                | Self::V2Left
                | Self::V2Probed
                | Self::V2ReachedLan
                | Self::V2ReachedMapped
                | Self::V2ReachedObserved
                | Self::V2NotReached
                | Self::Sought
                | Self::V2Sought
        )
    }
}
