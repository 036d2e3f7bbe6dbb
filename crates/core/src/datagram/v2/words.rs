use std::str::FromStr;

/// An enum whose values travel as words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$value),*];

            /// As it is on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = super::fields::BadField;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$value),)*
                    _ => Err(super::fields::BadField),
                }
            }
        }
    };
}

words! {
    /// How a NAT maps ports (RFC 4787 section 4.1).
    NatKind {
        /// One port for all destinations (endpoint-independent mapping): it can be punched.
        Easy = "easy",
        /// Another port for every destination: it can be punched by one behind an easy NAT only.
        Hard = "hard",
        /// The peer has not probed.
        Unknown = "unknown",
    }
}

words! {
    /// Why a request was not met.
    ErrorCode {
        /// A field is missing or of another form, or the type is none.
        BadRequest = "bad_request",
        /// The datagram has more than 1,200 bytes.
        TooBig = "too_big",
        /// The datagram has to be padded: the answer would be larger than it.
        TooSmall = "too_small",
        /// The token is forged, too old, or was given to another address.
        BadToken = "bad_token",
        /// The signature was not made by the id over this token and this address.
        BadSignature = "bad_signature",
        /// The sender is not registered.
        Unregistered = "unregistered",
        /// The target is not registered.
        NotFound = "not_found",
        /// Several peers have this IP: name the port or the id.
        Ambiguous = "ambiguous",
        /// More than the sender or the target may have in this time.
        Rate = "rate",
        /// There is no room for the registration.
        Full = "full",
        /// What a later server says.
        Other = "other",
    }
}

words! {
    /// By which address two peers reached each other.
    Path {
        /// One of the local network.
        Lan = "lan",
        /// The one that the server sees.
        Mapped = "mapped",
        /// The one that a punch really came from.
        Observed = "observed",
    }
}
