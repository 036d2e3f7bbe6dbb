#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use std::collections::BTreeSet;

use peer_core::Peer;
use peer_core::limits::{REPORT_SECS, WITHHELD_WAIT_SECS};

#[path = "model_tests.rs"]
mod model;
#[path = "samples.rs"]
mod samples;

use self::samples::{address, entry, file, hash, key, owner};
use super::*;
use crate::embedded::moving::Cursor;
use crate::{FilesQuery, HoldersQuery, Record};
use crate::{Report, Swept};

const FOR_EVER: u64 = 0;

fn table(ttl_secs: u64) -> Table {
    Table::new(PeerTtl::from_secs(ttl_secs), Bounds::default())
}

fn publish(table: &mut Table, publisher: &Publisher, names: &[&str], now_ms: u64) -> Vec<Verdict> {
    let entries: Vec<Entry> = names.iter().map(|name| entry(name)).collect();
    table.publish(publisher, &entries, now_ms, &mut Vec::new()).unwrap()
}

fn legacy(number: u32) -> Publisher {
    Publisher::legacy(address(number))
}

fn addresses(table: &Table, caller: u32, name: &str, now_ms: u64) -> BTreeSet<Peer> {
    table.addresses(address(caller), &name.parse().unwrap(), 100, 5, now_ms).into_iter().collect()
}

fn report(table: &mut Table, reporter: u32, subject: Owner, name: Option<&str>, now_ms: u64) {
    let file = name.map(|name| name.parse().unwrap());
    table.report(&Report { reporter: address(reporter), subject, file, decisive: false }, now_ms);
}

/// A reporter in a network of its own.
fn network(number: u32) -> u32 {
    (number + 1) << 8
}

#[test]
fn a_long_list_is_sampled_from_every_start() {
    let mut table = table(FOR_EVER);
    for number in 0..1_000 {
        publish(&mut table, &legacy(number), &["a"], 0);
    }
    let name = "a".parse().unwrap();
    let mut seen = BTreeSet::new();
    for start in 0..1_000 {
        let sample = table.addresses(address(9_999), &name, 20, start, 1);
        assert_eq!(sample.iter().collect::<BTreeSet<_>>().len(), 20);
        seen.extend(sample);
    }
    assert_eq!(seen.len(), 1_000);
}

#[test]
fn a_read_of_a_file_whose_peers_all_died_is_short_and_the_sweep_goes_in_steps() {
    let mut table = table(1);
    for number in 0..100_000 {
        publish(&mut table, &legacy(number), &["a"], 0);
    }
    assert_eq!(addresses(&table, 0, "a", 10_000), BTreeSet::new());
    let swept = table.sweep(1_000, 50, 10_000, &mut Vec::new());
    assert_eq!(swept, Swept { peers: 50, mappings: 50, more: true });
    assert_eq!(table.stats().peers, 99_000);
}

#[test]
fn pages_of_names_go_through_all_of_them_once_in_order() {
    let mut table = table(FOR_EVER);
    let mut names: Vec<String> = (0..25).map(|number| file(number).to_string()).collect();
    names.push("other".to_owned());
    for name in &names {
        publish(&mut table, &legacy(1), &[name], 0);
    }
    let mut query = FilesQuery { prefix: "site/".to_owned(), after: None, limit: 10 };
    let mut listed = Vec::new();
    loop {
        let page = table.list(address(9), &query, 1);
        listed.extend(page.files.into_iter().map(|file| file.name));
        if !page.more {
            break;
        }
        query.after = page.last;
    }
    names.pop();
    names.sort();
    assert_eq!(listed, names);
}

#[test]
fn a_peer_that_leaves_is_gone_at_once_and_its_files_go_in_steps() {
    let mut table = table(FOR_EVER);
    let names: Vec<String> = (0..1_000).map(|number| format!("{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    publish(&mut table, &legacy(1), &names, 0);
    publish(&mut table, &legacy(2), &["0000"], 0);
    let mut log = Vec::new();
    assert!(table.leave(address(1).into(), &mut log));
    assert_eq!(addresses(&table, 9, "0000", 1), BTreeSet::from([address(2)]));
    let query = FilesQuery { limit: 100, ..FilesQuery::default() };
    assert_eq!(table.list(address(9), &query, 1).files.len(), 1);
    // It comes back with some of them while the old ones are still on their way out.
    table.publish(&legacy(1), &[entry("0000"), entry("0999")], 2, &mut log).unwrap();
    while table.take_away(100, &mut log).more {}
    assert_eq!(addresses(&table, 9, "0000", 3), BTreeSet::from([address(1), address(2)]));
    assert_eq!(table.stats(), Stats { peers: 2, files: 2, mappings: 3 });
    let deleted = log.iter().filter_map(|change| match change {
        Change::Delete { files, .. } => Some(files.len()),
        _ => None,
    });
    assert_eq!(deleted.sum::<usize>(), 998, "what was published anew stays on disk");
}

#[test]
fn signs_of_life_get_to_disk_now_and_then_and_changes_of_a_peer_at_once() {
    let mut table = table(3_600);
    let touched = |log: &mut Vec<Change>| {
        std::mem::take(log).iter().filter(|it| matches!(it, Change::Touched { .. })).count()
    };
    let mut log = Vec::new();
    let mut at = legacy(1);
    table.publish(&at, &[entry("a")], 1_000, &mut log).unwrap();
    assert_eq!(touched(&mut log), 1);
    // Not again while the first is on its way.
    table.publish(&at, &[entry("b")], 20_000, &mut log).unwrap();
    assert_eq!(touched(&mut log), 0);
    assert_eq!(table.save(at.owner).unwrap().seen_ms, 20_000);
    table.publish(&at, &[entry("a")], 29_999, &mut log).unwrap();
    assert_eq!((touched(&mut log), table.touch(at.owner, 29_999)), (0, false));
    table.publish(&at, &[entry("a")], 30_000, &mut log).unwrap();
    assert_eq!(touched(&mut log), 1);
    table.save(at.owner);
    at.port = Some(80);
    assert!(table.heartbeat(&at, 30_001, &mut log));
    assert_eq!(touched(&mut log), 1);
}

#[test]
fn a_mapping_that_did_not_change_is_not_written_again() {
    let mut table = table(FOR_EVER);
    let mut log = Vec::new();
    table.publish(&legacy(1), &[entry("a")], 1, &mut log).unwrap();
    log.clear();
    table.publish(&legacy(1), &[entry("a")], 2, &mut log).unwrap();
    assert!(log.is_empty(), "{log:?}");
    let other = Entry { hash: hash(1), ..entry("a") };
    table.publish(&legacy(1), &[other], 3, &mut log).unwrap();
    assert!(matches!(log.as_slice(), [Change::Put { .. }]), "{log:?}");
}

#[test]
fn a_report_about_what_is_not_there_does_nothing() {
    let mut table = table(1);
    publish(&mut table, &legacy(1), &["a"], 0);
    report(&mut table, 9, address(1).into(), Some("b"), 0);
    report(&mut table, 9, address(2).into(), None, 0);
    report(&mut table, 9, key(1), None, 0);
    // It is dead.
    report(&mut table, 9, address(1).into(), Some("a"), 5_000);
    assert!(table.reports.view(address(9), 0).is_none());
}

#[test]
fn a_report_of_an_address_hides_all_peers_there_and_counts_against_none_that_has_a_key() {
    let mut table = table(FOR_EVER);
    let keyed = Publisher { owner: key(1), address: address(1), port: Some(80), ttl_secs: None };
    publish(&mut table, &keyed, &["a", "b"], 0);
    for number in 0..5 {
        report(&mut table, network(number), address(1).into(), Some("a"), 0);
    }
    assert_eq!(addresses(&table, network(1), "a", 1), BTreeSet::new());
    assert_eq!(addresses(&table, network(1), "b", 1), BTreeSet::from([address(1)]));
    assert_eq!(addresses(&table, 9, "a", 1), BTreeSet::from([address(1)]));
    assert_eq!(addresses(&table, network(1), "a", REPORT_SECS * 1_000), BTreeSet::from([address(1)]));
    // By its id it counts.
    for number in 0..3 {
        report(&mut table, network(number), key(1), Some("a"), 2);
    }
    assert_eq!(addresses(&table, 9, "a", 3), BTreeSet::new());
}

#[test]
fn what_is_withheld_is_not_listed_and_comes_back_by_a_publish_of_it_or_a_heartbeat() {
    let mut table = table(FOR_EVER);
    let query = FilesQuery { limit: 10, ..FilesQuery::default() };
    let listed = |table: &Table| table.list(address(9), &query, 1).files.len();
    let withhold = |table: &mut Table, now_ms| {
        for number in 0..3 {
            report(table, network(number), address(1).into(), Some("a"), now_ms);
        }
    };
    publish(&mut table, &legacy(1), &["a", "b"], 0);
    withhold(&mut table, 0);
    assert_eq!((addresses(&table, 9, "a", 1).len(), listed(&table)), (0, 1));
    table.touch(address(1).into(), 60_000);
    assert_eq!(publish(&mut table, &legacy(1), &["b"], 60_000), [Verdict::Listed]);
    assert_eq!(addresses(&table, 9, "a", 60_000).len(), 0);
    assert_eq!(publish(&mut table, &legacy(1), &["a"], 60_000), [Verdict::Listed]);
    assert_eq!((addresses(&table, 9, "a", 60_000).len(), listed(&table)), (1, 2));
    withhold(&mut table, 61_000);
    let wait = WITHHELD_WAIT_SECS;
    assert_eq!(
        publish(&mut table, &legacy(1), &["a", "b"], 61_500),
        [Verdict::Withheld { secs: wait }, Verdict::Listed]
    );
    let over_ms = 61_000 + wait * 1_000;
    assert_eq!(table.hear(&legacy(1), over_ms), Heard::Changes);
    assert!(table.heartbeat(&legacy(1), over_ms, &mut Vec::new()));
    assert_eq!(addresses(&table, 9, "a", over_ms).len(), 1);
}

#[test]
fn a_whole_peer_is_withheld_with_what_it_publishes_later() {
    let mut table = table(FOR_EVER);
    publish(&mut table, &legacy(1), &["a"], 0);
    let withhold = |table: &mut Table, now_ms| {
        for number in 0..3 {
            report(table, network(number), address(1).into(), None, now_ms);
        }
    };
    withhold(&mut table, 0);
    assert_eq!(addresses(&table, 9, "a", 1).len(), 0);
    assert_eq!(publish(&mut table, &legacy(1), &["b"], 1), [Verdict::Listed]);
    assert_eq!(addresses(&table, 9, "a", 1).len(), 1);
    withhold(&mut table, 2);
    assert_eq!(publish(&mut table, &legacy(1), &["c"], 3), [Verdict::Withheld { secs: WITHHELD_WAIT_SECS }]);
    assert_eq!(addresses(&table, 9, "c", 3).len(), 0);
    let query = HoldersQuery { file: file(0), hash: None, limit: 10, exclude: Vec::new() };
    let query = HoldersQuery { file: "c".parse().unwrap(), ..query };
    assert_eq!(table.holders(address(9), &query, 0, 3).holders, []);
    // Leaving does not help.
    table.leave(address(1).into(), &mut Vec::new());
    assert_eq!(publish(&mut table, &legacy(1), &["a"], 4), [Verdict::Withheld { secs: WITHHELD_WAIT_SECS }]);
}

#[test]
fn an_import_keeps_what_is_newer_and_leaves_out_the_dead() {
    let mut table = table(100);
    let record = |number, name: &str, value, last_seen_ms| Record {
        publisher: legacy(number),
        last_seen_ms,
        entry: Entry { hash: hash(value), ..entry(name) },
    };
    let now_ms = 200_000;
    publish(&mut table, &legacy(1), &["a"], 150_000);
    let records = [
        record(1, "a", 7, 140_000),
        record(1, "b", 7, 140_000),
        record(2, "a", 7, 100_001),
        record(3, "a", 7, 100_000),
        record(4, "a", 7, 900_000),
    ];
    assert_eq!(table.import(&records, now_ms, &mut Vec::new()), 4);
    let query = HoldersQuery { file: "a".parse().unwrap(), hash: None, limit: 10, exclude: Vec::new() };
    let found = table.holders(address(9), &query, 0, now_ms).holders;
    let found: BTreeSet<(Peer, String, u64)> =
        found.iter().map(|it| (it.address, it.hash.to_string(), it.last_seen_ms)).collect();
    let expected = [(1, "hash-0", 150_000), (2, "hash-7", 100_001), (4, "hash-7", now_ms)];
    assert_eq!(found, expected.map(|(number, hash, ms)| (address(number), hash.to_owned(), ms)).into());
}

#[test]
fn an_export_has_every_mapping_once_while_the_table_changes() {
    let mut table = table(FOR_EVER);
    for number in 0..5_000 {
        publish(&mut table, &legacy(number), &["all", &format!("own/{number}")], 0);
    }
    let (mut cursor, mut found, mut gone) = (Cursor::default(), Vec::new(), 0);
    while let Some(page) = table.export(&mut cursor, 1) {
        assert!(page.len() <= 1_000);
        found.extend(page.into_iter().map(|it| (it.entry.file.to_string(), it.publisher.owner)));
        // Others go meanwhile, so that those that stay change places.
        table.leave(address(gone).into(), &mut Vec::new());
        while table.take_away(100, &mut Vec::new()).more {}
        gone += 1;
    }
    let unique: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(unique.len(), found.len());
    assert!(found.is_sorted_by(|a, b| a.0 <= b.0));
    let staying = (gone..5_000).map(|number| (format!("own/{number}"), owner_of(number)));
    assert!(staying.clone().all(|it| unique.contains(&it)));
    assert!(staying.clone().all(|(_, owner)| unique.contains(&("all".to_owned(), owner))));
}

fn owner_of(number: u32) -> Owner {
    address(number).into()
}

#[test]
fn owners_of_both_kinds_are_kept_apart_at_one_address() {
    let mut table = table(FOR_EVER);
    let keyed = |id| Publisher { owner: key(id), address: address(1), port: None, ttl_secs: None };
    publish(&mut table, &legacy(1), &["a"], 0);
    publish(&mut table, &keyed(1), &["a"], 0);
    publish(&mut table, &keyed(3), &["a"], 0);
    assert_eq!(addresses(&table, 9, "a", 1), BTreeSet::from([address(1)]));
    let mut query = HoldersQuery { file: "a".parse().unwrap(), hash: None, limit: 10, exclude: Vec::new() };
    let owners = |table: &Table, caller, query: &HoldersQuery| -> BTreeSet<Owner> {
        table.holders(address(caller), query, 0, 1).holders.iter().map(|holder| holder.owner).collect()
    };
    assert_eq!(owners(&table, 9, &query).len(), 3);
    assert_eq!(owners(&table, 1, &query), BTreeSet::from([key(1), key(3)]));
    query.exclude = vec![key(3)];
    assert_eq!(owners(&table, 9, &query), BTreeSet::from([address(1).into(), key(1)]));
    query.exclude = vec![address(1).into()];
    assert_eq!(owners(&table, 9, &query), BTreeSet::new());
    assert_eq!(owner(2), address(2).into());
}
