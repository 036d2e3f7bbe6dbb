use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Things that came in, for whoever takes them, first in, first out. When it is full, what comes is dropped and counted, as
/// a socket's buffer does.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    most: usize,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    wakers: Vec<Waker>,
    ended: bool,
}

impl<T> Queue<T> {
    /// With room for `most`.
    pub(crate) fn new(most: usize) -> Self {
        let state = State { items: VecDeque::new(), wakers: Vec::new(), ended: false };
        Self { state: Mutex::new(state), most, dropped: AtomicU64::new(0) }
    }

    /// Appends one. False where there is no room for it.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut state = self.state.lock();
        if state.ended || state.items.len() >= self.most {
            drop(state);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        state.items.push_back(item);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// Nothing comes any more.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The next one; `None` when nothing is left and nothing comes.
    pub(crate) fn poll_take(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.state.lock();
        if let Some(item) = state.items.pop_front() {
            return Poll::Ready(Some(item));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// The next one; `None` when nothing is left and nothing comes.
    pub(crate) async fn take(&self) -> Option<T> {
        std::future::poll_fn(|context| self.poll_take(context)).await
    }

    /// How many came while it was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_no_room_is_dropped_and_counted_and_the_rest_comes_in_order() {
        let queue = Queue::new(2);
        assert_eq!([1, 2, 3].map(|item| queue.push(item)), [true, true, false]);
        assert_eq!((queue.take().await, queue.take().await, queue.dropped()), (Some(1), Some(2), 1));
        queue.end();
        assert_eq!((queue.push(4), queue.take().await), (false, None));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let queue = std::sync::Arc::new(Queue::new(2));
        let waiting = tokio::spawn({
            let queue = std::sync::Arc::clone(&queue);
            async move { queue.take().await }
        });
        tokio::task::yield_now().await;
        queue.push(1);
        assert_eq!(waiting.await.ok(), Some(Some(1)));
    }
}
