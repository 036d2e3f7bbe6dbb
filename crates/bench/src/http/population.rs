//! Who has which file in a benchmark: names, hashes and callers, made from numbers.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Callers take their addresses from 198.18.0.0/15, the block set aside for benchmarks (RFC 2544, RFC 6890):
/// no proxy, no private network and no host on the internet.
const FIRST_CALLER: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// How many addresses that block has.
pub(crate) const CALLERS: u64 = 1 << 17;
/// Pages of one site.
const PAGES_PER_SITE: u64 = 1000;
/// Neighbouring files start with other callers, this many further on, so that each caller has many files.
const CALLER_STRIDE: u64 = PEERS_PER_FILE;
/// Peers of a file where all files have as many.
pub(crate) const PEERS_PER_FILE: u64 = 20;

/// A file of a benchmark. Its name has 30 bytes, like `site-00000123/page-000456.html`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File(pub u64);

impl File {
    /// One of the files that are filled before a measurement. `add` never reaches their numbers.
    pub(crate) fn known(number: u64) -> Self {
        Self(90_000_000_000 + number)
    }

    /// The hash that every caller claims for it: 32 hexadecimal digits.
    pub(crate) fn hash(self) -> impl fmt::Display {
        struct Hash(u64);
        impl fmt::Display for Hash {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{:016x}{:016x}", scramble(self.0), scramble(!self.0))
            }
        }
        Hash(self.0)
    }
}

impl fmt::Display for File {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "site-{:08}/page-{:06}.html", self.0 / PAGES_PER_SITE, self.0 % PAGES_PER_SITE)
    }
}

/// One caller that has one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// What it has.
    pub file: File,
    /// Where it calls from.
    pub caller: Ipv4Addr,
}

impl Mapping {
    /// Mapping `number` where mappings go round over `files` files: a new one for every number below
    /// `files` times [`CALLERS`].
    pub(crate) fn over(files: u64, number: u64) -> Self {
        let files = files.max(1);
        let file = number % files;
        Self { file: File(file), caller: caller(file * CALLER_STRIDE + number / files) }
    }

    /// The same, for the files that are filled before a measurement.
    pub(crate) fn known(files: u64, number: u64) -> Self {
        let Self { file, caller } = Self::over(files, number);
        Self { file: File::known(file.0), caller }
    }
}

/// Caller `number` of so many mappings with [`PEERS_PER_FILE`] peers a file, and all files that it has: together those of
/// [`Mapping::over`] as many files, in another order.
pub(crate) fn of_caller(number: u64, mappings: u64) -> (Ipv4Addr, impl Iterator<Item = File>) {
    let step = usize::try_from(CALLERS).unwrap_or(usize::MAX);
    (caller(number), (number..mappings).step_by(step).map(|mapping| File(mapping / PEERS_PER_FILE)))
}

/// A peer of the crowd that has one file: an address of `2001:2::/48`, the block for benchmarks of IPv6 (RFC 5180).
pub(crate) fn of_crowd(number: u64) -> Ipv6Addr {
    const FIRST: u128 = 0x2001_0002_0000_0000_0000_0000_0000_0000;
    // Not one behind the other: texts are as long and as different among few as among many.
    Ipv6Addr::from(FIRST + u128::from(scramble(number)))
}

fn caller(number: u64) -> Ipv4Addr {
    let offset = u32::try_from(number % CALLERS).unwrap_or_default();
    Ipv4Addr::from(FIRST_CALLER + offset)
}

/// A fixed mixing of 64 bits (the finalizer of splitmix64), so that hashes look like hashes.
fn scramble(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_have_thirty_bytes_and_hashes_thirty_two() {
        for file in [File(0), File(123_456), File(89_999_999_999), File::known(49)] {
            assert_eq!(file.to_string().len(), 30, "{file}");
            assert_eq!(file.hash().to_string().len(), 32, "{file}");
        }
        assert_eq!(File(123_456).to_string(), "site-00000123/page-000456.html");
    }

    #[test]
    fn every_number_is_a_mapping_of_its_own() {
        let mappings: HashSet<String> =
            (0..20_000).map(|number| format!("{:?}", Mapping::over(1000, number))).collect();
        assert_eq!(mappings.len(), 20_000);
    }

    #[test]
    fn twenty_rounds_over_the_files_give_each_file_twenty_callers() {
        let files = 50;
        for file in 0..files {
            let callers: HashSet<Ipv4Addr> =
                (0..20).map(|round| Mapping::over(files, round * files + file).caller).collect();
            assert_eq!(callers.len(), 20);
        }
    }

    #[test]
    fn all_files_of_all_callers_are_the_mappings_over_the_files() {
        let (files, mappings) = (20_000, 400_000);
        let pair = |mapping: Mapping| (mapping.file.0, mapping.caller);
        let one_by_one: HashSet<_> = (0..mappings).map(|number| pair(Mapping::over(files, number))).collect();
        let by_caller: Vec<_> = (0..CALLERS)
            .flat_map(|number| {
                let (caller, files) = of_caller(number, mappings);
                files.map(move |file| (file.0, caller))
            })
            .collect();
        assert_eq!(by_caller.len(), one_by_one.len());
        assert_eq!(by_caller.into_iter().collect::<HashSet<_>>(), one_by_one);
    }

    #[test]
    fn callers_stay_in_the_block_for_benchmarks() {
        for number in [0, 1, CALLERS - 1, CALLERS, u64::MAX / CALLER_STRIDE / 2] {
            let [first, second, ..] = Mapping::over(1, number).caller.octets();
            assert!(first == 198 && (second == 18 || second == 19), "{number}");
        }
    }

    #[test]
    fn known_files_and_added_files_never_meet() {
        assert_eq!(Mapping::known(50, 70).file, File::known(20));
        assert_ne!(File::known(0), File(0));
    }
}
