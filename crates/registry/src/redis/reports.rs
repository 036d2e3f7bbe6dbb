//! Reports: who does not see whom, and who is withheld from everybody.

use deadpool_redis::redis::{Value, pipe};
use peer_core::keys::{self, Expiry};
use peer_core::limits::{HIDDEN_PER_REPORTER_MAX, REPORTERS_TO_WITHHOLD};
use peer_core::{FileName, Network, Owner};

use super::RedisRegistry;
use super::hidden::Hidden;
use super::scripts::call;
use crate::{RegistryError, Report};

/// Files of a peer of which it is remembered how often they were withheld, in files; another makes room for one more.
const STRIKES_MAX: usize = 1_000;
/// Peers with an id at an address that are looked at, in peers.
const IDS_LOOKED_AT: isize = 128;

impl RedisRegistry {
    pub(super) async fn take_report(&self, report: &Report) -> Result<(), RegistryError> {
        let there = self.count_report(report).await? || self.is_anybody_there(report).await?;
        if !there {
            return Ok(());
        }
        let mut hide = pipe();
        call(&mut hide, &self.link.scripts().hide, &[&keys::hidden(report.reporter)])
            .arg(Hidden::member(report.subject, report.file.as_ref()))
            .arg(self.ttls.of(Expiry::Report))
            .arg(HIDDEN_PER_REPORTER_MAX)
            .ignore();
        let hidden = self.link.query(&hide).await;
        self.hidden.reported(report.reporter);
        hidden
    }

    /// The report against the peer that it names. False where there is nothing to report.
    async fn count_report(&self, report: &Report) -> Result<bool, RegistryError> {
        let (owner, file) = (report.subject, report.file.as_ref());
        let seen = keys::peer_seen(owner);
        let keys = [
            seen.clone(),
            keys::peer_files(owner),
            keys::peer_withheld(owner),
            keys::peer_strikes(owner),
            keys::peer_reports(owner, file),
            file.map_or_else(|| seen.clone(), keys::file_hashes),
            file.map_or(seen, keys::file_withheld),
        ];
        let keys = keys.each_ref().map(String::as_str);
        let keys_of_peer = keys.split_last_chunk::<2>().map_or(&keys[..], |(of_peer, _)| of_peer);
        let mut count = pipe();
        let used = if self.link.is_cluster() { keys_of_peer } else { &keys[..] };
        call(&mut count, &self.link.scripts().report, used)
            .arg(owner.to_string())
            .arg(file.map_or("", FileName::as_str))
            .arg(format!("{:x}", Network::of_organisation(report.reporter).to_bits()))
            .arg(u8::from(report.decisive))
            .arg(self.ttls.of(Expiry::Report))
            .arg(REPORTERS_TO_WITHHOLD)
            .arg(self.ttls.of(Expiry::Index))
            .arg(self.ttls.of(Expiry::Strikes))
            .arg(STRIKES_MAX);
        let reporter = Owner::from(report.reporter);
        call(&mut count, &self.link.scripts().touch, &[&keys::peer_seen(reporter)])
            .arg(self.ttls.of(Expiry::Peer))
            .ignore();
        let counted: Result<(i64,), RegistryError> = self.link.query(&count).await;
        self.presences.renew(reporter);
        if let (true, Ok((2,)), Some(file)) = (self.link.is_cluster(), &counted, file) {
            self.withhold_spread(owner, file).await?;
        }
        match file {
            Some(file) => self.hot.changed(file),
            None => self.changed(owner),
        }
        Ok(counted?.0 != 0)
    }

    /// Whether a peer with an id is meant by a report that names its address.
    async fn is_anybody_there(&self, report: &Report) -> Result<bool, RegistryError> {
        let Owner::Address(address) = report.subject else { return Ok(false) };
        let ids = self.ids_at(address, IDS_LOOKED_AT).await?;
        if ids.is_empty() {
            return Ok(false);
        }
        let mut look = pipe();
        if let Some(file) = &report.file {
            for id in &ids {
                look.sismember(keys::peer_files(*id), file.as_str());
            }
        }
        let (has, presences) = self.presences(&ids, look).await?;
        let here =
            presences.iter().map(|presence| presence.is_some_and(|presence| presence.address == address));
        Ok(match report.file {
            None => here.into_iter().any(|here| here),
            Some(_) => here.zip(has).any(|(here, has)| here && has == Value::Int(1)),
        })
    }
}
