//! The two tasks of a watch.
//!
//! ```text
//! follow: subscribe to all ── majority is there ──► trigger      (renewed after 15 minutes; at once
//!                          ── an event comes ─────► trigger       10 s after the start of a round
//!                          ── majority is lost ───► next round    that failed)
//!
//! ask:    trigger ──► question 1 ── 5 s ── question 2 ── ... until two succeeded or ten failed
//! ```
//!
//! A question goes to all sentinels and counts when a majority answers. Two successes are wanted
//! because the first answer may come while the news still spreads among the sentinels. A trigger
//! that comes in between begins the questions anew.
//!
//! Bounds: one round and one question at a time; tasks end with the watch.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_rt::task::JoinHandle;
use routing::BackendAddr;
use slog::{Logger, debug, info, warn};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::apply::apply;
use super::asking::{self, Subscription};
use super::core::{self, Primaries};
use super::{PrimariesFound, SentinelActor};
use crate::topology::TopologyActor;
use crate::worker::Settings;

/// When subscriptions are made anew, in case one of them is dead without a sign.
const RENEWAL_PERIOD: Duration = Duration::from_secs(15 * 60);

/// From the start of a round that failed to the next.
pub(super) const RETRY_PERIOD: Duration = Duration::from_secs(10);

/// How long a sentinel may take to take a subscription or to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the others are waited for once a majority has answered: a hung sentinel must not delay
/// a switch.
const MINORITY_TIMEOUT: Duration = Duration::from_millis(500);

/// From one question to the next.
const QUESTION_PERIOD: Duration = Duration::from_secs(5);

/// The same when a trigger came in between, so that a flood of events is no flood of questions.
const QUESTION_PERIOD_MIN: Duration = Duration::from_millis(200);

/// The most questions after a trigger.
const QUESTIONS_MAX: u32 = 10;

/// After as many successes there are no further questions.
const SUCCESSES_WANTED: u32 = 2;

/// What both tasks need.
pub(super) struct WatchContext {
    pub(super) me: Addr<SentinelActor>,
    /// Which watch this is.
    pub(super) number: u64,
    pub(super) servers: Vec<BackendAddr>,
    pub(super) settings: Arc<Settings>,
    pub(super) topology: Addr<TopologyActor>,
    pub(super) log: Logger,
}

/// A watch under way; it ends when this is dropped.
pub(super) struct Watch {
    trigger: Arc<Notify>,
    tasks: [JoinHandle<()>; 2],
}

impl Watch {
    pub(super) fn start(context: Rc<WatchContext>) -> Self {
        let trigger = Arc::new(Notify::new());
        let follow = follow(Rc::clone(&context), Arc::clone(&trigger));
        let ask = ask(context, Arc::clone(&trigger));
        Self { trigger, tasks: [actix_rt::spawn(follow), actix_rt::spawn(ask)] }
    }

    /// Asks the sentinels, without waiting for an event.
    pub(super) fn ask(&self) {
        self.trigger.notify_one();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What one subscription tells its round.
enum Heard {
    Subscribed(BackendAddr),
    Switched(BackendAddr),
    Lost { sentinel: BackendAddr, cause: String },
}

async fn follow(context: Rc<WatchContext>, trigger: Arc<Notify>) {
    loop {
        let started = Instant::now();
        if !follow_round(&context, &trigger).await {
            warn!(context.log, "no majority of the sentinels can be heard, trying again";
                "sentinels" => context.servers.len());
            sleep_until(started + RETRY_PERIOD).await;
        }
    }
}

/// Listens to all sentinels until the round is to be renewed (true) or too few are left (false).
async fn follow_round(context: &WatchContext, trigger: &Notify) -> bool {
    let mut left = context.servers.len();
    let majority = core::majority(left);
    // Two facts of each sentinel find room; a third waits until the first is read.
    let (heard, mut facts) = mpsc::channel(left * 2);
    // The tasks end with the set.
    let mut listeners = JoinSet::new();
    for sentinel in &context.servers {
        let product = context.settings.config.product_name.to_string();
        let keepalive = context.settings.config.backend_keepalive_period;
        listeners.spawn(listen(sentinel.clone(), product, keepalive, heard.clone()));
    }
    let renewal = Instant::now() + RENEWAL_PERIOD;
    let mut subscribed = 0;
    while left >= majority {
        match timeout_at(renewal, facts.recv()).await {
            Ok(Some(Heard::Subscribed(sentinel))) => {
                debug!(context.log, "sentinel is watched"; "sentinel" => %sentinel);
                subscribed += 1;
                if subscribed == majority {
                    info!(context.log, "a majority of the sentinels is watched";
                        "sentinels" => context.servers.len());
                    trigger.notify_one();
                }
            }
            Ok(Some(Heard::Switched(sentinel))) => {
                info!(context.log, "a sentinel tells of a new primary"; "sentinel" => %sentinel);
                trigger.notify_one();
            }
            Ok(Some(Heard::Lost { sentinel, cause })) => {
                left -= 1;
                warn!(context.log, "sentinel cannot be heard"; "sentinel" => %sentinel,
                    "cause" => cause);
            }
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
    false
}

/// Listens to one sentinel until it is lost, or nobody wants to know any more.
async fn listen(
    sentinel: BackendAddr,
    product: String,
    keepalive: Duration,
    heard: mpsc::Sender<Heard>,
) {
    let opened = timeout(ANSWER_TIMEOUT, Subscription::open(&sentinel, keepalive)).await;
    let cause = match opened {
        Ok(Ok(mut subscription)) => {
            let mut fact = Heard::Subscribed(sentinel.clone());
            loop {
                if heard.send(fact).await.is_err() {
                    return;
                }
                match subscription.next_switch(&product).await {
                    Ok(()) => fact = Heard::Switched(sentinel.clone()),
                    Err(failure) => break failure.to_string(),
                }
            }
        }
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => format!("no answer within {ANSWER_TIMEOUT:?}"),
    };
    let _ = heard.send(Heard::Lost { sentinel, cause }).await;
}

async fn ask(context: Rc<WatchContext>, trigger: Arc<Notify>) {
    loop {
        trigger.notified().await;
        let (mut questions, mut successes) = (0, 0);
        while questions < QUESTIONS_MAX && successes < SUCCESSES_WANTED {
            let started = Instant::now();
            questions += 1;
            if ask_all(&context).await {
                successes += 1;
            }
            tokio::select! {
                () = sleep_until(started + QUESTION_PERIOD) => {}
                () = trigger.notified() => {
                    (questions, successes) = (0, 0);
                    sleep_until(started + QUESTION_PERIOD_MIN).await;
                }
            }
        }
    }
}

/// Asks all sentinels for the primaries and carries out what they say. True when a majority
/// answered and the slots are as it says.
async fn ask_all(context: &WatchContext) -> bool {
    let mut questions = JoinSet::new();
    for sentinel in &context.servers {
        let (sentinel, settings) = (sentinel.clone(), Arc::clone(&context.settings));
        questions.spawn(async move {
            let config = &settings.config;
            let keepalive = config.backend_keepalive_period;
            let asked = asking::descriptions(&sentinel, keepalive, &config.product_name);
            match timeout(ANSWER_TIMEOUT, asked).await {
                Ok(answer) => answer.map_err(|failure| failure.to_string()),
                Err(_) => Err(format!("no answer within {ANSWER_TIMEOUT:?}")),
            }
        });
    }
    let majority = core::majority(context.servers.len());
    let mut answers = Vec::new();
    let mut deadline = Instant::now() + ANSWER_TIMEOUT;
    while let Ok(Some(answered)) = timeout_at(deadline, questions.join_next()).await {
        match answered {
            Ok(Ok(answer)) => answers.push(answer),
            Ok(Err(cause)) => {
                debug!(context.log, "sentinel did not answer"; "cause" => cause);
            }
            Err(_) => {}
        }
        if answers.len() == majority {
            deadline = deadline.min(Instant::now() + MINORITY_TIMEOUT);
        }
    }
    if answers.len() < majority {
        warn!(context.log, "no majority of the sentinels answers"; "answers" => answers.len(),
            "sentinels" => context.servers.len());
        return false;
    }
    let primaries: Primaries = core::choose(answers.into_iter().flatten());
    let found = PrimariesFound { watch: context.number, primaries: primaries.clone() };
    // An error means that the proxy is stopping.
    context.me.send(found).await.is_ok() && apply(context, &primaries).await
}
