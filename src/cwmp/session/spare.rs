//! The memory of a message that was sent, for the next one.

use super::Session;

/// The most bytes of memory that are kept: a value of the whole tree needs more, and the session may go on for minutes.
const MAX_SPARE: usize = 128 << 10;

impl Session {
    /// Takes back a message that was sent. The allocator of musl asks the kernel for the memory of each large one, and for
    /// that of each step of its growth, and gives it back at once.
    pub fn recycle(&mut self, message: Vec<u8>) {
        if (self.spare.capacity()..=MAX_SPARE).contains(&message.capacity()) {
            self.spare = message;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::testing::Scenario;

    #[test]
    fn the_largest_message_within_the_bound_is_kept() {
        let mut session = Scenario::past_inform().session.expect("a session");
        for (sent, kept) in
            [(10_000, 10_000), (0, 10_000), (MAX_SPARE, MAX_SPARE), (MAX_SPARE + 1, MAX_SPARE), (200, MAX_SPARE)]
        {
            session.recycle(Vec::with_capacity(sent));
            assert_eq!(session.spare.capacity(), kept);
        }
    }
}
