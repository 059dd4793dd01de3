//! Accepts clients and hands each to the worker that has the fewest.
//!
//! | message         | from   | what happens                        |
//! |-----------------|--------|-------------------------------------|
//! | `StopListening` | wiring | the socket is closed, the actor ends|
//!
//! Supervision: started by wiring, lives until `StopListening`. When the system refuses to accept
//! (out of file descriptors), it waits a moment and goes on; the sockets wait in the backlog.
//!
//! Bounds: `proxy_max_clients`; a client beyond it gets Redis' error and is closed. So does one that
//! comes before the proxy is online.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use slog::{Logger, debug, warn};
use tokio::net::{TcpListener, TcpStream};

use crate::client_error::text;
use crate::supervisor::{NewClient, SupervisorActor};
use crate::worker::{ClientSlot, Shared, tune_socket};

/// How long to wait after the system refused to accept.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Closes the listening socket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopListening;

/// See the module.
pub struct ListenerActor {
    shared: Arc<Shared>,
    /// In the order of their counters.
    workers: Vec<Addr<SupervisorActor>>,
    /// Taken when the accept loop starts.
    listener: Option<TcpListener>,
    log: Logger,
}

impl ListenerActor {
    /// A listener that hands clients to these workers.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        workers: Vec<Addr<SupervisorActor>>,
        listener: TcpListener,
        log: Logger,
    ) -> Self {
        Self { shared, workers, listener: Some(listener), log }
    }
}

impl Actor for ListenerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(listener) = self.listener.take() {
            ctx.spawn(Accept(listener));
        }
    }
}

impl Handler<StopListening> for ListenerActor {
    type Result = ();

    fn handle(&mut self, _: StopListening, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Accepts whenever the socket is ready.
struct Accept(TcpListener);

impl ActorFuture<ListenerActor> for Accept {
    type Output = ();

    fn poll(
        self: std::pin::Pin<&mut Self>,
        actor: &mut ListenerActor,
        ctx: &mut Context<ListenerActor>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        use std::task::Poll;
        loop {
            match self.0.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((io, peer))) => actor.take(io, peer),
                Poll::Ready(Err(error)) => {
                    warn!(actor.log, "cannot accept clients, trying again"; "error" => %error);
                    let waker = cx.waker().clone();
                    ctx.run_later(REFUSED_PAUSE, move |_, _| waker.wake());
                    return Poll::Pending;
                }
            }
        }
    }
}

impl ListenerActor {
    fn take(&self, io: TcpStream, peer: std::net::SocketAddr) {
        if !self.shared.lifecycle.has_started() {
            debug!(self.log, "client refused: not online"; "peer" => %peer);
            refuse(&io, text::NOT_ONLINE);
            return;
        }
        if self.shared.clients() >= self.shared.settings.config.proxy_max_clients {
            debug!(self.log, "client refused: too many"; "peer" => %peer);
            refuse(&io, text::MAX_CLIENTS);
            return;
        }
        if let Err(error) = self.hand_over(io, peer) {
            debug!(self.log, "client is gone"; "peer" => %peer, "error" => %error);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "BOUND: proxy_max_clients")]
    fn hand_over(&self, io: TcpStream, peer: std::net::SocketAddr) -> std::io::Result<()> {
        tune_socket(&io, self.shared.settings.config.session_keepalive_period)?;
        let local = io.local_addr()?;
        let io = crate::io::socket::hand_over(io)?;
        let clients = |index: &usize| {
            self.shared.counters.get(*index).map_or(0, |c| c.clients.load(Ordering::Relaxed))
        };
        let index = (0..self.workers.len()).min_by_key(clients).unwrap_or(0);
        let counters = self.shared.counters.get(index).map(Arc::clone);
        if let (Some(worker), Some(counters)) = (self.workers.get(index), counters) {
            let id = self.shared.next_client_id.fetch_add(1, Ordering::Relaxed);
            let slot = ClientSlot::take(counters);
            worker.do_send(NewClient { io, peer, local, id, slot });
        }
        Ok(())
    }
}

/// Best effort: the socket is new, so its buffer takes these few bytes.
fn refuse(io: &TcpStream, text: &str) {
    let mut error = Vec::new();
    resp::encode::error(&mut error, text);
    let _ = io.try_write(&error);
}
