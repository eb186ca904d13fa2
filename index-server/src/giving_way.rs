//! Work that gives way to those who wait for an answer.
//!
//! Publishing and filling the search index keep a processor busy for as long as there is something to do, and who
//! searches meanwhile waits for a slice of its time. So that work runs on threads of a lower priority, which get what
//! is left, and a tenth of a busy core at least. The threads that such a thread starts are like it (sched(7)): that is
//! how those of libraries come by it.

use std::io;

use tokio::sync::oneshot;

/// For nice(2), which on Linux is of one thread. The kernel gives a thread of 10 about a tenth of the time of one of 0
/// (`sched_prio_to_weight` in kernel/sched/core.c: 110 and 1024).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Does `work` on a thread of its own. Fails if there is no thread to be had, or if `work` panics.
pub(crate) async fn giving_way<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (answer, answered) = oneshot::channel();
    std::thread::Builder::new().name("giving-way".to_owned()).spawn(move || {
        give_way();
        // Whoever asked may have gone.
        let _ = answer.send(work());
    })?;
    answered.await.map_err(|_| io::Error::other("work in the background panicked"))
}

/// Elsewhere a priority is of a whole process.
fn give_way() {
    // A sandbox may forbid it. Then searches wait a little longer.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_and_what_it_starts_give_way_and_nobody_else_does() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let there = giving_way(move || (nice(), std::thread::spawn(nice).join().unwrap())).await.unwrap();
        // 19 is the lowest priority.
        let lower = (NICE + before).min(19);
        assert_eq!((there, nice()), ((lower, lower), before));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert!(giving_way(|| panic!("as planned")).await.is_err());
    }
}
