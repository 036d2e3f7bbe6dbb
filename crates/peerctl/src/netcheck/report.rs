use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

/// What was found out, for each address family.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// IPv4, where the matchmaker was reached by it.
    pub(crate) ipv4: Option<Family>,
    /// IPv6, likewise.
    pub(crate) ipv6: Option<Family>,
}

/// What was found out of one address family.
#[derive(Debug, Serialize)]
pub(crate) struct Family {
    /// The matchmaker.
    pub(crate) server: SocketAddr,
    /// Our address on this host.
    pub(crate) local: SocketAddr,
    /// Our address as the matchmaker sees it.
    pub(crate) public: SocketAddr,
    /// Whether the two differ: something translates.
    pub(crate) translated: bool,
    /// How destinations are mapped.
    pub(crate) mapping: Mapping,
    /// Our address as the matchmaker's second port sees it.
    pub(crate) alternate: Option<SocketAddr>,
    /// Who is let in.
    pub(crate) filtering: Filtering,
    /// Whether our public address can be reached from inside.
    pub(crate) hairpin: Finding,
    /// How long a mapping lives; `None` where that was not asked for.
    pub(crate) lifetime: Option<Lifetime>,
}

/// RFC 4787 section 4.1, as far as it decides whether a punch can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mapping {
    /// One mapping for both ports of the server.
    Easy,
    /// Another mapping for each.
    Hard,
    /// The server has one port, or only one is reached.
    Unknown,
}

/// RFC 4787 section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Filtering {
    /// Everybody is let in.
    EndpointIndependent,
    /// Whoever has an address that we wrote to.
    AddressDependent,
    /// Whoever has an address and port that we wrote to.
    AddressAndPortDependent,
    /// The server has no second address (RFC 5780), or no STUN.
    Unknown,
}

/// An answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Finding {
    Yes,
    No,
    Unknown,
}

/// How long a mapping lives without traffic.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Lifetime {
    /// The longest silence that one survived, in seconds.
    pub(crate) survived_secs: Option<u64>,
    /// The shortest that one did not survive, in seconds; `None` where all survived.
    pub(crate) lost_secs: Option<u64>,
}

impl Lifetime {
    /// Takes in whether a mapping survived a silence.
    pub(super) fn count(&mut self, (secs, alive): (u64, bool)) {
        if alive {
            self.survived_secs = self.survived_secs.max(Some(secs));
        } else {
            self.lost_secs = Some(self.lost_secs.map_or(secs, |lost| lost.min(secs)));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, family) in [("IPv4", &self.ipv4), ("IPv6", &self.ipv6)] {
            match family {
                Some(family) => write!(f, "{name}\n{family}")?,
                None => writeln!(f, "{name}\n  not reached")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let translated = if self.translated { "translated" } else { "not translated" };
        writeln!(f, "  matchmaker  {}", self.server)?;
        writeln!(f, "  local       {}", self.local)?;
        writeln!(f, "  public      {} ({translated})", self.public)?;
        writeln!(f, "  mapping     {}", self.mapping)?;
        writeln!(f, "  filtering   {}", self.filtering)?;
        writeln!(f, "  hairpin     {}", self.hairpin)?;
        match &self.lifetime {
            Some(lifetime) => writeln!(f, "  lifetime    {lifetime}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Easy => "easy: one for all destinations; any peer can be reached that is not behind a hard one and closed",
            Self::Hard => "hard: another for each destination; peers behind easy ones can be reached",
            Self::Unknown => "unknown: the matchmaker has no second port, or it is not reached",
        })
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "none: whoever knows the public address reaches it",
            Self::AddressDependent => "by address: who was written to reaches it from any port",
            Self::AddressAndPortDependent => "by address and port: only who was written to reaches it",
            Self::Unknown => "unknown: the matchmaker has no second address (RFC 5780)",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.survived_secs, self.lost_secs) {
            (Some(survived), None) => write!(f, "more than {survived} s"),
            (None, Some(lost)) => write!(f, "less than {lost} s"),
            (Some(survived), Some(lost)) => write!(f, "{survived} to {lost} s"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_between_what_survived_and_what_did_not() {
        let mut lifetime = Lifetime::default();
        for tried in [(35, false), (15, true), (25, true), (115, false)] {
            lifetime.count(tried);
        }
        assert_eq!(lifetime, Lifetime { survived_secs: Some(25), lost_secs: Some(35) });
        assert_eq!(lifetime.to_string(), "25 to 35 s");
    }
}
