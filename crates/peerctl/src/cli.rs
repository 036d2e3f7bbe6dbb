//! The command line: every command and switch, with what `--help` says of them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use peer_client::Target;

const EXAMPLES: &str = "\
Examples:
  peerctl key                                       make a key, and see the id that others reach you by
  peerctl publish ./home --tracker https://t.example.org --keep
                                                    tell the tracker what you have, and stay known
  peerctl serve ./home --matchmaker m.example.org   let others fetch it, through your NAT
  peerctl peers home/index.html                     who has it?
  peerctl fetch PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw home --out ./copies
  peerctl netcheck                                  what kind of NAT am I behind?

Exit codes:
  0  done        1  failed        2  wrong usage        3  the peer cannot be reached

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
    /// Print completions for a shell, to be sourced
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Print the manual, as troff: peerctl man | man -l -
    Man,
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
    /// The matchmaker: a host, with a port where that is not 12345
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
    /// The file
    #[arg(value_name = "FILE", default_value = "peer.key")]
    pub file: PathBuf,
    /// Only print the id of a key that is there
    #[arg(long)]
    pub show: bool,
}

/// `peerctl publish`
#[derive(Debug, Args)]
#[command(after_help = "\
A file DIR/a/b.html is published as NAME/a/b.html with its SHA-256. What starts with a dot is left out; links are not
followed. What the tracker refuses is listed with its reason, and ends the command with 1.

Examples:
  peerctl publish ./home
  peerctl publish ./build --site home --key peer.key --keep")]
pub struct PublishCommand {
    /// The directory of the site
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The site's name; the directory's where it is left out
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// Publish hidden files too
    #[arg(long)]
    pub hidden: bool,
    /// Stay, and give signs of life until you are stopped
    #[arg(long)]
    pub keep: bool,
    /// The port at which you serve the files, for others to see
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// How long you are known after a sign of life, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(30..))]
    pub ttl: Option<u64>,
    /// The tracker.
    #[command(flatten)]
    pub tracker: TrackerArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `peerctl peers`
#[derive(Debug, Args)]
#[command(after_help = "\
Yourself and whom you reported are left out. Those that the matchmaker hears now come first.

Examples:
  peerctl peers home/index.html
  peerctl peers home/index.html --json | jq -r '.peers[].id'")]
pub struct PeersCommand {
    /// The file's name, with its site
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Only those who have it with this hash
    #[arg(long, value_name = "HASH")]
    pub hash: Option<String>,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The tracker.
    #[command(flatten)]
    pub tracker: TrackerArgs,
}

/// `peerctl files`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  peerctl files --prefix home/
  peerctl files --json        a JSON object a line")]
pub struct FilesCommand {
    /// Only names that start with this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prefix: String,
    /// Print a JSON object a line
    #[arg(long)]
    pub json: bool,
    /// The tracker.
    #[command(flatten)]
    pub tracker: TrackerArgs,
}

/// `peerctl watch`
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal one line changes; elsewhere a line is printed for each second.

Examples:
  peerctl watch
  peerctl watch --json --count 60 > minute.jsonl")]
pub struct WatchCommand {
    /// End after so many seconds
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    /// Print a JSON object a line
    #[arg(long)]
    pub json: bool,
    /// The tracker.
    #[command(flatten)]
    pub tracker: TrackerArgs,
}

/// `peerctl netcheck`
#[derive(Debug, Args)]
#[command(after_help = "\
The kind of NAT needs a matchmaker with a second port, the filtering one with a second address (RFC 5780).

Examples:
  peerctl netcheck --matchmaker m.example.org
  peerctl netcheck --lifetime --json | jq .ipv4.lifetime")]
pub struct NetcheckCommand {
    /// Also find out how long a mapping lives in silence, which takes two minutes
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
What is given out is hashed first, and nothing else on the disk can be asked for. With a key you are found by its id, and
whoever fetches sees that it is you; without one you are found by your address, for as long as that lasts.

Examples:
  peerctl serve ./home --key peer.key --matchmaker m.example.org
  peerctl publish ./home --key peer.key --keep      so that others learn of it")]
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
Files go to OUT/SITE/. Each is written under a temporary name, checked by its hash, and then renamed; what is there with
the right hash is kept, so that a fetch that broke off goes on where it was.

Examples:
  peerctl fetch PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw home
  peerctl fetch 203.0.113.5:41001 home --out ./copies")]
pub struct FetchCommand {
    /// The peer: its id, IP address, or address and port
    #[arg(value_name = "PEER", value_parser = crate::rendezvous::target)]
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
The other side runs peerctl wait, serve or connect. Pings and lines are plain datagrams, which may be lost and are not encrypted.

Examples:
  peerctl connect PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw
  peerctl connect 203.0.113.5 --chat")]
pub struct ConnectCommand {
    /// The peer: its id, IP address, or address and port
    #[arg(value_name = "PEER", value_parser = crate::rendezvous::target)]
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
