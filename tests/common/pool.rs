//! Things that tests of a process share, though never two at the same time.

use std::sync::{Mutex, PoisonError};

/// As many as there were threads that asked at the same time.
pub struct Pool<T: 'static>(Mutex<Vec<&'static T>>);

impl<T> Pool<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One that nobody has, or a new one; given back when the lease is dropped.
    pub fn lease(&'static self, open: impl FnOnce() -> T) -> Lease<T> {
        // The lock is not held while one is opened.
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lease { pool: self, thing: free.unwrap_or_else(|| Box::leak(Box::new(open()))) }
    }
}

/// Kept in a `thread_local!`, it lasts as long as a test.
pub struct Lease<T: 'static> {
    pool: &'static Pool<T>,
    pub thing: &'static T,
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.thing);
    }
}
