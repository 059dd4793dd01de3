use tokio::sync::Notify;

use super::*;
use crate::Access;
use crate::Lifetime;
use crate::SessionState;
use crate::follow;

fn path(text: &str) -> NodePath {
    NodePath::new(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_server_ends_is_over_with_the_next_beat() {
    let store = MemoryStore::new();
    let memory = store.connect(Timeouts::default());
    let node = path("/owned");
    let client: &dyn Coordinator = &memory;
    client.create(&node, "", Lifetime::Session, Access::File).await.unwrap();
    let (_, watch) = client.watch(&node).await.unwrap();
    store.expire(&memory);
    assert_eq!(memory.session().over().await, SessionState::Expired);
    assert_eq!(watch.changed().await, Err(CoordinatorError::SessionOver));
    let other = store.connect(Timeouts::default());
    assert_eq!(other.read(&node).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_for_too_long_loses_its_nodes() {
    let store = MemoryStore::new();
    let owner = store.connect(Timeouts::default());
    let node = path("/owned");
    let client: &dyn Coordinator = &owner;
    client.create(&node, "", Lifetime::Session, Access::File).await.unwrap();
    store.freeze();
    let before = Instant::now();
    assert_eq!(owner.session().over().await, SessionState::Expired);
    assert!(before.elapsed() <= Timeouts::default().session);
    store.thaw();
    let other = store.connect(Timeouts::default());
    assert_eq!(other.read(&node).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn following_goes_on_after_a_silence_and_ends_with_the_session() {
    let store = MemoryStore::new();
    let timeouts = Timeouts { session: Duration::from_secs(60), ..Timeouts::default() };
    let (reader, writer) = (store.connect(timeouts), store.connect(timeouts));
    let node = path("/followed");
    let (mut silences, done) = (0, Notify::new());
    let apply = |read: Result<Option<Node>, CoordinatorError>| match read {
        Ok(Some(node)) => {
            assert_eq!(node.data, b"1");
            done.notify_one();
        }
        Ok(None) => {}
        Err(error) => {
            assert!(error.is_passing(), "{error}");
            silences += 1;
            store.thaw();
        }
    };
    store.freeze();
    let writer: &dyn Coordinator = &writer;
    let write = async {
        // Answered as soon as the reader has noticed the silence.
        while writer.create(&node, "1", Lifetime::Persistent, Access::File).await.is_err() {}
        done.notified().await;
        reader.close().await.unwrap();
    };
    let (end, ()) = tokio::join!(follow(&reader, &node, apply), write);
    assert_eq!(end, CoordinatorError::SessionOver);
    assert_eq!(silences, 1);
}
