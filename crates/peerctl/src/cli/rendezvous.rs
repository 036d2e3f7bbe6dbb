//! The commands that go by a matchmaker.

use std::path::PathBuf;

use clap::Args;
use peer_client::Target;

use super::{KeyArgs, MatchmakerArgs};

/// `peerctl netcheck`
#[derive(Debug, Args)]
#[command(after_help = "\
Each address family that the matchmaker has is looked at:
  public     where the matchmaker sees you, and whether a NAT is between
  mapping    easy: one address and port for all destinations; hard: one for each
  filtering  who is let in: everybody, or whom you wrote to
  hairpin    whether hosts behind your NAT reach each other by its address
  lifetime   how long a mapping lives in silence

The mapping needs a matchmaker with a second port (MATCHMAKER_ALT_PORT), the filtering one with a second address \
(MATCHMAKER_STUN_OTHER, RFC 5780); else they are unknown.

Examples:
  peerctl netcheck --matchmaker m.example.org
  peerctl netcheck --lifetime --json | jq .ipv4.lifetime")]
pub struct NetcheckCommand {
    /// Also find out how long a mapping lives in silence, which takes up to two minutes
    #[arg(long)]
    pub lifetime: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The matchmaker: a host, with a port where that is not 12345
    #[arg(long, value_name = "HOST", env = "PEERCTL_MATCHMAKER", default_value = "127.0.0.1")]
    pub matchmaker: String,
}

/// `peerctl serve`
#[derive(Debug, Args)]
#[command(after_help = "\
What is given out is hashed first, and nothing else on the disk can be asked for. With a key you are found by its id, \
and whoever fetches sees that it is you; without one you are found by your address, for as long as that lasts.

Examples:
  peerctl serve ./home --key peer.key --matchmaker m.example.org
  peerctl publish ./home --key peer.key --keep    so that others learn of it")]
pub struct ServeCommand {
    /// The directory of the site
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The site's name; the directory's where it is left out
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// Give out hidden files too
    #[arg(long)]
    pub hidden: bool,
    /// The matchmaker.
    #[command(flatten)]
    pub matchmaker: MatchmakerArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `peerctl fetch`
#[derive(Debug, Args)]
#[command(after_help = "\
Files go to OUT/SITE/. Each is written under a temporary name, checked by its hash, and then renamed; what is there \
with the right hash is kept, so that a fetch that broke off goes on where it was.

With a tracker, the hashes that the peer offers are compared first with those that it published there. Where one \
differs nothing is fetched, and the command ends with 1. What the tracker does not know of is said and fetched all the \
same.

Examples:
  peerctl fetch PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw home
  peerctl fetch 203.0.113.5 home --tracker https://t.example.org
  peerctl fetch 203.0.113.5:41001 home --out ./copies")]
pub struct FetchCommand {
    /// The peer: its id, IP address, or address and port
    // One id of 64 begins with a hyphen.
    #[arg(value_name = "PEER", value_parser = crate::rendezvous::target, allow_hyphen_values = true)]
    pub peer: Target,
    /// The site's name
    #[arg(value_name = "SITE")]
    pub site: String,
    /// The directory that the site's directory is made in
    #[arg(long, value_name = "OUT", default_value = ".")]
    pub out: PathBuf,
    /// How many bytes the site may have
    #[arg(long, value_name = "BYTES", default_value_t = 10_000_000_000)]
    pub max_bytes: u64,
    /// The tracker that the peer published at, http:// or https:// and a host; without one nothing is compared
    #[arg(long, value_name = "URL", env = "PEERCTL_TRACKER")]
    pub tracker: Option<String>,
    /// Compare nothing, also where `PEERCTL_TRACKER` names a tracker
    #[arg(long)]
    pub unchecked: bool,
    /// The matchmaker.
    #[command(flatten)]
    pub matchmaker: MatchmakerArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `peerctl connect`
#[derive(Debug, Args)]
#[command(after_help = "\
The other side runs peerctl wait, serve or connect. Pings and lines are plain datagrams, which may be lost and are not \
encrypted.

Examples:
  peerctl connect PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw
  peerctl connect 203.0.113.5 --chat")]
pub struct ConnectCommand {
    /// The peer: its id, IP address, or address and port
    // One id of 64 begins with a hyphen.
    #[arg(value_name = "PEER", value_parser = crate::rendezvous::target, allow_hyphen_values = true)]
    pub peer: Target,
    /// Send lines of stdin and print those of the peer
    #[arg(long)]
    pub chat: bool,
    /// How many pings
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub count: u32,
    /// The matchmaker.
    #[command(flatten)]
    pub matchmaker: MatchmakerArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `peerctl wait`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  peerctl wait --key peer.key
  peerctl wait --chat           lines of stdin go to everybody who is connected")]
pub struct WaitCommand {
    /// Send lines of stdin to all who are connected
    #[arg(long)]
    pub chat: bool,
    /// The matchmaker.
    #[command(flatten)]
    pub matchmaker: MatchmakerArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}
