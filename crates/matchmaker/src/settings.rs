use service::admin::AdminAddrs;
use service::settings::catalogue::{MATCHMAKER_ADMIN_LISTEN, MATCHMAKER_LISTEN, MAX_CLIENTS};
use service::settings::{BadSetting, Settings};
use service::{Flags, ListenAddrs};

/// Most registrations that may be asked for: they are numbered in 32 bits, and memory ends before.
const MAX_CLIENTS_MOST: u32 = 100_000_000;

/// What the matchmaker is told from outside.
pub struct MatchmakerSettings {
    /// `MATCHMAKER_LISTEN`: where it hears datagrams.
    pub listen: ListenAddrs,
    /// `MATCHMAKER_ADMIN_LISTEN`: where the admin listener is.
    pub admin: AdminAddrs,
    /// `MAX_CLIENTS`: registrations that are kept at most.
    pub max_clients: u32,
}

impl MatchmakerSettings {
    /// Reads the matchmaker's part of the settings. Flags are not looked at; see [`Self::with_flags`].
    pub fn read(settings: &Settings) -> Result<Self, BadSetting> {
        let max_clients = settings.number(&MAX_CLIENTS, 1, u64::from(MAX_CLIENTS_MOST))?;
        Ok(Self {
            listen: ListenAddrs::read(settings, &MATCHMAKER_LISTEN)?,
            admin: AdminAddrs::read(settings, &MATCHMAKER_ADMIN_LISTEN)?,
            max_clients: u32::try_from(max_clients).unwrap_or(MAX_CLIENTS_MOST),
        })
    }

    /// `--host` and `--port` in place of what `MATCHMAKER_LISTEN` says.
    pub fn with_flags(mut self, flags: &Flags) -> Result<Self, BadSetting> {
        self.listen = self.listen.with_flags(flags)?;
        Ok(self)
    }
}
