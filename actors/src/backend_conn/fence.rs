//! A fence: tells when everything that was sent before it has been answered.
//!
//! A router that must know that no request of a slot is in flight any more puts one token of a
//! fence behind the last request of every connection that may have some. The token travels through
//! the connection's queues in order and is dropped when it comes to the front. When the last token
//! is gone, the fence has fallen. A connection that has nothing in flight, or ends, drops its token
//! at once, which is right: nothing of it can be in flight.

use std::sync::Arc;

use tokio::sync::oneshot;

/// A token; the fence falls when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct FenceToken(#[expect(dead_code, reason = "held for its drop")] Arc<Fence>);

/// Resolves when the fence has fallen.
pub(crate) type Fallen = oneshot::Receiver<()>;

#[derive(Debug)]
struct Fence(Option<oneshot::Sender<()>>);

impl FenceToken {
    /// A new fence with one token.
    pub(crate) fn new() -> (Self, Fallen) {
        let (sender, fallen) = oneshot::channel();
        (Self(Arc::new(Fence(Some(sender)))), fallen)
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // Nobody listens any more when the round was given up.
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_falls_with_its_last_token() {
        let (token, mut fallen) = FenceToken::new();
        let other = token.clone();
        drop(token);
        assert!(fallen.try_recv().is_err());
        drop(other);
        assert!(fallen.try_recv().is_ok());
    }
}
