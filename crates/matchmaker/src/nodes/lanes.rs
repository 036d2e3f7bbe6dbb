//! Work for Redis in the order in which it came, apart for each server of a Cluster: while one is away, what is for others goes on.

use std::collections::HashMap;

/// What goes in one round trip.
pub(super) const AT_ONCE: usize = 256;
/// What waits for one server. More is not taken.
const WAITING_MAX: usize = 4_096;

/// What waits, by the number of the server that it is for.
pub(super) struct Lanes<T>(HashMap<usize, Lane<T>>);

struct Lane<T> {
    waiting: Vec<T>,
    /// One round trip at a time: what comes meanwhile shares the next one.
    is_under_way: bool,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Lanes<T> {
    /// Takes one more for this server, or gives it back where too much waits.
    pub(super) fn add(&mut self, server: usize, work: T) -> Result<(), T> {
        let lane = self.0.entry(server).or_insert_with(|| Lane { waiting: Vec::new(), is_under_way: false });
        if lane.waiting.len() >= WAITING_MAX {
            return Err(work);
        }
        lane.waiting.push(work);
        Ok(())
    }

    /// What a server is to be sent next, and which one. [`Self::done`] follows.
    pub(super) fn next(&mut self) -> Option<(usize, Vec<T>)> {
        let is_due = |lane: &Lane<T>| !lane.is_under_way && !lane.waiting.is_empty();
        let (server, lane) = self.0.iter_mut().find(|(_, lane)| is_due(lane))?;
        lane.is_under_way = true;
        let count = lane.waiting.len().min(AT_ONCE);
        Some((*server, lane.waiting.drain(..count).collect()))
    }

    /// A server has answered, or will not.
    pub(super) fn done(&mut self, server: usize) {
        // Servers come and go, and the next work for this one makes its lane again.
        if let Some(lane) = self.0.get_mut(&server) {
            lane.is_under_way = false;
            if lane.waiting.is_empty() {
                self.0.remove(&server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_holds_up_its_own_work_only() {
        let mut lanes = Lanes::default();
        for number in 0..2 * AT_ONCE {
            assert_eq!(lanes.add(number % 2, number), Ok(()));
        }
        assert_eq!(lanes.add(1, 1_001), Ok(()));
        let mut first: Vec<_> = [lanes.next(), lanes.next()].into_iter().flatten().collect();
        first.sort_unstable();
        let of = |server: usize| (0..AT_ONCE).map(|number| 2 * number + server).collect::<Vec<_>>();
        assert_eq!(first, [(0, of(0)), (1, of(1))], "in order");
        assert_eq!(lanes.next(), None, "both are under way");
        lanes.done(0);
        assert_eq!(lanes.add(0, 1_000), Ok(()));
        assert_eq!((lanes.next(), lanes.next()), (Some((0, vec![1_000])), None));
        lanes.done(1);
        assert_eq!(lanes.next(), Some((1, vec![1_001])));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut lanes = Lanes::default();
        let taken = (0..2 * WAITING_MAX).take_while(|number| lanes.add(7, *number).is_ok()).count();
        assert_eq!(taken, WAITING_MAX);
        assert_eq!(lanes.add(8, 0), Ok(()), "another server's is as it was");
    }
}
