//! The places of requests in a session, and the numbers of the migrator's questions.

/// The place of a request in its session, as a wrapping sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(u32);

impl Ticket {
    /// A ticket of those that do not belong to a session.
    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }
}
