use std::net::SocketAddr;
use std::time::Duration;

use peer_core::datagram::v2::{Request, Tid};

use crate::machine::event::SocketId;
use crate::machine::outbox::Outbox;

/// The first wait for an answer, before any round trip was measured.
pub(in crate::machine) const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest wait for an answer.
const RETRY_MOST: Duration = Duration::from_secs(4);
/// Datagrams without an answer until the server counts as silent: with the waits between them, 7.75 seconds at first.
const TRIES_MAX: u32 = 5;
/// The same where another server can be asked instead: 1.75 seconds at first.
const TRIES_WITH_OTHERS_MAX: u32 = 3;
/// Leaves without an answer until the peer counts as gone.
const LEAVES_MAX: u32 = 3;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// For a token.
    Ask,
    /// With the token, at once.
    Prove,
    /// Again with the newest token.
    Keep,
    Leave,
}

impl Step {
    /// How often it is sent until it counts as unanswered.
    fn tries_max(self, has_others: bool) -> u32 {
        match self {
            Self::Ask | Self::Keep if has_others => TRIES_WITH_OTHERS_MAX,
            Self::Ask | Self::Keep => TRIES_MAX,
            // The server reads the round trip off the token's age: with a new one, it reads what is true.
            Self::Prove => 1,
            Self::Leave => LEAVES_MAX,
        }
    }
}

/// The request of a socket that is not answered, and how long its answer is waited for.
#[derive(Debug)]
pub(super) struct Asking {
    socket: SocketId,
    pending: Option<Pending>,
    /// How long an answer is waited for at first.
    patience: Duration,
}

#[derive(Debug)]
struct Pending {
    step: Step,
    request: Request,
    tid: Tid,
    first_sent: Duration,
    retry_at: Duration,
    tries: u32,
}

impl Asking {
    pub(super) fn new(socket: SocketId) -> Self {
        Self { socket, pending: None, patience: RETRY_FIRST }
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.step == Step::Leave)
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.pending.as_ref().map(|pending| pending.retry_at)
    }

    /// What is under way is not waited for any more.
    pub(super) fn give_up(&mut self) {
        self.pending = None;
    }

    /// Another server is asked, of which no round trip was measured.
    pub(super) fn move_on(&mut self) {
        self.patience = RETRY_FIRST;
    }

    /// No server that is known answers: the next one is waited for as long as can be.
    pub(super) fn be_patient(&mut self) {
        self.patience = RETRY_MOST;
    }

    /// Sends a request, in place of any that is under way.
    pub(super) fn send(
        &mut self,
        now: Duration,
        step: Step,
        tid: Tid,
        request: &Request,
        to: SocketAddr,
        out: &mut Outbox,
    ) {
        out.request(self.socket, to, request);
        let retry_at = now + self.patience;
        self.pending = Some(Pending { step, request: *request, tid, first_sent: now, retry_at, tries: 1 });
    }

    /// Sends again what is due. What was sent often enough is given up, and its step returned; sooner where there are other servers.
    pub(super) fn tick(
        &mut self,
        now: Duration,
        to: SocketAddr,
        has_others: bool,
        out: &mut Outbox,
    ) -> Option<Step> {
        let pending = self.pending.as_mut().filter(|pending| pending.retry_at <= now)?;
        if pending.tries < pending.step.tries_max(has_others) {
            pending.tries += 1;
            pending.retry_at = now + self.patience.saturating_mul(1 << (pending.tries - 1)).min(RETRY_MOST);
            out.request(self.socket, to, &pending.request);
            return None;
        }
        let step = pending.step;
        self.pending = None;
        match step {
            Step::Ask | Step::Keep => self.patience = RETRY_MOST,
            Step::Prove => self.patience = (self.patience * 2).min(RETRY_MOST),
            Step::Leave => {}
        }
        Some(step)
    }

    /// Takes the request that an answer with this transaction id is for.
    pub(super) fn answered(&mut self, now: Duration, tid: Tid) -> Option<Step> {
        self.take(now, |pending| pending.tid == tid)
    }

    /// The same of an answer that names no request; a leave has none from a server that gives such.
    pub(super) fn answered_by_legacy(&mut self, now: Duration) -> Option<Step> {
        self.take(now, |pending| pending.step != Step::Leave)
    }

    /// Takes a leave that is confirmed.
    pub(super) fn left(&mut self, tid: Tid) -> bool {
        self.pending.take_if(|pending| pending.tid == tid && pending.step == Step::Leave).is_some()
    }

    fn take(&mut self, now: Duration, answered: impl FnOnce(&Pending) -> bool) -> Option<Step> {
        let pending = self.pending.take_if(|pending| answered(pending))?;
        // Of a request that was repeated the round trip is at most this, which is long enough.
        self.patience = (2 * now.saturating_sub(pending.first_sent)).clamp(RETRY_FIRST, RETRY_MOST);
        Some(pending.step)
    }
}
