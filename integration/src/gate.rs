//! A gate between a client and a server: what passes through it can be cut or held.
//!
//! ```text
//!             freeze                connections stay, new ones are taken, no byte comes through,
//!        .--------------> frozen    not even the end of a connection; pass() lets all go on
//!  passing <------------'
//!        '--------------> cut       connections are closed, new ones refused, until pass()
//!              cut
//! ```
//! The gate knows nothing of what passes. It stands before one server; the client is given its
//! address instead of the server's, which stays the same whatever the gate does.
//!
//! Bounds: two threads per connection, and one chunk of bytes in each direction that has been read
//! and waits.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::ports::free_port;
use crate::wait::{DEADLINE, wait_until};

/// What the gate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Passing,
    Frozen,
    Cut,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    // Both ends of each connection, to close them; those that have ended are harmless.
    streams: Vec<TcpStream>,
}

/// See the module.
#[derive(Debug)]
pub struct Gate {
    addr: SocketAddr,
    shared: Arc<Shared>,
    // `None` while the gate is cut: nobody listens.
    acceptor: Option<JoinHandle<()>>,
}

impl Gate {
    /// A gate before a server that lets everything pass.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn before(server: SocketAddr) -> Self {
        let state = State { mode: Mode::Passing, streams: Vec::new() };
        let shared = Shared { server, state: Mutex::new(state), changed: Condvar::new() };
        let shared = Arc::new(shared);
        let (addr, listener) = wait_until("a port for the gate", DEADLINE, || {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            TcpListener::bind(addr).map(|listener| (addr, listener))
        });
        let acceptor = Some(accept_on(listener, &shared));
        Self { addr, shared, acceptor }
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets everything pass, from what has been held on.
    ///
    /// # Panics
    /// When another has taken the port of the gate while it was cut.
    pub fn pass(&mut self) {
        self.shared.change(Mode::Passing);
        if self.acceptor.is_none() {
            let listener = wait_until("the gate has its port again", DEADLINE, || {
                TcpListener::bind(self.addr)
            });
            self.acceptor = Some(accept_on(listener, &self.shared));
        }
    }

    /// Holds all bytes, in both directions; whoever connects is taken and hears nothing.
    ///
    /// # Panics
    /// When the gate is cut: nobody could connect.
    pub fn freeze(&mut self) {
        assert!(self.acceptor.is_some(), "a gate that is cut cannot be frozen");
        self.shared.change(Mode::Frozen);
    }

    /// Closes all connections and refuses new ones.
    ///
    /// # Panics
    /// When the gate's own thread has panicked.
    pub fn cut(&mut self) {
        self.shared.change(Mode::Cut);
        if let Some(acceptor) = self.acceptor.take() {
            // Wakes the thread, which looks at the mode; it has closed the port when it has ended.
            let _ = TcpStream::connect(self.addr);
            assert!(acceptor.join().is_ok(), "the gate failed, see above");
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so the state is whole whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, mode: Mode) {
        let mut state = self.lock();
        state.mode = mode;
        if mode == Mode::Cut {
            for stream in state.streams.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits while the gate is frozen. False when it is cut.
    fn may_pass(&self) -> bool {
        let frozen = |state: &mut State| state.mode == Mode::Frozen;
        let state = self.changed.wait_while(self.lock(), frozen);
        state.unwrap_or_else(PoisonError::into_inner).mode == Mode::Passing
    }

    /// Notes a connection's end, to close it when the gate is cut. False when it is already.
    fn note(&self, stream: &TcpStream) -> io::Result<bool> {
        let stream = stream.try_clone()?;
        let mut state = self.lock();
        state.streams.push(stream);
        Ok(state.mode != Mode::Cut)
    }
}

fn accept_on(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            if shared.lock().mode == Mode::Cut {
                return;
            }
            let shared = Arc::clone(&shared);
            let connect = move |client: io::Result<TcpStream>| join(client?, &shared);
            // A connection that fails is closed, which its client sees.
            std::thread::spawn(move || connect(client));
        }
    })
}

/// Connects a client with the server, once the gate lets anything pass.
fn join(client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    if !shared.note(&client)? || !shared.may_pass() {
        return client.shutdown(Shutdown::Both);
    }
    let connected = TcpStream::connect(shared.server);
    let server = match connected {
        Ok(server) if shared.note(&server)? => server,
        Ok(_) | Err(_) => return client.shutdown(Shutdown::Both),
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let back = Arc::clone(shared);
    std::thread::spawn(move || carry(server, client, &back));
    carry(from_client, to_server, shared);
    Ok(())
}

/// Carries bytes in one direction, and at last the end of the connection.
fn carry(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut chunk).unwrap_or(0);
        if !shared.may_pass() {
            return;
        }
        let bytes = chunk.get(..read).unwrap_or_default();
        if bytes.is_empty() || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests;
