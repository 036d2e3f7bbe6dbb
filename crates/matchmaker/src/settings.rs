use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use peer_core::Peer;
use peer_core::limits::PEER_TTL_MAX_SECS;
use registry::RedisRegistry;
use service::admin::AdminAddrs;
use service::settings::catalogue::{
    DRAIN_SECS, MATCHMAKER_ADMIN_LISTEN, MATCHMAKER_ALT_PORT, MATCHMAKER_LEGACY, MATCHMAKER_LIMIT_LOOPBACK,
    MATCHMAKER_LISTEN, MATCHMAKER_NODES, MATCHMAKER_PAIR_RATE, MATCHMAKER_PUBLIC, MATCHMAKER_SOURCE_RATE,
    MATCHMAKER_STUN, MATCHMAKER_STUN_OTHER, MATCHMAKER_STUN_SOFTWARE, MATCHMAKER_TARGET_RATE,
    MATCHMAKER_TOKEN_KEY, MATCHMAKER_UNREGISTERED_BURST_BYTES, MATCHMAKER_UNREGISTERED_RATE,
    MATCHMAKER_UNREGISTERED_TARGET_RATE, MAX_CLIENTS, PEER_TTL_SECS, REDIS_URL,
};
use service::settings::{BadSetting, Setting, Settings};
use service::{Flags, ListenAddrs};

use crate::NodesSettings;
use crate::limits::{Legacy, LegacyLimits};
use crate::stun::{STUN_PAIRS_MAX, StunSettings};
use crate::v2::TokenKeys;

/// Most registrations that may be asked for: they are numbered in 32 bits, and memory ends before.
const MAX_CLIENTS_MOST: u32 = 100_000_000;
/// Most bytes of [`LegacyLimits::unregistered_burst_bytes`].
const BURST_MOST_BYTES: u32 = 1 << 20;

/// Longest that a node may serve on after it was told to end, in seconds.
const DRAIN_MOST_SECS: u64 = 600;
/// Addresses where a node says that peers reach it.
const PUBLIC_MAX: usize = 4;

/// What the matchmaker is told from outside.
pub struct MatchmakerSettings {
    /// `MATCHMAKER_LISTEN`: where it hears datagrams.
    pub listen: ListenAddrs,
    /// `MATCHMAKER_ADMIN_LISTEN`: where the admin listener is.
    pub admin: AdminAddrs,
    /// `MAX_CLIENTS`: registrations that are kept at most.
    pub max_clients: u32,
    /// `MATCHMAKER_LEGACY` and the limits of its middle way.
    pub legacy: Legacy,
    /// `MATCHMAKER_ALT_PORT`: a second port on each address.
    pub alt_port: Option<u16>,
    /// `MATCHMAKER_TOKEN_KEY`; `None` where this server makes one up for itself.
    pub token_keys: Option<TokenKeys>,
    /// `MATCHMAKER_STUN` and what belongs to it; `None` where STUN is not answered.
    pub stun: Option<StunSettings>,
    /// `MATCHMAKER_NODES` and what belongs to it; `None` where this server is alone.
    pub nodes: Option<NodesSettings>,
}

impl MatchmakerSettings {
    /// Reads the matchmaker's part of the settings. Flags are not looked at; see [`Self::with_flags`].
    pub fn read(settings: &Settings) -> Result<Self, BadSetting> {
        let max_clients = settings.number(&MAX_CLIENTS, 1, u64::from(MAX_CLIENTS_MOST))?;
        let limits = read_limits(settings)?;
        let legacy = match settings.required::<String>(&MATCHMAKER_LEGACY)?.as_str() {
            "on" => Legacy::On,
            "limited" => Legacy::Limited(limits),
            "off" => Legacy::Off(limits),
            _ => return Err(settings.refuse(&MATCHMAKER_LEGACY, "on, limited or off")),
        };
        Ok(Self {
            listen: ListenAddrs::read(settings, &MATCHMAKER_LISTEN)?,
            admin: AdminAddrs::read(settings, &MATCHMAKER_ADMIN_LISTEN)?,
            max_clients: u32::try_from(max_clients).unwrap_or(MAX_CLIENTS_MOST),
            legacy,
            alt_port: settings
                .optional(&MATCHMAKER_ALT_PORT)
                .map_err(|_| settings.refuse(&MATCHMAKER_ALT_PORT, "a port, 65535 at most"))?,
            token_keys: settings.optional(&MATCHMAKER_TOKEN_KEY)?,
            stun: read_stun(settings)?,
            nodes: read_nodes(settings)?,
        })
    }

    /// `--host` and `--port` in place of what `MATCHMAKER_LISTEN` says.
    pub fn with_flags(mut self, flags: &Flags) -> Result<Self, BadSetting> {
        self.listen = self.listen.with_flags(flags)?;
        Ok(self)
    }
}

fn read_limits(settings: &Settings) -> Result<LegacyLimits, BadSetting> {
    let burst_bytes =
        settings.number(&MATCHMAKER_UNREGISTERED_BURST_BYTES, 0, u64::from(BURST_MOST_BYTES))?;
    Ok(LegacyLimits {
        source: settings.required(&MATCHMAKER_SOURCE_RATE)?,
        pair: settings.required(&MATCHMAKER_PAIR_RATE)?,
        target: settings.required(&MATCHMAKER_TARGET_RATE)?,
        unregistered: settings.required(&MATCHMAKER_UNREGISTERED_RATE)?,
        unregistered_target: settings.required(&MATCHMAKER_UNREGISTERED_TARGET_RATE)?,
        unregistered_burst_bytes: u32::try_from(burst_bytes).unwrap_or(BURST_MOST_BYTES),
        loopback: switch(settings, &MATCHMAKER_LIMIT_LOOPBACK)?,
    })
}

fn read_stun(settings: &Settings) -> Result<Option<StunSettings>, BadSetting> {
    let software = switch(settings, &MATCHMAKER_STUN_SOFTWARE)?;
    let pairs = settings.optional::<Pairs>(&MATCHMAKER_STUN_OTHER)?.map_or(Vec::new(), |pairs| pairs.0);
    if !pairs.is_empty() && settings.optional::<u16>(&MATCHMAKER_ALT_PORT)?.is_none() {
        return Err(settings.refuse(&MATCHMAKER_STUN_OTHER, "to be used with MATCHMAKER_ALT_PORT"));
    }
    Ok(switch(settings, &MATCHMAKER_STUN)?.then_some(StunSettings { software, pairs }))
}

fn read_nodes(settings: &Settings) -> Result<Option<NodesSettings>, BadSetting> {
    let public = settings.optional::<PublicAddrs>(&MATCHMAKER_PUBLIC)?.map_or(Vec::new(), |addrs| addrs.0);
    let drain = Duration::from_secs(settings.number(&DRAIN_SECS, 0, DRAIN_MOST_SECS)?);
    if !switch(settings, &MATCHMAKER_NODES)? {
        return Ok(None);
    }
    let Some(url) = settings.optional::<String>(&REDIS_URL)? else {
        return Err(
            settings.refuse(&MATCHMAKER_NODES, "to be used with REDIS_URL, where the others are found")
        );
    };
    RedisRegistry::check_url(&url).map_err(|reason| settings.refuse(&REDIS_URL, reason))?;
    let peer_ttl_secs = settings.number(&PEER_TTL_SECS, 0, PEER_TTL_MAX_SECS.into())?;
    Ok(Some(NodesSettings { url, peer_ttl_secs, public, drain }))
}

/// Addresses with commas between.
#[derive(Debug)]
struct PublicAddrs(Vec<SocketAddr>);

impl FromStr for PublicAddrs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "up to 4 of ADDRESS:PORT of one host each, separated by commas";
        let addr = |text: &str| {
            let addr: SocketAddr = text.trim().parse().ok()?;
            (Peer::new(addr.ip()).is_ok() && addr.port() != 0).then_some(addr)
        };
        let addrs: Vec<SocketAddr> = text.split(',').map(addr).collect::<Option<_>>().ok_or(ALLOWED)?;
        if addrs.len() <= PUBLIC_MAX { Ok(Self(addrs)) } else { Err(ALLOWED) }
    }
}

fn switch(settings: &Settings, setting: &'static Setting) -> Result<bool, BadSetting> {
    match settings.required::<String>(setting)?.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(settings.refuse(setting, "on or off")),
    }
}

/// Pairs of addresses with commas between.
#[derive(Debug)]
struct Pairs(Vec<(IpAddr, IpAddr)>);

impl FromStr for Pairs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "up to 8 pairs ADDRESS/ADDRESS of one family such as 192.0.2.1/192.0.2.2, each address once, separated by commas";
        let ip = |text: &str| {
            let ip = text.trim().parse::<IpAddr>().ok()?;
            (!ip.is_unspecified() && !ip.is_multicast() && ip == ip.to_canonical()).then_some(ip)
        };
        let pair = |text: &str| {
            let (first, second) = text.split_once('/')?;
            let (first, second) = (ip(first)?, ip(second)?);
            (first.is_ipv4() == second.is_ipv4()).then_some((first, second))
        };
        let pairs: Vec<(IpAddr, IpAddr)> = text.split(',').map(pair).collect::<Option<_>>().ok_or(ALLOWED)?;
        let mut ips: Vec<IpAddr> = pairs.iter().flat_map(|(first, second)| [*first, *second]).collect();
        ips.sort_unstable();
        ips.dedup();
        let is_allowed = pairs.len() <= STUN_PAIRS_MAX && ips.len() == 2 * pairs.len();
        if is_allowed { Ok(Self(pairs)) } else { Err(ALLOWED) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "defaults that cannot be read are a failure")]

    use service::settings::Sources;

    use super::*;

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_limits() {
        let settings = MatchmakerSettings::read(&Sources::default().load().unwrap()).unwrap();
        assert_eq!(settings.legacy, Legacy::Limited(LegacyLimits::default()));
        assert_eq!((settings.alt_port, settings.stun), (None, Some(StunSettings::default())));
    }

    #[test]
    fn pairs_are_two_addresses_of_one_family_each_once() {
        let pairs = "192.0.2.1/192.0.2.2, 2001:db8::1 / 2001:db8::2".parse::<Pairs>().unwrap().0;
        assert_eq!(pairs.len(), 2);
        let nine: Vec<String> = (0..9).map(|net| format!("10.0.{net}.1/10.0.{net}.2")).collect();
        assert!(nine.join(",").parse::<Pairs>().is_err());
        for text in [
            "192.0.2.1",
            "192.0.2.1/192.0.2.1",
            "192.0.2.1/2001:db8::1",
            "192.0.2.1/192.0.2.2,",
            "192.0.2.1/192.0.2.2,192.0.2.2/192.0.2.3",
            "0.0.0.0/192.0.2.1",
            "::ffff:192.0.2.1/::ffff:192.0.2.2",
            "a/b",
        ] {
            assert!(text.parse::<Pairs>().is_err(), "{text}");
        }
    }
}
