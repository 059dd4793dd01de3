//! The sockets of the proxy, to clients and to backends.
//!
//! In every usual build a [`Socket`] is tokio's `TcpStream`, by another name. With the feature
//! `sim` it may also be one end of a pipe in memory (`crate::sim`), so that a simulation can put
//! the real actors on a network of its own; TCP works there as well.

use std::io;
use std::time::Duration;

use routing::BackendAddr;
use tokio::net::TcpStream;

use crate::worker::tune_socket;

#[cfg(feature = "sim")]
pub(crate) use crate::sim::{Accepted, Socket};

/// A connection.
#[cfg(not(feature = "sim"))]
pub(crate) type Socket = TcpStream;

/// A connection on its way from the listener to its worker.
#[cfg(not(feature = "sim"))]
pub(crate) type Accepted = std::net::TcpStream;

/// Connects to a backend or a sentinel. Names are looked up each time.
pub(crate) async fn connect(addr: &BackendAddr, keepalive: Duration) -> io::Result<Socket> {
    #[cfg(feature = "sim")]
    if let Some(connecting) = crate::sim::connecting(addr) {
        let refused = |_| io::ErrorKind::ConnectionRefused.into();
        return connecting.await.map(Socket::Memory).map_err(refused);
    }
    let io = TcpStream::connect((addr.host(), addr.port())).await?;
    tune_socket(&io, keepalive)?;
    #[cfg(feature = "sim")]
    let io = Socket::Tcp(io);
    Ok(io)
}

/// Takes a connection from the listener's thread, for [`adopt`].
pub(crate) fn hand_over(io: TcpStream) -> io::Result<Accepted> {
    let io = io.into_std()?;
    #[cfg(feature = "sim")]
    let io = Accepted::Tcp(io);
    Ok(io)
}

/// Makes a connection of the worker's own out of one that the listener has accepted.
pub(crate) fn adopt(accepted: Accepted) -> io::Result<Socket> {
    #[cfg(not(feature = "sim"))]
    return TcpStream::from_std(accepted);
    #[cfg(feature = "sim")]
    match accepted {
        Accepted::Tcp(io) => TcpStream::from_std(io).map(Socket::Tcp),
        Accepted::Memory(io) => Ok(Socket::Memory(io)),
    }
}
