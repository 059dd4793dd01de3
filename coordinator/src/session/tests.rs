use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::*;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    call: Duration::from_secs(1),
    session: Duration::from_secs(9),
};

fn silence() -> CoordinatorError {
    let (path, cause) = (NodePath::root(), "test".to_owned());
    CoordinatorError::Interrupted { action: "read", path, cause }
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_as_long_as_its_beats_are_answered() {
    let began = Instant::now();
    let session = Arc::new(Session::new(TIMEOUTS, began));
    let is_there = Arc::new(AtomicBool::new(true));
    let (kept, seen) = (Arc::clone(&session), Arc::clone(&is_there));
    let _keeper = OwnedTask::spawn(async move {
        kept.keep(|| {
            let is_there = seen.load(Ordering::Relaxed);
            async move { if is_there { Ok(()) } else { Err(silence()) } }
        })
        .await;
    });
    let mut events = session.events();
    let later = tokio::time::timeout(Duration::from_secs(100), events.over()).await;
    assert!(later.is_err(), "{later:?}");

    let silent_from = Instant::now();
    is_there.store(false, Ordering::Relaxed);
    assert_eq!(events.changed().await, SessionState::Disconnected);
    assert_eq!(events.changed().await, SessionState::Expired);
    let lasted = silent_from.elapsed();
    // From the last beat that was answered, of which there is one every three seconds.
    assert!(lasted <= TIMEOUTS.session, "{lasted:?}");
    assert!(lasted >= TIMEOUTS.session - Duration::from_secs(3), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn contact_that_comes_back_in_time_is_noticed() {
    let session = Session::new(TIMEOUTS, Instant::now());
    let began = Instant::now();
    let beat = || async move {
        let is_away = began.elapsed() > Duration::from_secs(4);
        let is_back = began.elapsed() > Duration::from_secs(8);
        if is_away && !is_back { Err(silence()) } else { Ok(()) }
    };
    let mut events = session.events();
    let watch = async {
        assert_eq!(events.changed().await, SessionState::Disconnected);
        assert_eq!(events.changed().await, SessionState::Connected);
    };
    tokio::select! {
        () = session.keep(beat) => panic!("the session is over"),
        () = watch => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_time_limit() {
    let session = Session::new(TIMEOUTS, Instant::now());
    let path = NodePath::new("/x").unwrap();
    let endless = std::future::pending::<Result<(), _>>();
    let error = session.call("read", &path, endless).await.unwrap_err();
    let expected = "no answer from the coordinator within 1s to read node `/x`; whether a change \
                    was made is unknown, read the node again";
    assert_eq!(error.to_string(), expected);
    assert!(error.is_passing());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_final_and_ends_its_calls() {
    let session = Session::new(TIMEOUTS, Instant::now());
    let path = NodePath::root();
    let endless = std::future::pending::<Result<(), _>>();
    let end = async {
        session.end(SessionState::Closed);
        session.contact(Instant::now());
        session.lose_contact();
        session.end(SessionState::Expired);
    };
    let (call, ()) = tokio::join!(session.call("read", &path, endless), end);
    assert_eq!(call, Err(CoordinatorError::SessionOver));
    assert_eq!(session.events().state(), SessionState::Closed);
    let after = session.call("read", &path, async { Ok(()) }).await;
    assert_eq!(after, Err(CoordinatorError::SessionOver));
    // There is no session to keep any more.
    session.keep(|| async { Ok(()) }).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_contact_even_when_it_is_no() {
    let session = Session::new(TIMEOUTS, Instant::now());
    session.lose_contact();
    let path = NodePath::root();
    let no = async { Err::<(), _>(CoordinatorError::NoNode { path: NodePath::root() }) };
    session.call("read", &path, no).await.unwrap_err();
    assert_eq!(session.events().state(), SessionState::Connected);
    session.lose_contact();
    session.call("read", &path, async { Err::<(), _>(silence()) }).await.unwrap_err();
    assert_eq!(session.events().state(), SessionState::Disconnected);
}
