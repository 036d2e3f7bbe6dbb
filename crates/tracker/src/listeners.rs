//! Who listens to a stream of events, each of which holds a connection for as long as it likes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use peer_core::Network;

use crate::caller::Caller;
use crate::error::ApiError;

/// Most streams at a time.
pub(crate) const LISTENERS_MAX: usize = 256;
/// Most streams of a caller, an IPv4 address or an IPv6 /64, at a time: some open pages of a household, and a 32nd of
/// all, so that one stranger cannot have all of them.
pub(crate) const LISTENERS_PER_CALLER_MAX: usize = 8;

/// The streams of both paths together.
#[derive(Default)]
pub(crate) struct Listeners(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    taken: usize,
    by_network: HashMap<Network, usize>,
}

/// A place among the listeners, for as long as it is held.
pub(crate) struct Place {
    listeners: Arc<Mutex<Places>>,
    /// `None` for those who are not counted by caller.
    network: Option<Network>,
}

impl Listeners {
    /// A place for `caller`, where one is free. As with rates, who is on this machine for sure has only the bound of all.
    pub(crate) fn listen(&self, caller: Caller) -> Result<Place, ApiError> {
        let network = (!caller.is_local()).then(|| Network::of_customer(caller.peer));
        let mut places = self.0.lock();
        if places.taken >= LISTENERS_MAX {
            return Err(ApiError::TooManyListeners);
        }
        if let Some(network) = network {
            let own = places.by_network.entry(network).or_default();
            if *own >= LISTENERS_PER_CALLER_MAX {
                return Err(ApiError::ListensTooOften);
            }
            *own += 1;
        }
        places.taken += 1;
        Ok(Place { listeners: Arc::clone(&self.0), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.listeners.lock();
        places.taken -= 1;
        let Some(network) = self.network else { return };
        if let Some(own) = places.by_network.get_mut(&network) {
            *own -= 1;
            if *own == 0 {
                places.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    fn caller(text: &str) -> Caller {
        Caller { peer: text.parse().unwrap(), broken_headers: 0, proxied: true }
    }

    #[test]
    fn a_place_that_is_given_up_is_free_again_and_nothing_is_kept_of_it() {
        let listeners = Listeners::default();
        let places: Vec<Place> = (0..LISTENERS_PER_CALLER_MAX)
            .map(|number| listeners.listen(caller(&format!("2001:db8::{number:x}"))).unwrap())
            .collect();
        let refused = listeners.listen(caller("2001:db8::ffff"));
        assert!(matches!(refused, Err(ApiError::ListensTooOften)));
        assert!(listeners.listen(caller("2001:db8:0:1::1")).is_ok());
        drop(places);
        assert!(listeners.listen(caller("2001:db8::ffff")).is_ok());
        let places = listeners.0.lock();
        assert_eq!((places.taken, places.by_network.len()), (0, 0));
    }

    #[test]
    fn all_together_have_a_bound_too() {
        let listeners = Listeners::default();
        let places: Vec<Place> = (0..LISTENERS_MAX)
            .map(|number| {
                listeners.listen(caller(&format!("10.0.{}.1", number / LISTENERS_PER_CALLER_MAX))).unwrap()
            })
            .collect();
        assert!(matches!(listeners.listen(caller("10.1.0.1")), Err(ApiError::TooManyListeners)));
        drop(places);
    }
}
