use black_box::deadline::eventually;
use black_box::tracker::Tracker;
use serde_json::json;

use super::browser::{Browser, PATIENCE};

#[tokio::test]
async fn the_documentation_needs_no_network_and_what_is_tried_out_there_is_done() {
    let Some(browser) = Browser::open().await else { return };
    let tracker = Tracker::plain();
    let origin = format!("http://{}", tracker.address());
    browser.page.goto(&format!("{origin}/docs")).await.unwrap();
    browser.until(PATIENCE, "document.querySelector('.opblock-tag-section') !== null").await;
    let described = tracker.get("/openapi.json").json();
    let methods =
        described["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
    let shown = format!("document.querySelectorAll('.opblock').length === {}", methods.sum::<usize>());
    browser.until(PATIENCE, &shown).await;

    let publish = "#operations-peers-publish";
    browser.click(&format!("{publish} .opblock-summary-control")).await;
    browser.until(PATIENCE, &format!("document.querySelector('{publish} .try-out__btn') !== null")).await;
    browser.click(&format!("{publish} .try-out__btn")).await;
    browser.until(PATIENCE, &format!("document.querySelector('{publish} .execute') !== null")).await;
    browser.click(&format!("{publish} .execute")).await;
    let answered =
        format!("document.querySelector('{publish} .live-responses-table .response-col_status') !== null");
    browser.until(PATIENCE, &answered).await;
    let status =
        browser.text(&format!("{publish} .live-responses-table .response .response-col_status")).await;
    assert!(status.starts_with("200"), "{status}");

    assert_eq!(tracker.all_names(10), ["site/index.html"]);
    let counts = json!({"peers": 1, "files": 1, "mappings": 1});
    // They may be a second old.
    eventually(PATIENCE, "it counts", || (tracker.get("/v1/stats").json() == counts).then_some(()));
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.assert_asked_only(&origin).await;
}

#[test]
fn a_page_comes_whole_once_and_runs_nothing_that_is_not_a_file_of_ours() {
    let tracker = Tracker::plain();
    for path in ["/docs", "/dashboard", "/docs/swagger-ui-bundle.js", "/dashboard/dashboard.js"] {
        let answer = tracker.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let tag = answer.header("etag").unwrap();
        let again = tracker.send(&black_box::http::Request::get(path).header("If-None-Match", tag));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    tracker.get("/dashboard/nothing.js").assert_refused(404);
    tracker.post("/docs").assert_refused(405);
}
