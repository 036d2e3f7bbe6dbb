//! Every row of the legacy HTTP contract, on both stores.

use black_box::http::Request;
use black_box::tracker::{CALLER, Tracker, on_both_stores};
use serde_json::{Value, json};

const ONE: &str = "203.0.113.5";
const TWO: &str = "198.51.100.1";

fn ok() -> Value {
    json!({"status": "ok"})
}

#[test]
fn the_root_says_that_all_is_well() {
    on_both_stores(|tracker| tracker.get("/").assert_is(200, &ok()));
}

#[test]
fn peers_of_a_file_are_those_that_added_it() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "a.html", "abc");
        tracker.add(TWO, "a.html", "abc");
        tracker.add(TWO, "b.html", "def");
        assert_eq!(tracker.peers("a.html"), [TWO, ONE]);
        assert_eq!(tracker.peers("b.html"), [TWO]);
    });
}

#[test]
fn an_unknown_file_has_no_peers() {
    on_both_stores(|tracker| {
        let none = json!({"filename": "never/added.html", "peers": []});
        tracker.get("/peers?filename=never/added.html").assert_is(200, &none);
    });
}

#[test]
fn adding_twice_gives_the_same_answer_and_no_duplicate() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "a.html", "abc");
        tracker.add(ONE, "a.html", "abc");
        tracker.add(ONE, "a.html", "another-hash");
        assert_eq!(tracker.peers("a.html"), [ONE]);
        assert_eq!(tracker.all_names(100), ["a.html"]);
    });
}

#[test]
fn the_caller_of_add_is_the_peer_whatever_the_query_says() {
    on_both_stores(|tracker| {
        let request = Request::post("/add?filename=a.html&hash=abc&ip=192.0.2.9").header(CALLER, ONE);
        tracker.send(&request).assert_is(200, &ok());
        assert_eq!(tracker.peers("a.html"), [ONE]);
    });
}

#[test]
fn add_and_remove_take_get_and_post() {
    on_both_stores(|tracker| {
        for method in ["GET", "POST"] {
            let name = format!("by-{method}.html");
            let request = Request::new(method, format!("/add?filename={name}&hash=abc")).header(CALLER, ONE);
            tracker.send(&request).assert_is(200, &ok());
            assert_eq!(tracker.peers(&name), [ONE]);

            let request =
                Request::new(method, format!("/remove?ip={ONE}&filename={name}")).header(CALLER, ONE);
            tracker.send(&request).assert_is(200, &ok());
            assert!(tracker.peers(&name).is_empty());
        }
    });
}

#[test]
fn remove_without_an_address_means_the_caller() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "a.html", "abc");
        tracker.add(TWO, "a.html", "abc");
        tracker.send(&Request::post("/remove?filename=a.html").header(CALLER, ONE)).assert_is(200, &ok());
        assert_eq!(tracker.peers("a.html"), [TWO]);
        tracker.send(&Request::get("/remove?filename=a.html").header(CALLER, TWO)).assert_is(200, &ok());
        assert!(tracker.peers("a.html").is_empty());
    });
}

#[test]
fn removing_what_is_not_there_is_fine() {
    on_both_stores(|tracker| {
        tracker.remove(ONE, "never/added.html");
        tracker.add(TWO, "a.html", "abc");
        tracker.remove(ONE, "a.html");
        tracker.remove(TWO, "a.html");
        tracker.remove(TWO, "a.html");
        assert!(tracker.peers("a.html").is_empty());
    });
}

#[test]
fn removing_the_last_peer_takes_the_file_from_the_listing() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "a.html", "abc");
        tracker.add(ONE, "b.html", "abc");
        tracker.remove(ONE, "a.html");
        assert_eq!(tracker.all_names(100), ["b.html"]);
    });
}

#[test]
fn a_peer_that_removes_another_does_not_see_it_any_more() {
    on_both_stores(|tracker| {
        let seen_by_two = |name: &str| {
            let answer = tracker.send(&Request::get(format!("/peers?filename={name}")).header(CALLER, TWO));
            answer.json()["peers"].clone()
        };
        for name in ["a.html", "b.html"] {
            tracker.add(ONE, name, "abc");
            assert_eq!(seen_by_two(name), json!([ONE]));
        }
        let request = Request::post(format!("/remove?ip={ONE}&filename=a.html")).header(CALLER, TWO);
        tracker.send(&request).assert_is(200, &ok());
        assert_eq!((seen_by_two("a.html"), seen_by_two("b.html")), (json!([]), json!([ONE])));
        let request = Request::post(format!("/peer_offline?ip={ONE}")).header(CALLER, TWO);
        tracker.send(&request).assert_is(200, &json!({"status": "removed"}));
        assert_eq!(seen_by_two("b.html"), json!([]));
    });
}

#[test]
fn an_offline_peer_goes_from_all_its_files() {
    on_both_stores(|tracker| {
        for name in ["a.html", "b.html", "c/d.html"] {
            tracker.add(ONE, name, "abc");
            tracker.add(TWO, name, "abc");
        }
        tracker.peer_offline(ONE);
        for name in ["a.html", "b.html", "c/d.html"] {
            assert_eq!(tracker.peers(name), [TWO]);
        }
        let request = Request::post("/peer_offline").header(CALLER, TWO);
        tracker.send(&request).assert_is(200, &json!({"status": "removed"}));
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn an_unknown_peer_may_go_offline() {
    on_both_stores(|tracker| tracker.peer_offline(ONE));
}

#[test]
fn an_offline_peer_can_come_back() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "a.html", "abc");
        tracker.peer_offline(ONE);
        assert!(tracker.peers("a.html").is_empty());
        tracker.add(ONE, "a.html", "abc");
        assert_eq!(tracker.peers("a.html"), [ONE]);
    });
}

#[test]
fn an_unknown_path_is_not_found() {
    on_both_stores(|tracker| {
        for target in
            ["/nothing", "/peers/", "/peers/a.html", "/Peers", "/add/x?filename=a&hash=b", "//", "/%00"]
        {
            for method in ["GET", "POST", "DELETE", "BREW"] {
                let answer = tracker.send(&Request::new(method, target));
                answer.assert_is(404, &json!({"detail": "Not Found"}));
            }
        }
    });
}

/// The methods of an `Allow` header, but for those that a server may always add.
fn allowed(tracker: &Tracker, method: &str, target: &str) -> Vec<String> {
    let answer = tracker.send(&Request::new(method, target));
    answer.assert_is(405, &json!({"detail": "Method Not Allowed"}));
    let allow = answer.header("allow").unwrap_or_else(|| panic!("{method} {target} has no Allow"));
    let methods = allow.split(',').map(|name| name.trim().to_owned());
    let mut methods: Vec<String> = methods.filter(|name| name != "HEAD" && name != "OPTIONS").collect();
    methods.sort();
    methods
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    on_both_stores(|tracker| {
        for method in ["PUT", "DELETE", "PATCH"] {
            assert_eq!(allowed(tracker, method, "/add?filename=a&hash=b"), ["GET", "POST"]);
            assert_eq!(allowed(tracker, method, "/remove?filename=a"), ["GET", "POST"]);
            assert_eq!(allowed(tracker, method, "/peer_offline"), ["POST"]);
            for target in ["/", "/peers?filename=a", "/all_trackers"] {
                assert_eq!(allowed(tracker, method, target), ["GET"]);
            }
        }
        assert_eq!(allowed(tracker, "GET", "/peer_offline"), ["POST"]);
        for target in ["/", "/peers?filename=a", "/all_trackers"] {
            assert_eq!(allowed(tracker, "POST", target), ["GET"]);
        }
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn a_state_change_from_another_site_is_refused() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "kept.html", "abc");
        for (method, target) in [
            ("GET", "/add?filename=a.html&hash=abc"),
            ("POST", "/add?filename=a.html&hash=abc"),
            ("GET", "/remove?filename=kept.html"),
            ("POST", "/remove?filename=kept.html"),
            ("POST", "/peer_offline"),
        ] {
            for header in ["Sec-Fetch-Site", "sec-fetch-site", "SEC-FETCH-SITE"] {
                let request = Request::new(method, target).header(header, "cross-site").header(CALLER, ONE);
                let detail = tracker.send(&request).assert_refused(403);
                assert!(detail.is_string(), "{detail}");
            }
        }
        assert_eq!(tracker.all_names(100), ["kept.html"]);
        assert_eq!(tracker.peers("kept.html"), [ONE]);
    });
}

#[test]
fn what_a_browser_does_not_mark_as_cross_site_is_taken() {
    on_both_stores(|tracker| {
        for site in ["same-origin", "same-site", "none"] {
            let request = Request::get(format!("/add?filename={site}.html&hash=abc"));
            let request = request.header("Sec-Fetch-Site", site).header(CALLER, ONE);
            tracker.send(&request).assert_is(200, &ok());
        }
        assert_eq!(tracker.all_names(100), ["none.html", "same-origin.html", "same-site.html"]);
        let request = Request::get("/peers?filename=none.html").header("Sec-Fetch-Site", "cross-site");
        tracker.send(&request).assert_is(200, &json!({"filename": "none.html", "peers": [ONE]}));
    });
}

#[test]
fn a_connection_takes_many_requests() {
    on_both_stores(|tracker| {
        let mut connection = black_box::http::Connection::open(tracker.address()).unwrap();
        for number in 0..50 {
            let target = format!("/add?filename=f{number}&hash=abc");
            connection.exchange(&Request::post(target).header(CALLER, ONE)).unwrap().assert_is(200, &ok());
            let none = connection.exchange(&Request::get("/nothing")).unwrap();
            assert_eq!(none.status, 404);
        }
        assert_eq!(tracker.all_names(7).len(), 50);
    });
}
