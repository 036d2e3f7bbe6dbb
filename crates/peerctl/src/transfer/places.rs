//! Who is served at once: so many in all, and so many of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many peers are served at once; the next ones are refused.
const PLACES: usize = 64;
/// How many of them may have one address, so that one host does not keep all others out. Several peers may be behind a NAT.
const PLACES_OF_HOST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    host: IpAddr,
}

impl Places {
    /// A place for a peer of this address, where there is one.
    pub(super) fn take(self: &Arc<Self>, host: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock();
        let all: usize = taken.values().sum();
        let of_host = taken.get(&host).copied().unwrap_or_default();
        if all >= PLACES || of_host >= PLACES_OF_HOST {
            return None;
        }
        taken.insert(host, of_host + 1);
        Some(Place { places: Arc::clone(self), host })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(count) = taken.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::from_fn;

    use super::*;

    fn host(number: usize) -> IpAddr {
        IpAddr::from([203, 0, 113, u8::try_from(number).unwrap_or(u8::MAX)])
    }

    #[test]
    fn one_host_does_not_take_all_and_what_was_given_back_is_there_again() {
        let places = Arc::new(Places::default());
        let mut taken: Vec<Place> = from_fn(|| places.take(host(1))).collect();
        assert_eq!(taken.len(), PLACES_OF_HOST);
        for number in 2.. {
            let more: Vec<Place> = from_fn(|| places.take(host(number))).collect();
            if more.is_empty() {
                break;
            }
            taken.extend(more);
        }
        assert_eq!(taken.len(), PLACES);
        taken.clear();
        assert!(places.taken.lock().is_empty());
        assert!(places.take(host(1)).is_some());
    }
}
