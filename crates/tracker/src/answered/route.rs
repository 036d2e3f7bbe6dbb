//! What requests are counted under.

/// The routes, as they are counted, each with what is common to the time that it takes.
pub(super) const ROUTES: [(&str, Class); 20] = [
    ("/peers", Class::Read),
    ("/add", Class::Write),
    ("/remove", Class::Write),
    ("/peer_offline", Class::Write),
    ("/all_trackers", Class::Read),
    ("/", Class::Other),
    ("/v1/publish", Class::Write),
    ("/v1/unpublish", Class::Write),
    ("/v1/heartbeat", Class::Write),
    ("/v1/peers", Class::Read),
    ("/v1/lookup", Class::Read),
    ("/v1/files", Class::Read),
    ("/v1/report", Class::Write),
    ("/v1/stats", Class::Other),
    ("/v1/stats/stream", Class::Other),
    ("/v1/stats/live", Class::Other),
    ("/v1/operator/peers", Class::Read),
    ("/openapi.json", Class::Other),
    ("/docs", Class::Other),
    ("/dashboard", Class::Other),
];

/// What a request is counted under: its route, or `other` where there is none, so that strangers cannot make up labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    class: Class,
    place: usize,
}

impl Route {
    /// That of `path`.
    pub(crate) fn of(path: &str) -> Self {
        let place = ROUTES.iter().position(|(route, _)| *route == path).unwrap_or(ROUTES.len());
        let (name, class) = ROUTES.get(place).copied().unwrap_or(("other", Class::Other));
        Self { name, class, place }
    }

    /// Its place in [`ROUTES`]; the one behind them where it is none of them.
    pub(super) fn place(self) -> usize {
        self.place
    }

    pub(super) fn class(self) -> Class {
        self.class
    }
}

/// Requests that do alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Look something up.
    Read,
    /// Change something.
    Write,
    /// Pages, streams, and what there is not.
    Other,
}

impl Class {
    pub(super) const NAMES: [(Self, &str); 3] =
        [(Self::Read, "read"), (Self::Write, "write"), (Self::Other, "other")];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_their_places() {
        for (place, (class, _)) in Class::NAMES.into_iter().enumerate() {
            assert_eq!(class as usize, place);
        }
    }

    #[test]
    fn every_route_of_the_description_is_counted_and_nothing_else() {
        let described: serde_json::Value =
            serde_json::from_str(include_str!("../../openapi.json")).unwrap_or_default();
        let paths =
            described.get("paths").and_then(serde_json::Value::as_object).cloned().unwrap_or_default();
        assert_eq!(paths.len(), ROUTES.len() - 3, "all but the description itself and the pages");
        for path in paths.keys() {
            assert_eq!(Route::of(path).name, path);
        }
        for path in ["", "/peers/", "/Peers", "//", "/v1", "/peers?x"] {
            assert_eq!(Route::of(path).name, "other");
        }
    }
}
