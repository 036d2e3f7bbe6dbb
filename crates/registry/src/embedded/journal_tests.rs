#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot make its own sample has failed"
)]

use std::future::Future;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};

use super::*;

/// A disk that takes a group when it is told to, with what became of it.
struct Gate {
    began: Receiver<usize>,
    end: Sender<Result<(), fjall::Error>>,
}

fn gated() -> (Journal, Gate) {
    let (groups, began) = channel();
    let (end, ends) = channel();
    let journal = Journal::start(move |changes| {
        let _ = groups.send(changes.len());
        changes.clear();
        // Open for good once the test is over.
        ends.recv().unwrap_or(Ok(()))
    });
    (journal.unwrap(), Gate { began, end })
}

fn change() -> Change {
    Change::Forgotten(Vec::new())
}

async fn send(journal: &Journal) {
    journal.reserve(1).await.unwrap().next().unwrap().send(change());
}

impl Gate {
    fn wait_for_group(&self) -> usize {
        self.began.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

async fn wait_until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap();
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn is_slow<T>(result: &Result<T, RegistryError>) -> bool {
    matches!(result, Err(RegistryError::Unavailable(why)) if why.contains("keep up"))
}

#[tokio::test]
async fn a_write_waits_for_the_end_of_a_slow_group() {
    let (journal, gate) = gated();
    send(&journal).await;
    gate.wait_for_group();
    wait_until(|| journal.ready().is_err()).await;
    {
        let mut late = std::pin::pin!(journal.reserve(1));
        assert!(poll_once(late.as_mut()).is_pending(), "it is not refused, and not taken either");
        gate.end.send(Ok(())).unwrap();
        late.await.unwrap().next().unwrap().send(change());
    }
    assert_eq!(gate.wait_for_group(), 1);
    gate.end.send(Ok(())).unwrap();
}

#[tokio::test]
async fn a_write_is_refused_when_the_disk_stands_still_and_the_next_at_once() {
    let (journal, gate) = gated();
    send(&journal).await;
    gate.wait_for_group();
    wait_until(|| journal.ready().is_err()).await;
    assert!(is_slow(&journal.reserve(1).await));
    let at_once = || poll_once(std::pin::pin!(journal.reserve(1)));
    wait_until(|| at_once().is_ready()).await;
    assert!(matches!(at_once(), Poll::Ready(refused) if is_slow(&refused)));
    gate.end.send(Ok(())).unwrap();
    wait_until(|| journal.ready().is_ok()).await;
    send(&journal).await;
}

#[tokio::test]
async fn writes_wait_for_room_in_the_order_in_which_they_came() {
    let (journal, gate) = gated();
    send(&journal).await;
    gate.wait_for_group();
    for permit in journal.reserve(QUEUE).await.unwrap() {
        permit.send(change());
    }
    {
        let mut first = std::pin::pin!(journal.reserve(QUEUE));
        let mut second = std::pin::pin!(journal.reserve(1));
        assert!(poll_once(first.as_mut()).is_pending() && poll_once(second.as_mut()).is_pending());
        gate.end.send(Ok(())).unwrap();
        let room = first.await.unwrap();
        assert!(poll_once(second.as_mut()).is_pending(), "the first has all the room");
        drop(room);
        second.await.unwrap();
    }
    assert_eq!(gate.wait_for_group(), QUEUE, "all that waited go with one group");
}

#[tokio::test]
async fn whoever_waits_hears_that_the_disk_is_broken() {
    let (journal, gate) = gated();
    send(&journal).await;
    gate.wait_for_group();
    wait_until(|| journal.ready().is_err()).await;
    let mut late = std::pin::pin!(journal.reserve(1));
    assert!(poll_once(late.as_mut()).is_pending());
    gate.end.send(Err(fjall::Error::Io(std::io::Error::other("no disk")))).unwrap();
    assert!(matches!(late.await, Err(RegistryError::Broken(_))));
}
