//! Work that gives way to those who wait for an answer.
//!
//! Publishing and filling the search index keep a processor busy for as long as there is something to do, and who
//! searches meanwhile waits for a slice of its time. So that work runs on threads of a lower priority, which get what
//! is left, and a tenth of a busy core at least. The threads that such a thread starts are like it (sched(7)): that is
//! how those of libraries come by it.
//!
//! They are threads of a tokio runtime of their own, for there is work of both kinds: some waits, such as the task that
//! writes the catalogue, and some does not.

use std::io;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// For nice(2), which on Linux is of one thread. The kernel gives a thread of 10 about a tenth of the time of one of 0
/// (`sched_prio_to_weight` in kernel/sched/core.c: 110 and 1024).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Of the whole program, and never stopped: what runs here is waited for by those who began it.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut threads = Builder::new_multi_thread();
    threads.thread_name("giving-way").on_thread_start(give_way).enable_all();
    threads.build().inspect_err(|error| tracing::warn!(%error, "nothing gives way: there are no threads for it")).ok()
});

/// Where tasks give way.
pub(crate) fn tasks() -> Handle {
    THREADS.as_ref().map_or_else(Handle::current, |threads| threads.handle().clone())
}

/// Does `work`, which may take long and does not wait for other tasks. Fails if it panics.
pub(crate) async fn giving_way<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    Ok(tasks().spawn_blocking(work).await?)
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
        assert_eq!(tasks().spawn(async move { nice() }).await.unwrap(), lower);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert!(giving_way(|| panic!("as planned")).await.is_err());
    }
}
