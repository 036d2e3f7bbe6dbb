use serde::Serialize;

use super::rendezvous::Meetings;
use crate::answered::Answers;
use crate::v1::stats::StatsAnswer;

/// What went on in about a second. Counts and sizes only: anybody may see it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// Its end, in ms since 1970.
    pub(super) at_ms: u64,
    /// How long it was, in ms.
    pub(super) elapsed_ms: u64,
    /// How much there is; null while the store is away.
    pub(super) stored: Option<StatsAnswer>,
    pub(super) store: StoreHealth,
    #[serde(flatten)]
    pub(super) traffic: Answers,
    /// Memory of this process, in bytes; null where the system does not tell.
    pub(super) memory_bytes: Option<u64>,
    /// The matchmaker's figures; null where none is connected.
    pub(super) matchmaker: Option<Meetings>,
}

/// How the store does.
#[derive(Debug, Default, Serialize)]
pub(crate) struct StoreHealth {
    /// `redis` or `embedded`.
    pub(super) kind: &'static str,
    /// Whether requests are answered.
    pub(super) ready: bool,
    /// How long it took to count what there is, in us; null where it did not answer.
    pub(super) answer_us: Option<u64>,
}

/// What this process has in memory, by proc(5).
pub(super) fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}
