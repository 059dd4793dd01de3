//! Ports are free and differ from call to call.

use super::*;

#[test]
fn a_taken_port_is_not_given_again() {
    let port = free_port();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("bind a free port");
    let others: Vec<u16> = (0..100).map(|_| free_port()).collect();
    assert!(!others.contains(&port), "{port} in {others:?}");
}
