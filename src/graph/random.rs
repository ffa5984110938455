//! stub
/// stub
pub fn stream(_n: &str) -> u32 {
    0
}
