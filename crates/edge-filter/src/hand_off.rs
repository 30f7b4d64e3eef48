//! Work that whoever is at it already takes over, so that no thread waits for another.

#[cfg(not(all(test, loom)))]
use std::sync::atomic::{Ordering, fence};

#[cfg(all(test, loom))]
use loom::sync::atomic::{Ordering, fence};

/// Look whether anything `waits`, and `work` it off, at most `most` pieces. `work` gets how many are left of
/// those; it answers how many it did, or `None` where another thread is at work.
///
/// Whoever worked looks again after giving its lock up. A piece is left before its thread tries the lock, so one
/// of two things is seen: by the worker the piece, or by its thread the free lock. The fences order the two looks
/// (store buffering, C11 section 7.17.4). Only a worker that has done `most` pieces leaves others behind, so that
/// no thread works for all the others without end.
///
/// An edit is a worker too: it holds the same lock, for as long as it likes, takes no piece, and works off what waits
/// once it has given the lock up.
pub(crate) fn work_off(most: usize, waits: impl Fn() -> bool, mut work: impl FnMut(usize) -> Option<usize>) {
    let mut left = most;
    while left > 0 {
        fence(Ordering::SeqCst);
        if !waits() {
            return;
        }
        let Some(done) = work(left) else { return };
        left = left.saturating_sub(done);
    }
}

/// All orders of two and three threads: see `make loom`.
#[cfg(all(test, loom))]
mod tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicUsize};

    use super::*;

    /// What the filter has a queue, a lock and rules for, with no order but that of the lock.
    #[derive(Default)]
    struct Desk {
        waiting: AtomicUsize,
        is_held: AtomicBool,
        done: AtomicUsize,
    }

    impl Desk {
        fn waits(&self) -> bool {
            self.waiting.load(Ordering::Relaxed) > 0
        }

        /// An edit: the lock is held, and no piece is taken.
        fn edit(&self) {
            if self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                self.is_held.store(false, Ordering::Release);
            }
        }

        fn work(&self, most: usize) -> Option<usize> {
            self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
            let taken = self.waiting.load(Ordering::Relaxed).min(most);
            self.waiting.fetch_sub(taken, Ordering::Relaxed);
            self.done.fetch_add(taken, Ordering::Relaxed);
            self.is_held.store(false, Ordering::Release);
            Some(taken)
        }
    }

    /// Each thread leaves one piece and then does as told; whether all pieces are done when all threads are.
    fn all_is_done(threads: usize, then: fn(&Desk)) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let desk = Arc::new(Desk::default());
            let submit = |desk: Arc<Desk>| {
                move || {
                    desk.waiting.fetch_add(1, Ordering::Relaxed);
                    then(&desk);
                }
            };
            let others: Vec<_> = (1..threads).map(|_| loom::thread::spawn(submit(desk.clone()))).collect();
            submit(desk.clone())();
            others.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(
                (desk.waiting.load(Ordering::Relaxed), desk.done.load(Ordering::Relaxed)),
                (0, threads)
            );
        });
    }

    #[test]
    fn nothing_is_left_when_all_threads_are_done() {
        for threads in [2, 3] {
            all_is_done(threads, |desk| work_off(100, || desk.waits(), |most| desk.work(most)));
        }
    }

    #[test]
    fn nothing_is_left_after_an_edit() {
        all_is_done(2, |desk| {
            desk.edit();
            work_off(100, || desk.waits(), |most| desk.work(most));
        });
    }

    #[test]
    #[should_panic(expected = "assertion `left == right` failed")]
    fn an_edit_that_does_not_look_at_the_desk_leaves_a_piece() {
        all_is_done(2, |desk| {
            work_off(100, || desk.waits(), |most| desk.work(most));
            desk.edit();
        });
    }

    #[test]
    #[should_panic(expected = "assertion `left == right` failed")]
    fn without_the_second_look_a_piece_is_left() {
        all_is_done(2, |desk| {
            fence(Ordering::SeqCst);
            desk.work(100);
        });
    }

    #[test]
    #[should_panic(expected = "assertion `left == right` failed")]
    fn without_the_fences_a_piece_is_left() {
        all_is_done(2, |desk| while desk.waits() && desk.work(100).is_some() {});
    }
}
