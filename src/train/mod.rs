//! (room)

#[cfg(feature = "cli")]
pub mod picture;
