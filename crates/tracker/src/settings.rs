use std::path::PathBuf;

use peer_core::limits::PEER_TTL_MAX_SECS;
use registry::{PeerTtl, RedisRegistry};
use service::admin::AdminAddrs;
use service::settings::catalogue::{
    ADMIN_TOKEN, DASHBOARD_MATCHMAKER, DATA_DIR, MATCHMAKER_ADMIN_LISTEN, PEER_TTL_SECS, REDIS_URL,
    SERVER_NAME, TRACKER_ADMIN_LISTEN, TRACKER_LISTEN, TRACKER_RATE_PER_SEC, TRUSTED_PROXIES,
};
use service::settings::{BadSetting, Settings};
use service::telemetry::TraceSettings;
use service::{Flags, ListenAddrs};

use crate::live::MatchmakerAdmin;
use crate::operator::OperatorToken;
use crate::proxies::TrustedProxies;
use crate::rate::Rate;
use crate::signature::ServerName;

/// Most requests a second and caller that can be allowed.
const RATE_MAX_PER_SEC: u64 = 1_000_000;

/// What the tracker is told from outside.
pub struct TrackerSettings {
    /// `TRACKER_LISTEN`: where the API listens.
    pub listen: ListenAddrs,
    /// `TRACKER_ADMIN_LISTEN`: where the admin listener does.
    pub admin: AdminAddrs,
    /// `TRUSTED_PROXIES`: whose word about the caller counts.
    pub(crate) trusted: TrustedProxies,
    /// `REDIS_URL` and `DATA_DIR`: which store keeps the data.
    pub(crate) store: StoreSettings,
    /// `PEER_TTL_SECS`: how long a peer lives.
    pub(crate) peer_ttl: PeerTtl,
    /// The same, as peers are told.
    pub(crate) peer_ttl_secs: u64,
    /// `TRACKER_RATE_PER_SEC`: how often a caller may ask; `None` for no limit.
    pub(crate) rate: Option<Rate>,
    /// `SERVER_NAME`: what peers call us in what they sign; `None` for what each request says.
    pub(crate) server_name: Option<ServerName>,
    /// `ADMIN_TOKEN`: what the operator shows.
    pub(crate) operator: Option<OperatorToken>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: whom traces are sent to.
    pub(crate) traces: TraceSettings,
    /// `DASHBOARD_MATCHMAKER`: whom the dashboard asks about rendezvous.
    pub(crate) matchmaker: MatchmakerAdmin,
}

/// Which store keeps the data.
pub(crate) enum StoreSettings {
    /// Redis at a URL, which may hold a password and is never shown.
    Redis { url: String },
    /// The embedded store in a folder.
    Embedded { data_dir: PathBuf },
}

impl StoreSettings {
    /// As it is shown.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            Self::Embedded { .. } => "embedded",
        }
    }
}

/// Not set, it is where a matchmaker with the same settings has its admin listener.
fn matchmaker(settings: &Settings) -> Result<MatchmakerAdmin, BadSetting> {
    if let Some(chosen) = settings.optional(&DASHBOARD_MATCHMAKER)? {
        return Ok(chosen);
    }
    let listen = ListenAddrs::read(settings, &MATCHMAKER_ADMIN_LISTEN)?;
    // Port 0 is one that nobody knows.
    Ok(MatchmakerAdmin(listen.first().filter(|addr| addr.port() != 0)))
}

impl TrackerSettings {
    /// Reads the tracker's part of the settings. Flags are not looked at; see [`Self::with_flags`].
    pub fn read(settings: &Settings) -> Result<Self, BadSetting> {
        let store = match settings.optional::<String>(&REDIS_URL)? {
            Some(url) => {
                RedisRegistry::check_url(&url).map_err(|reason| settings.refuse(&REDIS_URL, reason))?;
                StoreSettings::Redis { url }
            }
            None => StoreSettings::Embedded { data_dir: settings.required(&DATA_DIR)? },
        };
        let peer_ttl_secs = settings.number(&PEER_TTL_SECS, 0, PEER_TTL_MAX_SECS.into())?;
        Ok(Self {
            listen: ListenAddrs::read(settings, &TRACKER_LISTEN)?,
            admin: AdminAddrs::read(settings, &TRACKER_ADMIN_LISTEN)?,
            trusted: settings.required(&TRUSTED_PROXIES)?,
            store,
            peer_ttl: PeerTtl::from_secs(peer_ttl_secs),
            peer_ttl_secs,
            rate: Rate::per_sec(settings.number(&TRACKER_RATE_PER_SEC, 0, RATE_MAX_PER_SEC)?),
            server_name: settings.optional(&SERVER_NAME)?,
            operator: settings.optional(&ADMIN_TOKEN)?,
            traces: TraceSettings::read(settings)?,
            matchmaker: matchmaker(settings)?,
        })
    }

    /// `--host` and `--port` in place of what `TRACKER_LISTEN` says.
    pub fn with_flags(mut self, flags: &Flags) -> Result<Self, BadSetting> {
        self.listen = self.listen.with_flags(flags)?;
        Ok(self)
    }
}
