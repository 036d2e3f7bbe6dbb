//! Our servers and the bare limits, measured in turns on the same machine in the same minutes.

mod filled;
mod http;
mod meter;
mod registrations;
mod stun;
mod summary;
mod trackers;
mod udp;

pub(crate) use http::{CompareHttpArgs, run as http};
pub(crate) use registrations::{RegistrationsArgs, run as registrations};
pub(crate) use stun::{CompareStunArgs, run as stun};
pub(crate) use trackers::{CompareTrackersArgs, run as trackers};
pub(crate) use udp::{CompareUdpArgs, run as udp};
