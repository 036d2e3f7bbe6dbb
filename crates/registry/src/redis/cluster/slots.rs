//! Which slot a command belongs to, and which server has the slot.

use deadpool_redis::redis::{Arg, Cmd, Value};
use peer_core::keys::{self, SLOTS};

/// What is in the table for a slot that nobody serves.
const NOBODY: u16 = u16::MAX;

/// Where a server of a Cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// From `HOST:PORT`, as redirections have it; where they name no host, it is that of who says so.
    pub(super) fn read(text: &str, of: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { &of.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// Which master serves which slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slots {
    /// Places in `masters`, by slot.
    table: Box<[u16]>,
    pub(super) masters: Vec<Address>,
}

impl Slots {
    /// Nobody serves anything.
    pub(super) fn nobody() -> Self {
        Self { table: vec![NOBODY; usize::from(SLOTS)].into(), masters: Vec::new() }
    }

    /// Reads an answer of `of` to `CLUSTER SLOTS`. `None` where it is of another form, or where nobody serves anything.
    pub(super) fn read(answer: &Value, of: &Address) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut slots = Self::nobody();
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else {
                return None;
            };
            let [host, Value::Int(port), ..] = &master[..] else { return None };
            let host = match host {
                Value::BulkString(host) if host.as_slice() == b"?" => continue,
                Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
                _ => of.host.clone(),
            };
            let master = slots.place(Address { host, port: u16::try_from(*port).ok()? })?;
            let range = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
            slots.table.get_mut(range)?.fill(master);
        }
        (!slots.masters.is_empty()).then_some(slots)
    }

    fn place(&mut self, master: Address) -> Option<u16> {
        let known = self.masters.iter().position(|known| *known == master);
        let place = known.unwrap_or_else(|| {
            self.masters.push(master);
            self.masters.len() - 1
        });
        u16::try_from(place).ok().filter(|place| *place != NOBODY)
    }

    /// Whether each slot has a master.
    pub(super) fn are_all_served(&self) -> bool {
        !self.table.contains(&NOBODY)
    }

    /// The place in `masters` of who serves `slot`.
    pub(super) fn master_of(&self, slot: u16) -> Option<usize> {
        self.table.get(usize::from(slot)).filter(|place| **place != NOBODY).map(|place| usize::from(*place))
    }
}

/// The slot of the first key of a command; `None` for one without keys, which any server answers. All keys of our commands are
/// of one slot.
pub(super) fn slot_of(command: &Cmd) -> Option<u16> {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word,
        _ => &[],
    });
    match words.next()? {
        b"EVALSHA" => {
            let (_, count, first) = (words.next()?, words.next()?, words.next()?);
            (count != b"0").then(|| keys::slot(first))
        }
        b"TIME" | b"SCRIPT" | b"CLUSTER" => None,
        _ => words.next().map(keys::slot),
    }
}

/// Whether a command may be sent again when it is not known whether it was done. Our scripts may, and what only reads.
pub(super) fn may_be_repeated(command: &Cmd) -> bool {
    !matches!(command.args_iter().next(), Some(Arg::Simple(b"SET" | b"INCRBY")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use deadpool_redis::redis::cmd;

    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master])
    }

    #[test]
    fn slots_are_read_also_where_the_host_is_not_said() {
        let answer = Value::Array(vec![
            range(0, 5, Value::BulkString(b"192.0.2.1".to_vec()), 7_001),
            range(6, 9, Value::Nil, 7_002),
            range(10, 10, Value::BulkString(b"192.0.2.1".to_vec()), 7_001),
            range(11, 11, Value::BulkString(b"?".to_vec()), 7_003),
        ]);
        let slots = Slots::read(&answer, &address("h", 1)).unwrap();
        assert_eq!(slots.masters, [address("192.0.2.1", 7_001), address("h", 7_002)]);
        let of = |slot| slots.master_of(slot);
        assert_eq!(
            [of(0), of(5), of(6), of(10), of(11), of(16_384)],
            [Some(0), Some(0), Some(1), Some(0), None, None]
        );
        for bad in [Value::Nil, Value::Array(vec![]), Value::Array(vec![range(0, 16_384, Value::Nil, 1)])] {
            assert_eq!(Slots::read(&bad, &address("h", 1)), None, "{bad:?}");
        }
    }

    #[test]
    fn redirections_are_read() {
        let of = address("h", 1);
        assert_eq!(Address::read("192.0.2.1:7001", &of), Some(address("192.0.2.1", 7_001)));
        assert_eq!(Address::read("2001:db8::1:7001", &of), Some(address("2001:db8::1", 7_001)));
        assert_eq!(Address::read(":7001", &of), Some(address("h", 7_001)));
        assert_eq!(Address::read("h", &of), None);
    }

    #[test]
    fn a_command_goes_where_its_first_key_is() {
        assert_eq!(slot_of(cmd("GET").arg("123456789")), Some(12_739));
        assert_eq!(slot_of(cmd("EVALSHA").arg("hash").arg(1).arg("123456789")), Some(12_739));
        assert_eq!(slot_of(cmd("EVALSHA").arg("hash").arg(0)), None);
        assert_eq!(slot_of(&cmd("TIME")), None);
    }
}
