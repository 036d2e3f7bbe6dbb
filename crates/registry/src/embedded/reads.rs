//! The reads: they change nothing, and look at a bounded part of the table each.

use peer_core::{FileName, Owner, Peer};

use super::files::{File, Holding};
use super::peers::PeerEntry;
use super::reports::View;
use super::table::Table;
use crate::{FilePage, FilesQuery, Holder, Holders, HoldersQuery, ListedFile};

/// Peers of a file that one read looks at, as a multiple of the limit and at least: those that are dead, or not asked
/// for, must not make a read long.
const SCAN_FACTOR: usize = 16;
const SCAN_MIN: usize = 1_024;

/// Peers of a file that the listing looks at to find a living one, in peers. A file whose first so many all died since the
/// last sweep is not listed until the next.
const LISTING_SCAN: usize = 64;

impl Table {
    /// At most `limit` addresses of living peers that have `file`, from a start that the caller draws.
    pub(super) fn addresses(
        &self,
        caller: Peer,
        file: &FileName,
        limit: usize,
        start: usize,
        now_ms: u64,
    ) -> Vec<Peer> {
        let Some(file) = self.find_file(file) else { return Vec::new() };
        let view = self.reports.view(caller, now_ms);
        let mut addresses = Vec::with_capacity(limit.min(file.holders.len()));
        let mut keyed = false;
        for (entry, _) in self.living(file, start, limit, now_ms) {
            if addresses.len() == limit {
                break;
            }
            if view.is_some_and(|view| !view.shows(entry.owner, entry.address, &file.name)) {
                continue;
            }
            // Only who has a key can be where somebody else is.
            keyed |= matches!(entry.owner, Owner::Key(_));
            if !(keyed && addresses.contains(&entry.address)) {
                addresses.push(entry.address);
            }
        }
        addresses
    }

    /// The same with what is known of each peer.
    pub(super) fn holders(&self, caller: Peer, query: &HoldersQuery, start: usize, now_ms: u64) -> Holders {
        let Some(file) = self.find_file(&query.file) else { return Holders::default() };
        let view = self.reports.view(caller, now_ms);
        let excluded = |entry: &PeerEntry| {
            entry.owner == Owner::Address(caller)
                || query.exclude.contains(&entry.owner)
                || query.exclude.contains(&Owner::Address(entry.address))
        };
        let mut holders = Vec::new();
        for (entry, holding) in self.living(file, start, query.limit, now_ms) {
            if holders.len() == query.limit {
                break;
            }
            let Some(content) = self.contents.get(holding.content) else { continue };
            if query.hash.as_ref().is_some_and(|hash| *hash != content.hash)
                || excluded(entry)
                || view.is_some_and(|view| !view.shows(entry.owner, entry.address, &file.name))
            {
                continue;
            }
            holders.push(Holder {
                owner: entry.owner,
                address: entry.address,
                port: entry.port(),
                hash: content.hash.clone(),
                size: content.size,
                last_seen_ms: entry.seen_ms(),
                online: None,
            });
        }
        Holders { total: file.holders.len(), holders }
    }

    /// A page of the names that a living peer has.
    pub(super) fn list(&self, caller: Peer, query: &FilesQuery, now_ms: u64) -> FilePage {
        let view = self.reports.view(caller, now_ms);
        let mut page = FilePage::default();
        let most = query.limit.saturating_mul(SCAN_FACTOR);
        let mut last = None;
        for (looked_at, file) in self.files.names_from(&query.prefix, query.after.as_deref()).enumerate() {
            if page.files.len() == query.limit || looked_at == most {
                page.more = true;
                break;
            }
            last = Some(&file.name);
            if self.is_listed(file, view, now_ms) {
                page.files.push(ListedFile { name: file.name.to_string(), peers: file.holders.len() });
            }
        }
        page.last = last.map(ToString::to_string);
        page
    }

    fn is_listed(&self, file: &File, view: Option<View<'_>>, now_ms: u64) -> bool {
        let shown =
            |entry: &PeerEntry| view.is_none_or(|view| view.shows(entry.owner, entry.address, &file.name));
        let some = file.holders.as_slice().iter().take(LISTING_SCAN);
        some.filter_map(|holding| self.peers.get(holding.peer))
            .any(|entry| entry.is_alive(self.peers.ttl, now_ms) && shown(entry))
    }

    /// The living among the peers of a file, from any start, as many as a read with this limit looks at.
    fn living<'a>(
        &'a self,
        file: &'a File,
        start: usize,
        limit: usize,
        now_ms: u64,
    ) -> impl Iterator<Item = (&'a PeerEntry, Holding)> {
        let holdings = file.holders.as_slice();
        let start = start.checked_rem(holdings.len()).unwrap_or(0);
        let most = limit.saturating_mul(SCAN_FACTOR).max(SCAN_MIN).min(holdings.len());
        // By place, and not as two slices one after the other, which the compiler does not make one loop of.
        (start..start + most)
            .filter_map(move |place| holdings.get(place).or_else(|| holdings.get(place - holdings.len())))
            .filter_map(|holding| Some((self.peers.get(holding.peer)?, *holding)))
            .filter(move |(entry, _)| entry.is_alive(self.peers.ttl, now_ms))
    }

    fn find_file(&self, file: &FileName) -> Option<&File> {
        self.files.find(file.as_str()).and_then(|number| self.files.get(number))
    }
}
