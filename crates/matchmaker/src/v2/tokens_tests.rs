#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use super::*;

const EPOCH_MS: u64 = 1_764_100_000_000;

fn tokens(keys: &str) -> Tokens {
    Tokens::new(keys.parse().unwrap(), EPOCH_MS)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const A: &str = "203.0.113.21:41001";
const ONE: &str = "000102030405060708090a0b0c0d0e0f";
const TWO: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

#[test]
fn a_token_is_good_for_its_address_and_id_for_180_seconds() {
    let tokens = tokens(ONE);
    let (mine, other) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
    let plain = tokens.issue(5_000_000, addr(A), None);
    let bound = tokens.issue(5_000_000, addr(A), Some(mine));
    let issued = |now_us, token, at: &str, id| tokens.issued_ms(now_us, token, addr(at), id);
    for (token, id) in [(plain, None), (bound, Some(mine))] {
        assert_eq!(issued(5_000_000, token, A, id), Some(EPOCH_MS + 5_000));
        assert_eq!(issued(184_999_000, token, A, id), Some(EPOCH_MS + 5_000));
        assert_eq!(issued(185_000_000, token, A, id), None);
        // A node whose clock is a little behind.
        assert_eq!(issued(3_000_000, token, A, id), Some(EPOCH_MS + 5_000));
        assert_eq!(issued(2_999_000, token, A, id), None);
        assert_eq!(issued(5_000_000, token, "203.0.113.21:41002", id), None);
        assert_eq!(issued(5_000_000, token, "203.0.113.22:41001", id), None);
        assert_eq!(issued(5_000_000, token, A, Some(other)), None);
    }
    assert_eq!(issued(5_000_000, plain, A, Some(mine)), None);
    assert_eq!(issued(5_000_000, bound, A, None), None);
}

#[test]
fn no_bit_of_a_token_can_be_changed() {
    let tokens = tokens(ONE);
    let good = tokens.issue(5_000_000, addr(A), None).to_bytes();
    for bit in 0..8 * Token::BYTES {
        let mut bytes = good;
        *bytes.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        assert_eq!(tokens.issued_ms(5_000_000, Token::from_bytes(bytes), addr(A), None), None, "bit {bit}");
    }
}

#[test]
fn a_key_is_changed_without_a_token_being_refused() {
    let token = tokens(ONE).issue(0, addr(A), None);
    let good = |keys: &str| tokens(keys).issued_ms(0, token, addr(A), None).is_some();
    assert!(good(&format!("{TWO},{ONE}")) && good(&format!("{ONE}, {TWO}")));
    assert!(!good(TWO));
    let made_after = tokens(&format!("{TWO},{ONE}")).issue(0, addr(A), None);
    assert!(tokens(TWO).issued_ms(0, made_after, addr(A), None).is_some());
}

#[test]
fn keys_are_hex_and_are_not_shown() {
    for bad in ["", ",", "00", &ONE[1..], &format!("{ONE}0"), &format!("{ONE},"), &format!("+{}", &ONE[1..])]
    {
        assert!(bad.parse::<TokenKeys>().is_err(), "{bad:?}");
    }
    assert_eq!(format!("{:?}", ONE.parse::<TokenKeys>().unwrap()), "TokenKeys(…)");
    assert!(TokenKeys::random().unwrap() != TokenKeys::random().unwrap());
}

#[test]
fn pairs_differ_in_number_and_key() {
    let tokens = tokens(ONE);
    let pairs: std::collections::HashSet<_> = (0..1_000).map(|count| tokens.pair(0, count)).collect();
    let keys: std::collections::HashSet<_> = pairs.iter().map(|(_, key)| *key).collect();
    assert_eq!((pairs.len(), keys.len()), (1_000, 1_000));
}
