#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use peer_core::limits::{WITHHELD_WAIT_MAX_SECS, WITHHELD_WAIT_SECS};

use super::*;

const SECOND: u64 = 1_000;
const DAY: u64 = WITHHELD_WAIT_MAX_SECS * SECOND;

fn owner() -> Owner {
    "203.0.113.5".parse().unwrap()
}

fn reporter(network: u8) -> Network {
    Network::of_organisation(format!("198.51.{network}.1").parse().unwrap())
}

fn of(file: Option<&str>) -> Subject {
    Subject { owner: owner(), file: file.map(Into::into) }
}

fn shown(reports: &Reports, file: &str, now_ms: u64) -> bool {
    let caller = "192.0.2.99".parse().unwrap();
    let address = "203.0.113.5".parse().unwrap();
    reports.view(caller, now_ms).is_none_or(|view| view.shows(owner(), address, file))
}

fn withhold(reports: &mut Reports, file: Option<&str>, now_ms: u64) {
    for network in 1..=3 {
        assert!(shown(reports, file.unwrap_or("a"), now_ms));
        reports.count(of(file), reporter(network), false, now_ms);
    }
    assert!(!shown(reports, file.unwrap_or("a"), now_ms));
}

#[test]
fn three_networks_within_the_time_withhold_and_fewer_do_not() {
    let mut reports = Reports::default();
    let window = REPORT_SECS * SECOND;
    for _ in 0..5 {
        reports.count(of(Some("a")), reporter(1), false, 0);
        reports.count(of(Some("a")), reporter(2), false, 1);
    }
    assert!(shown(&reports, "a", 1));
    // The first is too old by now, the second is not.
    reports.count(of(Some("a")), reporter(3), false, window);
    assert!(shown(&reports, "a", window));
    reports.count(of(Some("a")), reporter(4), false, window);
    assert!(!shown(&reports, "a", window));
    assert!(shown(&reports, "b", window));
}

#[test]
fn one_decisive_report_withholds() {
    let mut reports = Reports::default();
    reports.count(of(None), reporter(1), true, 0);
    assert!(!shown(&reports, "a", 0) && !shown(&reports, "b", 0));
    assert_eq!(reports.publish(owner(), None, 0), None);
    assert!(shown(&reports, "a", 0));
}

#[test]
fn waits_grow_to_a_day_and_are_forgotten_a_day_after_the_last() {
    let mut reports = Reports::default();
    let mut now_ms = 5 * DAY;
    let mut waits_secs = Vec::new();
    for _ in 0..12 {
        withhold(&mut reports, Some("a"), now_ms);
        let wait_ms = reports.publish(owner(), Some("a"), now_ms).unwrap_or(0);
        waits_secs.push(wait_ms / SECOND);
        if wait_ms > 0 {
            assert_eq!(reports.publish(owner(), Some("a"), now_ms + wait_ms - 1), Some(1));
            // A day after the last it would be forgotten.
            now_ms += wait_ms.min(DAY - 1);
            if wait_ms == DAY {
                break;
            }
            assert_eq!(reports.publish(owner(), Some("a"), now_ms), None);
        }
        assert!(shown(&reports, "a", now_ms));
    }
    assert_eq!(waits_secs, [0, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 76_800, 86_400]);
    now_ms += 1;
    assert_eq!(reports.publish(owner(), Some("a"), now_ms), None);
    withhold(&mut reports, Some("a"), now_ms);
    assert_eq!(reports.publish(owner(), Some("a"), now_ms), None);
}

#[test]
fn old_reports_do_not_count_after_the_return_nor_those_that_came_meanwhile() {
    let mut reports = Reports::default();
    withhold(&mut reports, Some("a"), 0);
    reports.count(of(Some("a")), reporter(4), false, 1);
    reports.count(of(Some("a")), reporter(5), true, 1);
    assert_eq!(reports.publish(owner(), Some("a"), 2), None);
    reports.count(of(Some("a")), reporter(6), false, 3);
    reports.count(of(Some("a")), reporter(7), false, 3);
    assert!(shown(&reports, "a", 3));
    reports.count(of(Some("a")), reporter(8), false, 3);
    assert!(!shown(&reports, "a", 3));
}

#[test]
fn a_heartbeat_brings_back_all_files_whose_wait_is_over() {
    let mut reports = Reports::default();
    withhold(&mut reports, Some("a"), 0);
    reports.heartbeat(owner(), 0);
    assert!(shown(&reports, "a", 0));
    withhold(&mut reports, Some("a"), 0);
    withhold(&mut reports, Some("b"), 0);
    reports.count(of(None), reporter(1), true, 0);
    let wait_ms = WITHHELD_WAIT_SECS * SECOND;
    reports.heartbeat(owner(), wait_ms - 1);
    assert!(!shown(&reports, "a", wait_ms) && shown(&reports, "b", wait_ms));
    reports.heartbeat(owner(), wait_ms);
    assert!(shown(&reports, "a", wait_ms));
    // Once it is back, a new withholding is not undone by the heartbeat that came before.
    withhold(&mut reports, Some("b"), wait_ms);
}

#[test]
fn a_publish_of_another_file_does_not_bring_a_file_back() {
    let mut reports = Reports::default();
    withhold(&mut reports, Some("a"), 0);
    assert_eq!(reports.publish(owner(), Some("b"), 1), None);
    assert_eq!(reports.publish(owner(), None, 1), None);
    assert!(!shown(&reports, "a", 1));
}

#[test]
fn what_is_withheld_is_kept_while_it_exists_and_everything_else_is_forgotten() {
    let mut reports = Reports::default();
    withhold(&mut reports, Some("a"), 0);
    withhold(&mut reports, Some("b"), 0);
    reports.count(of(None), reporter(1), false, 0);
    let exists = |subject: &Subject| subject.file.as_deref() == Some("a");
    reports.forget(100, DAY - 1, exists);
    assert_eq!((reports.order.len(), reports.withheld), (2, 2));
    reports.forget(100, DAY, exists);
    assert_eq!((reports.order.len(), reports.withheld), (1, 1));
    assert!(!shown(&reports, "a", DAY) && shown(&reports, "b", DAY));
    reports.heartbeat(owner(), DAY);
    reports.forget(100, 3 * DAY, exists);
    assert_eq!((reports.order.len(), reports.withheld, reports.owners.len()), (0, 0, 0));
}

#[test]
fn subjects_are_bounded_and_those_that_were_withheld_stay_longest() {
    let mut reports = Reports::default();
    withhold(&mut reports, Some("a"), 0);
    for number in 0..SUBJECTS_MAX {
        let subject = Subject { owner: owner(), file: Some(format!("{number}").into()) };
        reports.count(subject, reporter(1), false, 1);
    }
    assert_eq!(reports.order.len(), SUBJECTS_MAX);
    assert!(!shown(&reports, "a", 1));
    let of_owner = reports.owners.get(&owner()).unwrap();
    assert_eq!(of_owner.files.len(), SUBJECTS_MAX);
    assert!(of_owner.get(Some("0")).is_none() && of_owner.get(Some("1")).is_some());
}
