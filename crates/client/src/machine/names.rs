use std::hash::Hasher as _;

use peer_core::datagram::v2::Tid;
use siphasher::sip::SipHasher24;

/// Names of requests that nobody can guess who does not know the seed, so that no answer can be forged without being seen.
#[derive(Debug)]
pub(super) struct Names {
    seed: [u8; 16],
    given: u64,
}

impl Names {
    pub(super) fn new(seed: [u8; 16]) -> Self {
        Self { seed, given: 0 }
    }

    pub(super) fn next(&mut self) -> Tid {
        self.given += 1;
        let mut hasher = SipHasher24::new_with_key(&self.seed);
        hasher.write_u64(self.given);
        let text = format!("{:016x}", hasher.finish());
        #[expect(clippy::expect_used, reason = "16 digits of hex are a name")]
        text.parse().expect("16 of the characters of a name")
    }
}
