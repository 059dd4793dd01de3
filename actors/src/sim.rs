//! The door for the simulation (`sim/`): connections in memory instead of TCP. Only there with the
//! feature `sim`, which no build of the proxy has.
//!
//! A simulation runs many proxies on one thread. It sets the connector of the thread, which then
//! makes every connection to a backend, and hands clients to a supervisor as the listener would.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use actix::Addr;
use routing::BackendAddr;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::supervisor::{NewClient, SupervisorActor};
use crate::worker::{ClientSlot, Shared};

/// An attempt to connect to a backend. It is refused when the sender is dropped.
pub type Connecting = oneshot::Receiver<DuplexStream>;

/// Makes connections to backends.
pub type Connector = Box<dyn Fn(&BackendAddr) -> Connecting>;

thread_local! {
    static CONNECTOR: RefCell<Option<Connector>> = const { RefCell::new(None) };
    static IS_GUESSING: Cell<bool> = const { Cell::new(false) };
}

/// Breaks a rule, to see that the simulation notices: from now on the migrators of this thread take
/// a source that does not answer for one that has let go.
pub fn set_guessing(is_guessing: bool) {
    IS_GUESSING.set(is_guessing);
}

pub(crate) fn is_guessing() -> bool {
    IS_GUESSING.get()
}

/// From now on this thread's connections to backends are made so; `None`: over TCP.
pub fn set_connector(connector: Option<Connector>) {
    CONNECTOR.with(|current| current.replace(connector));
}

pub(crate) fn connecting(addr: &BackendAddr) -> Option<Connecting> {
    CONNECTOR.with(|connector| connector.borrow().as_ref().map(|connect| connect(addr)))
}

/// Gives a worker a client, of whose connection this is the proxy's end.
#[expect(clippy::disallowed_methods, reason = "BOUND: the clients of the simulation")]
pub fn add_client(
    shared: &Shared,
    worker: usize,
    supervisor: &Addr<SupervisorActor>,
    peer: SocketAddr,
    io: DuplexStream,
) {
    let Some(counters) = shared.counters.get(worker).map(Arc::clone) else {
        return;
    };
    let id = shared.next_client_id.fetch_add(1, Ordering::Relaxed);
    let slot = ClientSlot::take(counters);
    let io = Accepted::Memory(io);
    supervisor.do_send(NewClient { io, peer, local: shared.listen, id, slot });
}

/// See `io::socket`.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Memory(DuplexStream),
}

/// See `io::socket`.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    Memory(DuplexStream),
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Memory(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Memory(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write_vectored(cx, pieces),
            Self::Memory(io) => Pin::new(io).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(io) => io.is_write_vectored(),
            Self::Memory(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_flush(cx),
            Self::Memory(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Self::Memory(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
