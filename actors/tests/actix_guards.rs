//! Guards: the facts of actix that the actors rely on and that its documents do not promise.
//!
//! An upgrade of actix that fails one of these tests breaks the proxy in the way that the test's
//! comment says; look there before anything else. Nothing of the proxy is used here.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(10);

/// What happened, in order.
type Journal = Rc<RefCell<Vec<String>>>;

#[derive(Message)]
#[rtype(result = "()")]
struct Note(String);

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

/// Runs a future in an actix system of its own, within the deadline.
fn run(test: impl Future<Output = ()>) {
    let outcome = System::new().block_on(async { tokio::time::timeout(DEADLINE, test).await });
    outcome.expect("done within the deadline");
}

fn note(text: &str) -> Note {
    Note(text.to_owned())
}

/// Sends as the actors of the data path do.
#[expect(clippy::disallowed_methods, reason = "BOUND: a handful of messages per test")]
fn send<A, M>(to: &Addr<A>, message: M)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    to.do_send(message);
}

/// Writes down its messages and, with a pump, its turns. Ends its test at the last message.
struct Clerk {
    journal: Journal,
    has_pump: bool,
    done: Option<(&'static str, oneshot::Sender<()>)>,
    stopped: Option<oneshot::Sender<()>>,
}

impl Clerk {
    fn new(journal: &Journal) -> Self {
        Self { journal: Rc::clone(journal), has_pump: false, done: None, stopped: None }
    }

    /// Tells when a note with this text has come, and the turn in which it came is over.
    fn until(mut self, last: &'static str) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        self.done = Some((last, sender));
        (self, receiver)
    }
}

impl Actor for Clerk {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.has_pump {
            ctx.spawn(Pump);
        }
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        self.journal.borrow_mut().push("stopped".to_owned());
        if let Some(stopped) = self.stopped.take() {
            let _ = stopped.send(());
        }
    }
}

impl Handler<Note> for Clerk {
    type Result = ();

    fn handle(&mut self, note: Note, _ctx: &mut Self::Context) {
        if let Some((_, done)) = self.done.take_if(|(last, _)| *last == note.0) {
            let _ = done.send(());
        }
        self.journal.borrow_mut().push(note.0);
    }
}

impl Handler<Stop> for Clerk {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// An item that never ends, as those of the session and the backend connection.
struct Pump;

impl ActorFuture<Clerk> for Pump {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        clerk: &mut Clerk,
        _ctx: &mut Context<Clerk>,
        _cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        clerk.journal.borrow_mut().push("pump".to_owned());
        Poll::Pending
    }
}

/// Fact: on one wake an actor handles every message in its mailbox, and only then polls what it
/// has spawned.
///
/// Session and backend connection flush in their pump what the handlers before it have appended,
/// so all replies that came go out in one write. Were the pump polled after each message, every
/// reply would be a write of its own; were it not polled after messages at all, replies would stay
/// in the buffer until the socket happens to wake the session.
#[test]
fn the_mailbox_is_emptied_before_the_pump_is_polled() {
    run(async {
        let journal = Journal::default();
        let mut clerk = Clerk::new(&journal);
        clerk.has_pump = true;
        let (clerk, done) = clerk.until("third");
        let clerk = clerk.start();
        // The actor has started, and its pump ran, when this is answered.
        clerk.send(note("settled")).await.unwrap();
        journal.borrow_mut().clear();
        for text in ["first", "second", "third"] {
            send(&clerk, note(text));
        }
        done.await.unwrap();
        assert_eq!(*journal.borrow(), ["first", "second", "third", "pump"]);
    });
}

/// Fact: `do_send` queues whatever the mailbox's capacity says, and everything queued is handled.
///
/// The data path sends with `do_send` alone and bounds its messages by the sessions' windows. Were
/// messages dropped or refused at the capacity (16 by default), requests would stay without reply.
#[test]
fn do_send_delivers_everything_beyond_the_capacity() {
    const MESSAGES: usize = 10_000;
    run(async {
        let journal = Journal::default();
        let (clerk, done) = Clerk::new(&journal).until("last");
        let clerk = clerk.start();
        for number in 1..MESSAGES {
            send(&clerk, Note(number.to_string()));
        }
        send(&clerk, note("last"));
        done.await.unwrap();
        let expected = (1..MESSAGES).map(|number| number.to_string()).chain(["last".to_owned()]);
        assert!(journal.borrow().iter().cloned().eq(expected));
    });
}

/// Stands for the router: tells the first of two actors something, then makes the second one
/// answer it.
struct Splitter {
    first: Addr<Clerk>,
    second: Addr<Answerer>,
}

impl Actor for Splitter {
    type Context = Context<Self>;
}

impl Handler<Note> for Splitter {
    type Result = ();

    fn handle(&mut self, asked: Note, _ctx: &mut Self::Context) {
        send(&self.first, Note(format!("plan {}", asked.0)));
        send(&self.second, asked);
    }
}

/// Stands for a backend connection: answers to the first actor.
struct Answerer {
    to: Addr<Clerk>,
}

impl Actor for Answerer {
    type Context = Context<Self>;
}

impl Handler<Note> for Answerer {
    type Result = ();

    fn handle(&mut self, asked: Note, _ctx: &mut Self::Context) {
        send(&self.to, Note(format!("answer {}", asked.0)));
    }
}

/// Fact: messages of one sender to one receiver are handled in the order of sending, also when
/// the receiver is busy, and also through another clone of its address.
///
/// The order of a client's requests on a backend connection is the order of the `ForwardBatch`es.
/// Were two of them swapped, a client would read before its own write.
#[test]
fn messages_of_one_sender_arrive_in_order() {
    run(async {
        let journal = Journal::default();
        let (clerk, done) = Clerk::new(&journal).until("99");
        let clerk = clerk.start();
        let other = clerk.clone();
        for number in 0..100 {
            send(if number % 3 == 0 { &other } else { &clerk }, Note(number.to_string()));
        }
        done.await.unwrap();
        assert!(journal.borrow().iter().cloned().eq((0..100).map(|number| number.to_string())));
    });
}

/// Fact: when A tells S something before it tells B, then S handles it before anything that B
/// tells S because of it, whichever of them was started or woken first.
///
/// The router sends `FanOutPlanned` to the session before it sends the parts to the backends. Were
/// a `ReplyBatch` handled first, the reply of one part would go to the client as the whole one.
#[test]
fn what_is_told_first_is_handled_before_what_follows_from_it() {
    for is_answerer_woken_first in [false, true] {
        run(async move {
            let journal = Journal::default();
            let (clerk, done) = Clerk::new(&journal).until("answer 9");
            let clerk = clerk.start();
            let answerer = Answerer { to: clerk.clone() }.start();
            let splitter = Splitter { first: clerk.clone(), second: answerer.clone() }.start();
            clerk.send(note("settled")).await.unwrap();
            journal.borrow_mut().clear();
            if is_answerer_woken_first {
                send(&answerer, note("early"));
            }
            for number in 0..10 {
                send(&splitter, Note(number.to_string()));
            }
            done.await.unwrap();
            for number in 0..10 {
                let place = |what: &str| {
                    let wanted = format!("{what} {number}");
                    journal.borrow().iter().position(|text| *text == wanted).unwrap()
                };
                assert!(place("plan") < place("answer"), "{:?}", journal.borrow());
            }
        });
    }
}

/// Fact: an actor with a pending item lives on when nobody has its address; `ctx.stop` ends it and
/// runs `stopped`.
///
/// The pump alone keeps a session alive: the supervisor's address of it is for orders only. Were
/// the actor ended with its last address, clients would be cut off. Were `stopped` not run, the
/// supervisor would not get `SessionEnded`, and a shutdown would wait for ever.
#[test]
fn a_pump_keeps_an_actor_alive_until_it_is_stopped() {
    run(async {
        let journal = Journal::default();
        let mut clerk = Clerk::new(&journal);
        clerk.has_pump = true;
        let (stopped, mut is_stopped) = oneshot::channel();
        clerk.stopped = Some(stopped);
        let clerk = clerk.start();
        clerk.send(note("settled")).await.unwrap();
        let weak = clerk.downgrade();
        drop(clerk);
        // The actor's task was woken by the loss of its last address; others get their turns.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(is_stopped.try_recv().is_err(), "{:?}", journal.borrow());
        let clerk = weak.upgrade().expect("the mailbox is still there");
        send(&clerk, Stop);
        is_stopped.await.unwrap();
        assert_eq!(journal.borrow().last().map(String::as_str), Some("stopped"));
        assert!(!clerk.connected());
    });
}

/// Fact: without an address and without an item an actor ends by itself.
///
/// The counterpart of the test above: it shows that there the pump is what makes the difference.
#[test]
fn an_actor_without_pump_ends_with_its_last_address() {
    run(async {
        let journal = Journal::default();
        let mut clerk = Clerk::new(&journal);
        let (stopped, is_stopped) = oneshot::channel();
        clerk.stopped = Some(stopped);
        drop(clerk.start());
        is_stopped.await.unwrap();
    });
}

/// Fact: `stopped` runs also while the actor's own turn is not over, and nothing is handled after
/// it: messages behind the one that stopped the actor are dropped.
///
/// A session that is closed in the middle of its mailbox must not touch its window again.
#[test]
fn nothing_is_handled_after_a_stop() {
    run(async {
        let journal = Journal::default();
        let mut clerk = Clerk::new(&journal);
        let (stopped, is_stopped) = oneshot::channel();
        clerk.stopped = Some(stopped);
        clerk.has_pump = true;
        let clerk = clerk.start();
        clerk.send(note("settled")).await.unwrap();
        journal.borrow_mut().clear();
        let is_late = Rc::new(Cell::new(false));
        send(&clerk, note("before"));
        send(&clerk, Stop);
        let late = clerk.send(note("after"));
        is_stopped.await.unwrap();
        is_late.set(late.await.is_ok());
        assert!(!is_late.get(), "a message behind the stop was handled");
        assert!(!journal.borrow().contains(&"after".to_owned()), "{:?}", journal.borrow());
    });
}
