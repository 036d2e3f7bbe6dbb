//! The commands that ask a tracker.

use std::path::PathBuf;

use clap::Args;

use super::{KeyArgs, TrackerArgs};

/// `peerctl publish`
#[derive(Debug, Args)]
#[command(after_help = "\
A file DIR/a/b.html is published as NAME/a/b.html with its SHA-256. What starts with a dot is left out; links are not \
followed. What the tracker refuses is listed with its reason, and ends the command with 1.

Examples:
  peerctl publish ./home
  peerctl publish ./build --site home --key peer.key --keep
  peerctl publish ./home --tracker https://t.example.org")]
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
