use service::admin::AdminAddrs;
use service::settings::catalogue::{
    MATCHMAKER_ADMIN_LISTEN, MATCHMAKER_LEGACY, MATCHMAKER_LIMIT_LOOPBACK, MATCHMAKER_LISTEN,
    MATCHMAKER_PAIR_RATE, MATCHMAKER_SOURCE_RATE, MATCHMAKER_TARGET_RATE,
    MATCHMAKER_UNREGISTERED_BURST_BYTES, MATCHMAKER_UNREGISTERED_RATE, MATCHMAKER_UNREGISTERED_TARGET_RATE,
    MAX_CLIENTS,
};
use service::settings::{BadSetting, Settings};
use service::{Flags, ListenAddrs};

use crate::limits::{Legacy, LegacyLimits};

/// Most registrations that may be asked for: they are numbered in 32 bits, and memory ends before.
const MAX_CLIENTS_MOST: u32 = 100_000_000;
/// Most bytes of [`LegacyLimits::unregistered_burst_bytes`].
const BURST_MOST_BYTES: u32 = 1 << 20;

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
}

impl MatchmakerSettings {
    /// Reads the matchmaker's part of the settings. Flags are not looked at; see [`Self::with_flags`].
    pub fn read(settings: &Settings) -> Result<Self, BadSetting> {
        let max_clients = settings.number(&MAX_CLIENTS, 1, u64::from(MAX_CLIENTS_MOST))?;
        let limits = read_limits(settings)?;
        let legacy = match settings.required::<String>(&MATCHMAKER_LEGACY)?.as_str() {
            "on" => Legacy::On,
            "limited" => Legacy::Limited(limits),
            "off" => Legacy::Off,
            _ => return Err(settings.refuse(&MATCHMAKER_LEGACY, "on, limited or off")),
        };
        Ok(Self {
            listen: ListenAddrs::read(settings, &MATCHMAKER_LISTEN)?,
            admin: AdminAddrs::read(settings, &MATCHMAKER_ADMIN_LISTEN)?,
            max_clients: u32::try_from(max_clients).unwrap_or(MAX_CLIENTS_MOST),
            legacy,
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
    let loopback = match settings.required::<String>(&MATCHMAKER_LIMIT_LOOPBACK)?.as_str() {
        "on" => true,
        "off" => false,
        _ => return Err(settings.refuse(&MATCHMAKER_LIMIT_LOOPBACK, "on or off")),
    };
    Ok(LegacyLimits {
        source: settings.required(&MATCHMAKER_SOURCE_RATE)?,
        pair: settings.required(&MATCHMAKER_PAIR_RATE)?,
        target: settings.required(&MATCHMAKER_TARGET_RATE)?,
        unregistered: settings.required(&MATCHMAKER_UNREGISTERED_RATE)?,
        unregistered_target: settings.required(&MATCHMAKER_UNREGISTERED_TARGET_RATE)?,
        unregistered_burst_bytes: u32::try_from(burst_bytes).unwrap_or(BURST_MOST_BYTES),
        loopback,
    })
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
    }
}
