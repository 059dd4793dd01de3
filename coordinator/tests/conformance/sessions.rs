//! The rules of sessions and deadlines.

use std::time::Duration;

use coordinator::Access;
use coordinator::CoordinatorError;
use coordinator::Lifetime;
use coordinator::SessionState;
use coordinator::Timeouts;
use tokio::time::Instant;

use super::CALM;
use super::World;
use super::nodes::gone;
use super::path;
use super::soon;

/// A session that does not outlive a silence for long.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    call: Duration::from_secs(1),
    session: Duration::from_secs(4),
};

/// Calls that end long before the session.
const HASTY: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    call: Duration::from_secs(1),
    session: Duration::from_secs(10),
};

/// All of them.
pub(super) async fn check(world: &impl World) {
    a_session_that_is_closed_is_over(world).await;
    calls_and_watches_outlive_a_short_silence(world).await;
    our_own_clock_ends_a_session_in_time(world).await;
}

async fn a_session_that_is_closed_is_over(world: &impl World) {
    let client = world.connect(CALM).await;
    let mut events = client.session();
    assert_eq!(events.state(), SessionState::Connected);
    let node = path("/closed");
    let (_, watch) = client.watch(&node).await.unwrap();
    client.close().await.unwrap();
    assert_eq!(events.over().await, SessionState::Closed);
    assert_eq!(events.changed().await, SessionState::Closed);
    assert_eq!(watch.changed().await, Err(CoordinatorError::SessionOver));
    assert_eq!(client.read(&node).await, Err(CoordinatorError::SessionOver));
    client.close().await.unwrap();
}

async fn calls_and_watches_outlive_a_short_silence(world: &impl World) {
    let (client, other) = (world.connect(HASTY).await, world.connect(CALM).await);
    let (node, later) = (path("/silence"), path("/silence-later"));
    client.create(&node, "1", Lifetime::Session, Access::File).await.unwrap();
    let (_, watch) = client.watch(&later).await.unwrap();

    world.freeze();
    let asked = Instant::now();
    let error = client.read(&node).await.unwrap_err();
    let waited = asked.elapsed();
    assert!(error.is_passing(), "{error}");
    assert!(error.to_string().contains("/silence"), "{error}");
    assert!(waited < HASTY.call + Duration::from_secs(1), "{waited:?}");
    world.thaw();

    let read = async {
        loop {
            match client.read(&node).await {
                Ok(read) => return read,
                Err(error) => assert!(error.is_passing(), "{error}"),
            }
        }
    };
    let read = soon("answers after the silence", read).await.unwrap();
    assert!(read.stat.is_ours, "the session is the same");
    assert_eq!(client.session().state(), SessionState::Connected);
    other.create(&later, "", Lifetime::Session, Access::File).await.unwrap();
    soon("the watch is still there", watch.changed()).await.unwrap();
}

async fn our_own_clock_ends_a_session_in_time(world: &impl World) {
    let client = world.connect(SHORT).await;
    let node = path("/expiring");
    client.create(&node, "1", Lifetime::Session, Access::File).await.unwrap();
    let (_, watch) = client.watch(&node).await.unwrap();
    let mut events = client.session();
    client.read(&node).await.unwrap();

    world.freeze();
    let frozen = Instant::now();
    let state = soon("silence is noticed", events.changed()).await;
    assert_eq!(state, SessionState::Disconnected);
    let state = soon("a session without contact ends", events.over()).await;
    let waited = frozen.elapsed();
    assert_eq!(state, SessionState::Expired);
    // ZooKeeper's library would need 7/5 of the session's timeout.
    assert!(waited <= SHORT.session + Duration::from_secs(1), "too late: {waited:?}");
    assert!(waited >= SHORT.session / 2, "too early: {waited:?}");
    assert_eq!(client.read(&node).await, Err(CoordinatorError::SessionOver));
    assert_eq!(watch.changed().await, Err(CoordinatorError::SessionOver));
    world.thaw();

    let other = world.connect(CALM).await;
    soon("what it owned is gone", gone(other.as_ref(), &node)).await;
    assert_eq!(client.session().state(), SessionState::Expired, "and it does not come back");
    assert_eq!(client.read(&node).await, Err(CoordinatorError::SessionOver));
}
