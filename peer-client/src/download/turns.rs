//! So many at once: the highest priority first, and among equals who asked first.
//!
//! A priority counts as it is when a turn becomes free, not as it was when somebody asked. Who has a turn keeps it:
//! what is nearly done is worth more done than put off. Who has one and does nothing with it looks whether
//! [others want it](Turns::are_wanted).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::priority::Priority;

/// A handle on the turns of one kind of work. Clones share them.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    asked: u64,
    /// As many as there are downloads; by the order in which they asked.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    priority: Box<dyn Fn() -> Priority + Send>,
    waker: oneshot::Sender<Turn>,
}

/// Given back when it is dropped.
pub struct Turn(Turns);

impl Turns {
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: at_once, asked: 0, waiting: BTreeMap::new() })))
    }

    /// Waits for a turn; `priority` says what it is by now.
    pub async fn take(&self, priority: impl Fn() -> Priority + Send + 'static) -> Turn {
        let (waker, turn) = oneshot::channel();
        {
            let mut state = self.state();
            let number = state.asked;
            state.asked += 1;
            state.waiting.insert(number, Waiting { priority: Box::new(priority), waker });
        }
        self.hand_out();
        match turn.await {
            Ok(turn) => turn,
            // Never: whoever waits is dropped only after its receiver.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether anybody waits for a turn now.
    pub fn are_wanted(&self) -> bool {
        self.state().waiting.values().any(|waiting| !waiting.waker.is_closed())
    }

    fn hand_out(&self) {
        while let Some(waker) = self.next() {
            // One that has gone away gives its turn back.
            let _ = waker.send(Turn(self.clone()));
        }
    }

    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut state = self.state();
        state.waiting.retain(|_, waiting| !waiting.waker.is_closed());
        if state.free == 0 {
            return None;
        }
        let first =
            state.waiting.iter().max_by_key(|(number, waiting)| ((waiting.priority)(), std::cmp::Reverse(**number)));
        let number = *first?.0;
        let next = state.waiting.remove(&number)?;
        state.free -= 1;
        Some(next.waker)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state().free += 1;
        self.0.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;

    fn ask(turns: &Turns, priority: Priority) -> BoxFuture<'static, Turn> {
        ask_with(turns, move || priority)
    }

    /// Has asked already.
    fn ask_with(turns: &Turns, priority: impl Fn() -> Priority + Send + 'static) -> BoxFuture<'static, Turn> {
        let turns = turns.clone();
        let mut asked = async move { turns.take(priority).await }.boxed();
        assert!(asked.as_mut().now_or_never().is_none(), "there was a turn at once");
        asked
    }

    #[test]
    fn the_highest_priority_comes_first_and_then_who_asked_first() {
        let turns = Turns::new(1);
        let first = turns.take(|| Priority::Low).now_or_never().unwrap();
        let [mut low, mut normal, mut later, mut high] =
            [Priority::Low, Priority::Normal, Priority::Normal, Priority::High].map(|priority| ask(&turns, priority));
        drop(first);
        for next in [&mut high, &mut normal, &mut later, &mut low] {
            drop(next.now_or_never().expect("its turn"));
        }
    }

    #[test]
    fn a_priority_counts_as_it_is_when_a_turn_is_free() {
        let turns = Turns::new(1);
        let first = turns.take(|| Priority::Normal).now_or_never().unwrap();
        let normal = ask(&turns, Priority::Normal);
        let is_urgent = Arc::new(AtomicBool::new(false));
        let urgent = Arc::clone(&is_urgent);
        let changing =
            ask_with(&turns, move || if urgent.load(Ordering::Relaxed) { Priority::High } else { Priority::Low });
        is_urgent.store(true, Ordering::Relaxed);
        drop(first);
        let turn = changing.now_or_never().expect("its turn");
        assert!(normal.now_or_never().is_none());
        drop(turn);
    }

    #[test]
    fn who_gives_up_leaves_its_turn_to_the_others() {
        let turns = Turns::new(1);
        let first = turns.take(|| Priority::Normal).now_or_never().unwrap();
        let (before, after) = (ask(&turns, Priority::High), ask(&turns, Priority::Normal));
        let given = ask(&turns, Priority::High);
        drop(before);
        drop(first);
        // It was given a turn and never looked.
        drop(given);
        assert!(after.now_or_never().is_some());
    }
}
