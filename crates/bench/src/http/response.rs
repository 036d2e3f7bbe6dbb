//! A reader for HTTP/1.1 answers that knows as much as the tracker needs: a status, a length, a body.
//!
//! It is small so that the load generator takes as little as it can of the machine that the server runs on.

use std::ops::Range;

/// The longest head that is read.
const HEAD_BYTES: usize = 16 * 1024;
/// The longest body that is read.
const BODY_BYTES: usize = 4 * 1024 * 1024;

/// One whole answer at the start of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub status: u16,
    /// Where in the buffer the body is. The next answer starts at its end.
    pub body: Range<usize>,
}

/// Why bytes are no answer that this reader takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    /// No `HTTP/1.x NNN` at the start.
    #[error("the answer does not start with an HTTP/1 status line")]
    NoStatusLine,
    /// The head does not end.
    #[error("the head of the answer is longer than {HEAD_BYTES} bytes")]
    HeadTooLong,
    /// No length, so that the end of the body cannot be told.
    #[error("the answer has no readable Content-Length")]
    NoLength,
    /// A length that no answer of a tracker has.
    #[error("the body of the answer is longer than {BODY_BYTES} bytes")]
    BodyTooLong,
}

/// The answer at the start of `bytes`, or `None` while some of it is missing.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Answer>, ResponseError> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let searched = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    let Some(head_bytes) = searched.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return if bytes.len() < HEAD_BYTES { Ok(None) } else { Err(ResponseError::HeadTooLong) };
    };
    let mut lines = searched.get(..head_bytes).unwrap_or_default().split(|byte| *byte == b'\n');
    let status = lines.next().and_then(status_code).ok_or(ResponseError::NoStatusLine)?;
    let length = lines.find_map(content_length).ok_or(ResponseError::NoLength)?;
    if length > BODY_BYTES {
        return Err(ResponseError::BodyTooLong);
    }
    let start = head_bytes + HEAD_END.len();
    let body = start..start + length;
    Ok((bytes.len() >= body.end).then_some(Answer { status, body }))
}

fn status_code(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    number(rest.get(..3)?)?.try_into().ok()
}

fn content_length(line: &[u8]) -> Option<usize> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    if name.eq_ignore_ascii_case(b"content-length") { number(value.get(1..)?.trim_ascii()) } else { None }
}

fn number(digits: &[u8]) -> Option<usize> {
    if digits.iter().all(u8::is_ascii_digit) { str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step fails the test")]

    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 4\r\n\r\nbodyNEXT";

    #[test]
    fn a_whole_answer_gives_its_status_and_where_its_body_is() {
        let answer = parse(ANSWER).unwrap().unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(&ANSWER[answer.body], b"body");
    }

    #[test]
    fn an_answer_is_awaited_until_its_last_byte() {
        let whole = ANSWER.len() - b"NEXT".len();
        for length in 0..whole {
            assert_eq!(parse(&ANSWER[..length]), Ok(None), "with {length} bytes");
        }
        assert!(parse(&ANSWER[..whole]).unwrap().is_some());
    }

    #[test]
    fn an_answer_without_body_ends_with_its_head() {
        let answer =
            parse(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").unwrap().unwrap();
        assert_eq!((answer.status, answer.body.len()), (503, 0));
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        assert_eq!(parse(b"SMTP ready\r\n\r\n"), Err(ResponseError::NoStatusLine));
        assert_eq!(parse(b"HTTP/1.1 2x0 OK\r\n\r\n"), Err(ResponseError::NoStatusLine));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\n"), Err(ResponseError::NoLength));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Err(ResponseError::NoLength));
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"),
            Err(ResponseError::BodyTooLong)
        );
        assert_eq!(parse(&vec![b'x'; HEAD_BYTES]), Err(ResponseError::HeadTooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer_within_them_or_none(bytes: Vec<u8>) {
            if let Ok(Some(answer)) = parse(&bytes) {
                prop_assert!(answer.body.end <= bytes.len());
            }
        }

        #[test]
        fn any_body_comes_back_whole(body: Vec<u8>, status in 100_u16..600) {
            let mut bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend_from_slice(&body);
            let answer = parse(&bytes).unwrap().unwrap();
            prop_assert_eq!(answer.status, status);
            prop_assert_eq!(&bytes[answer.body], &body[..]);
        }
    }
}
