//! Reports about what is in the table.

use peer_core::{Network, Owner};

use super::peers::PeerNumber;
use super::reports::Subject;
use super::table::Table;
use crate::Report;

/// Peers with a key at an address that a report looks at to see whether one of them has the file, in peers. Where
/// there are more, it is taken for granted.
const AT_ADDRESS_SCAN: usize = 64;

impl Table {
    /// Takes a report, if it is about anything that there is.
    pub(super) fn report(&mut self, report: &Report, now_ms: u64) {
        let subject = Subject::new(report.subject, report.file.as_ref());
        let exists = self.exists(&subject, now_ms);
        if !exists && !self.exists_at_address(&subject, now_ms) {
            return;
        }
        self.reports.hide(report.reporter, subject.clone(), now_ms);
        if exists {
            let network = Network::of_organisation(report.reporter);
            self.reports.count(subject, network, report.decisive, now_ms);
        }
    }

    fn exists(&self, subject: &Subject, now_ms: u64) -> bool {
        self.peers.find(subject.owner).is_some_and(|number| self.has(number, subject, now_ms))
    }

    /// Whether a peer with a key is at the address that a report is about, and has the file.
    fn exists_at_address(&self, subject: &Subject, now_ms: u64) -> bool {
        let Owner::Address(address) = subject.owner else { return false };
        let there = self.peers.with_key_at(address);
        there.len() > AT_ADDRESS_SCAN || there.iter().any(|number| self.has(*number, subject, now_ms))
    }

    /// Whether a peer lives and has the file of a subject, or any where that is about all.
    fn has(&self, number: PeerNumber, subject: &Subject, now_ms: u64) -> bool {
        let Some(entry) = self.peers.get(number).filter(|entry| entry.is_alive(self.peers.ttl, now_ms))
        else {
            return false;
        };
        let has = |name| self.files.find(name).is_some_and(|file| entry.files.get(file).is_some());
        subject.file.as_deref().is_none_or(has)
    }

    /// Forgets up to `most` reports that matter no more.
    pub(super) fn forget_reports(&mut self, most: usize, now_ms: u64) {
        let mut reports = std::mem::take(&mut self.reports);
        reports.forget(most, now_ms, |subject| self.exists(subject, now_ms));
        self.reports = reports;
    }
}
