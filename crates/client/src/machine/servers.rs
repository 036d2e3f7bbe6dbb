//! The servers that this peer knows, of which it is registered with one at a time.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// Servers besides the current one that are kept at most.
const OTHERS_MAX: usize = 16;

/// Which server is asked, and which are next.
#[derive(Debug)]
pub(super) struct Servers {
    current: SocketAddr,
    /// The one before it, which may still have something to say of what it was asked.
    former: Option<SocketAddr>,
    /// The others, the next one first. All are of one family of addresses.
    others: VecDeque<SocketAddr>,
    /// Those in a row that did not answer.
    silent: usize,
}

impl Servers {
    /// `first` is asked first. Of `others` only those of its family of addresses are kept.
    pub(super) fn new(first: SocketAddr, others: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut servers = Self { current: first, former: None, others: VecDeque::new(), silent: 0 };
        others.into_iter().for_each(|other| servers.know(other));
        servers
    }

    pub(super) fn current(&self) -> SocketAddr {
        self.current
    }

    pub(super) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether what comes from there is a server's word.
    pub(super) fn is_heard(&self, from: SocketAddr) -> bool {
        from == self.current || self.former == Some(from)
    }

    /// The current one was heard.
    pub(super) fn answered(&mut self) {
        self.silent = 0;
    }

    /// The current one ends, and names others, the best first. False where none of them can be asked.
    pub(super) fn move_to(&mut self, named: &[SocketAddr]) -> bool {
        let leaving = self.current;
        let mut named = named.iter().filter(|addr| addr.is_ipv4() == leaving.is_ipv4() && **addr != leaving);
        let Some(first) = named.next() else { return false };
        for next in named.rev() {
            self.others.retain(|other| other != next);
            self.others.push_front(*next);
        }
        self.others.retain(|other| other != first);
        self.go_to(*first);
        true
    }

    /// The current one does not answer: the next one is asked. True when none of them has answered.
    pub(super) fn pass_over(&mut self) -> bool {
        self.silent += 1;
        if let Some(next) = self.others.pop_front() {
            self.go_to(next);
        }
        let all = self.silent > self.others.len();
        if all {
            self.silent = 0;
        }
        all
    }

    fn go_to(&mut self, next: SocketAddr) {
        let former = std::mem::replace(&mut self.current, next);
        self.former = Some(former);
        // It may be back by the time that the others have all been asked.
        self.others.truncate(OTHERS_MAX - 1);
        self.know(former);
    }

    fn know(&mut self, addr: SocketAddr) {
        let is_new = addr != self.current && !self.others.contains(&addr);
        if is_new && addr.is_ipv4() == self.current.is_ipv4() && self.others.len() < OTHERS_MAX {
            self.others.push_back(addr);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 12_345))
    }

    #[test]
    fn all_are_asked_in_turn() {
        let v6 = "[2001:db8::1]:12345".parse();
        let mut servers =
            Servers::new(server(1), [server(2), server(1), server(3), server(2)].into_iter().chain(v6));
        let round: Vec<_> = (0..6).map(|_| (servers.pass_over(), servers.current())).collect();
        let expected = [2, 3, 1, 2, 3, 1].map(|number| (number == 1, server(number)));
        assert_eq!(round, expected, "the last of a round says that none answered");
        servers.pass_over();
        servers.answered();
        assert!(!servers.pass_over() && !servers.pass_over() && servers.pass_over());
        assert!(servers.is_heard(server(1)) && !servers.is_heard(server(9)));
    }

    #[test]
    fn those_that_a_server_names_come_first_and_it_itself_last() {
        let mut servers = Servers::new(server(1), [server(2), server(3)]);
        assert!(servers.move_to(&[server(5), server(1), server(3)]));
        let mut asked = vec![servers.current()];
        while !servers.pass_over() {
            asked.push(servers.current());
        }
        assert_eq!(asked, [5, 3, 2, 1].map(server));
        assert!(!servers.move_to(&[servers.current()]) && !servers.move_to(&[]));
    }

    #[test]
    fn one_that_is_alone_is_asked_again_and_what_is_kept_is_bounded() {
        let mut servers = Servers::new(server(1), []);
        assert!(servers.pass_over() && servers.pass_over() && !servers.has_others());
        for number in 2..=200 {
            assert!(servers.move_to(&[server(number), server(number.wrapping_add(50))]));
            assert!(servers.others.len() <= OTHERS_MAX);
        }
        assert!(servers.is_heard(server(199)), "the one before it");
    }
}
