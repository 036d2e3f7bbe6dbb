//! What a load asks of a tracker.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::expected::Expected;
use super::population::{CALLERS, File, Mapping, of_caller, of_crowd};

/// The kinds of request that a load is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// `GET /peers` of files that have peers
    Peers,
    /// `POST /add`, each from another caller, so that the store grows
    Add,
    /// Nine `GET /peers` for one `POST /add`
    Mixed,
}

/// In [`Mode::Mixed`] one request of this many publishes.
const MIXED_ADD_EVERY: u64 = 10;

/// The file of the crowd. No other kind of load has its number.
const CROWDED: File = File(80_000_000_000);

/// The files that are filled before a measurement and asked for in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// How many.
    pub files: u64,
    /// How many peers each has; so many must be in each answer.
    pub peers: u64,
}

impl Known {
    /// All their mappings.
    pub(crate) fn mappings(self) -> u64 {
        self.files * self.peers
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Fill(Known),
    Publish { files: u64 },
    PublishAll { mappings: u64 },
    Lookup { files: u64, peers: u64 },
    Run { mode: Mode, known: Known, files: u64 },
    JoinCrowd,
    AskCrowd { answer: u64 },
}

/// A stream of requests. Each has a number, a *ticket*, and what it asks follows from that number alone.
#[derive(Debug)]
pub(crate) struct Workload {
    host: String,
    kind: Kind,
    next: AtomicU64,
    end: u64,
    /// Tickets that the server was too busy for.
    returned: Mutex<Vec<u64>>,
}

impl Workload {
    /// Publishes every mapping of the known files, once.
    pub(crate) fn fill(host: String, known: Known) -> Self {
        Self::new(host, Kind::Fill(known), 0, known.mappings())
    }

    /// Publishes `count` mappings over `files` files, once.
    pub(crate) fn publish(host: String, files: u64, count: u64) -> Self {
        Self::new(host, Kind::Publish { files }, 0, count)
    }

    /// Publishes `mappings` mappings with 20 peers a file, once: each caller all its files in one request.
    pub(crate) fn publish_all(host: String, mappings: u64) -> Self {
        Self::new(host, Kind::PublishAll { mappings }, 0, mappings.min(CALLERS))
    }

    /// Looks `count` files up, evenly over `files` published ones, that have `peers` peers each.
    pub(crate) fn lookup(host: String, files: u64, peers: u64, count: u64) -> Self {
        Self::new(host, Kind::Lookup { files, peers }, 0, count)
    }

    /// Requests of one mode without end: lookups of the known files, and mappings over `files` other files
    /// from mapping number `first` on.
    pub(crate) fn endless(host: String, mode: Mode, known: Known, files: u64, first: u64) -> Self {
        Self::new(host, Kind::Run { mode, known, files }, first, u64::MAX)
    }

    /// Publishes the file of the crowd by peers number `first` to `end`.
    pub(crate) fn join_crowd(host: String, first: u64, end: u64) -> Self {
        Self::new(host, Kind::JoinCrowd, first, end)
    }

    /// Looks the file of the crowd up, without end; so many peers are in each answer.
    pub(crate) fn ask_crowd(host: String, answer: u64) -> Self {
        Self::new(host, Kind::AskCrowd { answer }, 0, u64::MAX)
    }

    fn new(host: String, kind: Kind, first: u64, end: u64) -> Self {
        Self { host, kind, next: AtomicU64::new(first), end, returned: Mutex::default() }
    }

    /// Requests that it has.
    pub(crate) fn requests(&self) -> u64 {
        self.end.saturating_sub(self.position())
    }

    /// The ticket that [`Workload::take`] gives out next, in an endless workload.
    pub(crate) fn position(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// The next request, or `None` where all were given out.
    pub(crate) fn take(&self) -> Option<u64> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        if ticket < self.end { Some(ticket) } else { self.returned().pop() }
    }

    /// Whether a 503 is to be asked again later. It is where all requests must be answered in the end; in a
    /// measurement it is an error.
    pub(crate) fn is_patient(&self) -> bool {
        matches!(self.kind, Kind::Fill(_) | Kind::Publish { .. } | Kind::PublishAll { .. } | Kind::JoinCrowd)
    }

    /// Takes a request back, to be given out again.
    pub(crate) fn give_back(&self, ticket: u64) {
        self.returned().push(ticket);
    }

    fn returned(&self) -> MutexGuard<'_, Vec<u64>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the request of a ticket to `output`.
    pub(crate) fn write(&self, ticket: u64, output: &mut Vec<u8>) -> io::Result<Expected> {
        match self.kind {
            Kind::Fill(known) => self.add(Mapping::known(known.files, ticket), output),
            Kind::Lookup { files, peers } => self.peers(File(ticket * files / self.end), peers, output),
            Kind::Run { mode: Mode::Peers, known, .. } => self.known_peers(ticket, known, output),
            Kind::PublishAll { mappings } => self.publish_of(ticket, mappings, output),
            Kind::JoinCrowd => self.add_as(CROWDED, of_crowd(ticket), output),
            Kind::AskCrowd { answer } => self.peers(CROWDED, answer, output),
            Kind::Publish { files } | Kind::Run { mode: Mode::Add, files, .. } => {
                self.add(Mapping::over(files, ticket), output)
            }
            Kind::Run { mode: Mode::Mixed, known, files } => {
                let (batch, place) = (ticket / MIXED_ADD_EVERY, ticket % MIXED_ADD_EVERY);
                if place == 0 {
                    self.add(Mapping::over(files, batch), output)
                } else {
                    self.known_peers(ticket, known, output)
                }
            }
        }
    }

    fn known_peers(&self, ticket: u64, known: Known, output: &mut Vec<u8>) -> io::Result<Expected> {
        self.peers(File::known(ticket % known.files.max(1)), known.peers, output)
    }

    fn peers(&self, file: File, peers: u64, output: &mut Vec<u8>) -> io::Result<Expected> {
        write!(output, "GET /peers?filename={file} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host)?;
        Ok(Expected::Peers(file, peers))
    }

    fn publish_of(&self, caller: u64, mappings: u64, output: &mut Vec<u8>) -> io::Result<Expected> {
        let (caller, files) = of_caller(caller, mappings);
        let files: Vec<String> =
            files.map(|file| format!(r#"{{"filename":"{file}","hash":"{}"}}"#, file.hash())).collect();
        let body = format!(r#"{{"files":[{}]}}"#, files.join(","));
        write!(
            output,
            "POST /v1/publish HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: {caller}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len(),
        )?;
        Ok(Expected::Published(files.len()))
    }

    fn add(&self, Mapping { file, caller }: Mapping, output: &mut Vec<u8>) -> io::Result<Expected> {
        self.add_as(file, caller, output)
    }

    fn add_as(
        &self,
        file: File,
        caller: impl std::fmt::Display,
        output: &mut Vec<u8>,
    ) -> io::Result<Expected> {
        write!(
            output,
            "POST /add?filename={file}&hash={} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: {caller}\r\nContent-Length: 0\r\n\r\n",
            file.hash(),
            self.host,
        )?;
        Ok(Expected::Added)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    const KNOWN: Known = Known { files: 5, peers: 2 };

    fn text(workload: &Workload, ticket: u64) -> String {
        let mut output = Vec::new();
        workload.write(ticket, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_fill_publishes_every_known_mapping_once_and_ends() {
        let workload = Workload::fill("h".into(), KNOWN);
        let tickets: Vec<u64> = std::iter::from_fn(|| workload.take()).collect();
        assert_eq!(tickets, (0..10).collect::<Vec<_>>());
        assert!(text(&workload, 0).starts_with("POST /add?filename=site-90000000/page-000000.html&hash="));
        assert!(text(&workload, 0).contains("\r\nX-Forwarded-For: 198.18.0.0\r\n"));
    }

    #[test]
    fn a_request_that_was_given_back_comes_again_at_the_end() {
        let workload = Workload::publish("h".into(), 5, 3);
        assert_eq!(workload.take(), Some(0));
        workload.give_back(0);
        let rest: Vec<u64> = std::iter::from_fn(|| workload.take()).collect();
        assert_eq!(rest, [1, 2, 0]);
    }

    #[test]
    fn a_lookup_names_a_known_file_and_nothing_else() {
        let workload = Workload::endless("h:1".into(), Mode::Peers, KNOWN, 9, 0);
        assert_eq!(
            text(&workload, 6),
            "GET /peers?filename=site-90000000/page-000001.html HTTP/1.1\r\nHost: h:1\r\n\r\n"
        );
    }

    #[test]
    fn lookups_are_spread_from_the_first_file_on() {
        let workload = Workload::lookup("h".into(), 1000, 2, 4);
        let asked: Vec<String> =
            std::iter::from_fn(|| workload.take()).map(|ticket| text(&workload, ticket)).collect();
        for (text, page) in asked.iter().zip(["000000", "000250", "000500", "000750"]) {
            assert!(text.contains(&format!("/page-{page}.html")), "{text}");
        }
        assert_eq!(asked.len(), 4);
    }

    #[test]
    fn one_of_ten_mixed_requests_publishes_a_mapping_of_its_own() {
        let workload = Workload::endless("h".into(), Mode::Mixed, KNOWN, 9, 0);
        let adds: Vec<String> =
            (0..40).map(|ticket| text(&workload, ticket)).filter(|text| text.starts_with("POST")).collect();
        assert_eq!(adds.len(), 4);
        assert!(adds.iter().all(|add| adds.iter().filter(|other| *other == add).count() == 1));
    }

    #[test]
    fn all_files_of_a_caller_are_published_in_one_request() {
        let workload = Workload::publish_all("h".into(), CALLERS + 1);
        assert_eq!(workload.requests(), CALLERS);
        let request = text(&workload, 0);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert_eq!(body.matches("filename").count(), 2, "{body}");
    }
}
