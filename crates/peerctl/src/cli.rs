//! The command line: every command and switch, with what `--help` says of them.

mod rendezvous;
mod tracker;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use rendezvous::{ConnectCommand, FetchCommand, NetcheckCommand, ServeCommand, WaitCommand};
pub use tracker::{FilesCommand, PeersCommand, PublishCommand, WatchCommand};
pub use usage::parse;

const EXAMPLES: &str = "\
Examples:
  peerctl key                              make a key, and see its id
  peerctl publish ./home --key peer.key    tell the tracker what you have
  peerctl serve ./home --key peer.key      let others fetch it, through your NAT
  peerctl peers home/index.html            who has it?
  peerctl fetch PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw home
  peerctl netcheck                         what kind of NAT am I behind?

Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  the peer or the matchmaker cannot be reached

Results go to stdout, all else to stderr; an error is followed by a hint of what to try next. Colours and progress bars \
are for terminals only, and NO_COLOR takes the colours away.

PEERCTL_TRACKER, PEERCTL_MATCHMAKER and PEERCTL_KEY stand for --tracker, --matchmaker and --key.";

/// The command line of a peer: publish a site, find others, reach them through NATs, and fetch from them.
#[derive(Debug, Parser)]
#[command(name = "peerctl", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `peerctl` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key, or show the id of one
    Key(KeyCommand),
    /// Tell a tracker which files of a directory you have
    Publish(PublishCommand),
    /// Ask a tracker who has a file
    Peers(PeersCommand),
    /// List the files that a tracker knows
    Files(FilesCommand),
    /// Watch how much a tracker knows, every second
    Watch(WatchCommand),
    /// Find out what your network does: public addresses, kind of NAT, filtering
    Netcheck(NetcheckCommand),
    /// Give out a directory to peers that reach you through the matchmaker
    Serve(ServeCommand),
    /// Fetch a site from a peer, through the NATs between
    Fetch(FetchCommand),
    /// Reach a peer, and see how fast it answers or talk with it
    Connect(ConnectCommand),
    /// Wait for peers to reach you: answer their pings, and talk with them
    Wait(WaitCommand),
    /// Print completions for a shell
    #[command(alias = "completion")]
    Completions(CompletionsCommand),
    /// Write the manual pages, or print them all
    Man(ManCommand),
}

/// Which tracker.
#[derive(Debug, Clone, Args)]
pub struct TrackerArgs {
    /// The tracker, http:// or https:// and a host
    #[arg(long, value_name = "URL", env = "PEERCTL_TRACKER", default_value = "http://127.0.0.1:8000")]
    pub tracker: String,
    /// What the tracker calls itself in signatures (its `SERVER_NAME`), where that is not the host of the URL
    #[arg(long, value_name = "HOST")]
    pub server_name: Option<String>,
}

/// Whose key.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// The file with your key (see: peerctl key); without one you have no id
    #[arg(long = "key", value_name = "FILE", env = "PEERCTL_KEY")]
    pub file: Option<PathBuf>,
}

/// Which matchmaker, and from where.
#[derive(Debug, Clone, Args)]
pub struct MatchmakerArgs {
    /// The matchmaker: a host, with a port where that is not 12345; with commas, others to go on with when it does not answer
    #[arg(long, value_name = "HOST", env = "PEERCTL_MATCHMAKER", default_value = "127.0.0.1")]
    pub matchmaker: String,
    /// Where to listen; every address of this host and a free port where it is left out
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Go by IPv6 where the matchmaker has both
    #[arg(long)]
    pub ipv6: bool,
}

/// `peerctl key`
#[derive(Debug, Args)]
#[command(after_help = "\
The id is the public half of the key. Whoever has the file is you: it is written so that you alone may read it.

Examples:
  peerctl key                  make peer.key
  peerctl key --show           print the id in peer.key
  export PEERCTL_KEY=peer.key  use it from now on")]
pub struct KeyCommand {
    /// The file that the key is in, or is written to
    #[arg(value_name = "FILE", default_value = "peer.key")]
    pub file: PathBuf,
    /// Only print the id of a key that is there
    #[arg(long)]
    pub show: bool,
}

/// `peerctl completions`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  peerctl completions bash > ~/.local/share/bash-completion/completions/peerctl
  peerctl completions zsh > ~/.zfunc/_peerctl
  peerctl completions fish > ~/.config/fish/completions/peerctl.fish
  source <(peerctl completions bash)    in this shell only

The folder of zsh has to be in fpath before compinit: fpath+=(~/.zfunc) in ~/.zshrc.")]
pub struct CompletionsCommand {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `peerctl man`
#[derive(Debug, Args)]
#[command(after_help = "\
With a directory there is a page for peerctl and one for each command, peerctl.1, peerctl-fetch.1 and so on.

Examples:
  peerctl man ~/.local/share/man/man1      and then: man peerctl-fetch
  peerctl man | man -l -                   read it now")]
pub struct ManCommand {
    /// The directory to write the pages into, which is made where it is not there; stdout has them all where it is left out
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
