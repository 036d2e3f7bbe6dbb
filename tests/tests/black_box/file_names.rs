//! File names on the wire, and their listing.

use black_box::http::Request;
use black_box::tracker::{CALLER, escape, on_both_stores};
use serde_json::json;

const ONE: &str = "203.0.113.5";

#[test]
fn a_name_is_what_its_query_value_means() {
    let written_and_meant: [(&str, &str); 17] = [
        ("site/index.html", "site/index.html"),
        ("site%2Findex2.html", "site/index2.html"),
        ("a+b.html", "a b.html"),
        ("a%20c.html", "a c.html"),
        ("a%2Bd.html", "a+d.html"),
        ("100%25.html", "100%.html"),
        ("%2541.html", "%41.html"),
        ("50%.html", "50%.html"),
        ("%zz.html", "%zz.html"),
        ("quote'.html", "quote'.html"),
        ("double%22.html", "double\".html"),
        ("%C3%BCber/%E6%96%87%E4%BB%B6.txt", "über/文件.txt"),
        ("%F0%9F%A6%80.html", "🦀.html"),
        ("a=b.html", "a=b.html"),
        ("a%26b%3Bc%23d%3F.html", "a&b;c#d?.html"),
        ("q?x.html", "q?x.html"),
        (".../..a/b..c/.hidden//x/", ".../..a/b..c/.hidden//x/"),
    ];
    on_both_stores(|tracker| {
        for (written, meant) in written_and_meant {
            let request = Request::get(format!("/add?hash=abc&filename={written}")).header(CALLER, ONE);
            tracker.send(&request).assert_is(200, &json!({"status": "ok"}));
            let found = json!({"filename": meant, "peers": [ONE]});
            tracker.get(format!("/peers?filename={written}")).assert_is(200, &found);
            tracker.get(format!("/peers?filename={}", escape(meant))).assert_is(200, &found);
        }
        let mut names: Vec<&str> = written_and_meant.iter().map(|(_, meant)| *meant).collect();
        names.sort_unstable();
        assert_eq!(tracker.all_names(3), names);
        for (_, meant) in written_and_meant {
            tracker.remove(ONE, meant);
        }
        assert!(tracker.all_names(3).is_empty());
    });
}

#[test]
fn characters_that_clients_leave_unescaped_are_taken() {
    on_both_stores(|tracker| {
        for name in ["a'b.html", "a|b.html", "{a}[b]^`c.html", "a!$(),:;@~*.html", "a?b=c/d.html"] {
            let request = Request::post(format!("/add?filename={name}&hash=abc")).header(CALLER, ONE);
            tracker.send(&request).assert_is(200, &json!({"status": "ok"}));
            assert_eq!(tracker.peers(name), [ONE]);
        }
    });
}

#[test]
fn characters_that_no_target_may_hold_are_taken_as_they_are_or_refused() {
    on_both_stores(|tracker| {
        // RFC 3986 wants these escaped, and clients do so.
        for name in ["\u{fc}ber/\u{6587}.html", "a\"b.html", "a<b>.html"] {
            let answer =
                tracker.send(&Request::post(format!("/add?filename={name}&hash=abc")).header(CALLER, ONE));
            let taken = match answer.status {
                200 => vec![ONE.to_owned()],
                status => {
                    assert!((400..500).contains(&status), "{name}: {status}");
                    Vec::new()
                }
            };
            assert_eq!(tracker.peers(name), taken);
            assert_eq!(tracker.all_names(10).contains(&name.to_owned()), !taken.is_empty());
        }
    });
}

#[test]
fn names_that_differ_in_form_stay_apart() {
    on_both_stores(|tracker| {
        let names = ["A.html", "a.html", "a.html ", " a.html", "a//b", "a/b", "a/b/", "e\u{301}", "\u{e9}"];
        for (index, name) in names.iter().enumerate() {
            tracker.add(&format!("198.51.100.{index}"), name, "abc");
        }
        for (index, name) in names.iter().enumerate() {
            assert_eq!(tracker.peers(name), [format!("198.51.100.{index}")]);
        }
    });
}

#[test]
fn names_that_look_like_keys_or_patterns_of_a_store_are_only_names() {
    on_both_stores(|tracker| {
        for name in
            ["*", "?", "[a-z]", "file:x", "ip:203.0.113.5", "{x}", "peer:lastseen", "a\u{7ff}\u{10ffff}"]
        {
            assert!(tracker.peers(name).is_empty(), "{name}");
            tracker.add(ONE, name, "abc");
            assert_eq!(tracker.peers(name), [ONE]);
        }
    });
}

#[test]
fn an_empty_tracker_lists_nothing() {
    on_both_stores(|tracker| {
        tracker.get("/all_trackers").assert_is(200, &json!({"files": [], "next": null}));
    });
}

#[test]
fn the_listing_is_in_order_of_name() {
    on_both_stores(|tracker| {
        for name in ["b", "a/z", "ü", "B", "a", "a!", "文", "a/b", "aa"] {
            tracker.add(ONE, name, "abc");
        }
        let ordered = json!({"files": ["B", "a", "a!", "a/b", "a/z", "aa", "b", "ü", "文"], "next": null});
        tracker.get("/all_trackers").assert_is(200, &ordered);
    });
}

#[test]
fn the_listing_goes_page_by_page() {
    on_both_stores(|tracker| {
        let names: Vec<String> = (0..25).map(|number| format!("site/{number:02} +&.html")).collect();
        for name in &names {
            tracker.add(ONE, name, "abc");
        }
        for limit in [1, 2, 5, 7, 24, 25, 26, 1_000] {
            assert_eq!(tracker.all_names(limit), names, "pages of {limit}");
        }
        let (page, next) = tracker.all_trackers("?limit=10");
        assert_eq!(page, names[..10]);
        assert!(next.is_some());
        let (page, next) = tracker.all_trackers("?limit=25");
        assert_eq!((page.len(), next), (25, None), "a full last page is the last");
    });
}

#[test]
fn a_page_goes_on_behind_a_name_that_was_removed_meanwhile() {
    on_both_stores(|tracker| {
        for name in ["a", "b", "c", "d"] {
            tracker.add(ONE, name, "abc");
        }
        let (page, next) = tracker.all_trackers("?limit=2");
        assert_eq!(page, ["a", "b"]);
        tracker.remove(ONE, "b");
        tracker.remove(ONE, "c");
        let (page, next) = tracker.all_trackers(&format!("?limit=2&cursor={}", escape(&next.unwrap())));
        assert_eq!((page, next), (vec!["d".to_owned()], None));
    });
}

#[test]
fn the_listing_can_be_of_one_prefix() {
    on_both_stores(|tracker| {
        for name in ["a/1", "a/2", "a/3", "ab", "b/1", "über/1", "a", "a+b"] {
            tracker.add(ONE, name, "abc");
        }
        let list = |query: &str| tracker.all_trackers(query);
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(list("?prefix=a/"), (names(&["a/1", "a/2", "a/3"]), None));
        assert_eq!(list("?prefix=%C3%BC"), (names(&["über/1"]), None));
        assert_eq!(list("?prefix=a%2B"), (names(&["a+b"]), None));
        assert_eq!(list("?prefix=c"), (names(&[]), None));
        assert_eq!(list("?prefix=").0.len(), 8);
        let (page, next) = list("?prefix=a/&limit=2");
        assert_eq!(page, ["a/1", "a/2"]);
        let next = escape(&next.unwrap());
        assert_eq!(list(&format!("?prefix=a/&limit=2&cursor={next}")), (names(&["a/3"]), None));
    });
}

#[test]
fn a_bad_limit_cursor_or_prefix_is_refused() {
    on_both_stores(|tracker| {
        for limit in ["0", "-1", "x", "1.5", "1001", "99999999999999999999", "", "%FF"] {
            let answer = tracker.get(format!("/all_trackers?limit={limit}"));
            super::parameters::assert_bad_value(&answer, "limit");
        }
        for name in ["limit", "cursor", "prefix"] {
            let twice = tracker.get(format!("/all_trackers?{name}=5&{name}=5"));
            super::parameters::assert_bad_value(&twice, name);
        }
        for name in ["cursor", "prefix"] {
            let broken = tracker.get(format!("/all_trackers?{name}=%FF"));
            super::parameters::assert_bad_value(&broken, name);
        }
    });
}
