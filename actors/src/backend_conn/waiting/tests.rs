use std::sync::Arc;

use actix::{AsyncContext, Context};
use bytes::Bytes;

use super::*;
use crate::backend_conn::ForwardRequest;
use crate::backend_conn::ReplyTo;
use crate::session::SessionActor;
use crate::session::window::Ticket;

/// A batch of requests of these lengths, of a session that never started.
fn batch(lens: &[u32]) -> ForwardBatch {
    let request = |len: &u32| ForwardRequest {
        ticket: Ticket::default(),
        part: 0,
        is_in_parts: false,
        is_for_backend: false,
        slot: routing::SlotId::default(),
        start: 0,
        len: *len,
    };
    ForwardBatch {
        reply_to: ReplyTo::Session(Arc::new(Context::<SessionActor>::new().address())),
        data: Bytes::new(),
        parts: Bytes::new(),
        requests: lens.iter().map(request).collect(),
    }
}

fn lens(batch: &ForwardBatch) -> Vec<u32> {
    batch.requests.iter().map(|request| request.len).collect()
}

fn waiter_lens(waiter: &Waiter) -> Vec<u32> {
    match waiter {
        Waiter::Batch(batch) => lens(batch),
        Waiter::Fence(_) => Vec::new(),
    }
}

#[test]
fn requests_are_taken_up_to_the_limit_and_not_one_more() {
    let mut waiting = Waiting::new(3, 1000);
    assert!(waiting.push(batch(&[1, 1])).is_ok());
    let refused = waiting.push(batch(&[7, 8])).unwrap_err();
    assert_eq!(lens(&refused), [7, 8], "the batch comes back unchanged");
    assert!(waiting.push(batch(&[1])).is_ok());
    assert!(waiting.push(batch(&[1])).is_err());
    assert_eq!(waiting.len(), 3);
}

#[test]
fn bytes_are_taken_up_to_the_limit_and_not_one_more() {
    let mut waiting = Waiting::new(100, 10);
    assert!(waiting.push(batch(&[4, 3])).is_ok());
    assert!(waiting.push(batch(&[4])).is_err());
    assert!(waiting.push(batch(&[3])).is_ok());
    assert!(waiting.push(batch(&[1])).is_err());
}

#[test]
fn what_leaves_makes_room_and_leaves_in_order() {
    let mut waiting = Waiting::new(2, 10);
    assert!(waiting.push(batch(&[6])).is_ok());
    assert!(waiting.push(batch(&[4])).is_ok());
    assert_eq!(waiting.front().map(waiter_lens), Some(vec![6]));
    assert_eq!(waiting.pop().as_ref().map(waiter_lens), Some(vec![6]));
    assert!(waiting.push(batch(&[7])).is_err(), "bytes are still taken");
    assert!(waiting.push(batch(&[6])).is_ok());
    assert_eq!(waiting.pop().as_ref().map(waiter_lens), Some(vec![4]));
    assert_eq!(waiting.pop().as_ref().map(waiter_lens), Some(vec![6]));
    assert!(waiting.pop().is_none());
    assert!(waiting.is_empty() && waiting.front().is_none());
    assert_eq!(waiting.len(), 0);
}

/// Goal: a batch that waits keeps its requests and not the read that they came in. Method: whole
/// requests and parts of others, at places of their own.
#[test]
fn requests_that_wait_hold_no_memory_but_their_own() {
    let data = Bytes::from(b"..one..three".repeat(1000));
    let parts = Bytes::from_static(b"..two");
    let mut batch = batch(&[3, 3, 5]);
    for (request, (start, is_in_parts)) in
        batch.requests.iter_mut().zip([(2, false), (2, true), (7, false)])
    {
        request.start = start;
        request.is_in_parts = is_in_parts;
    }
    batch.data = data.clone();
    batch.parts = parts;
    let mut waiting = Waiting::new(10, 1000);
    assert!(waiting.push(batch).is_ok());
    assert!(data.is_unique());
    let Some(Waiter::Batch(batch)) = waiting.pop() else { panic!("the batch is there") };
    let texts = batch.requests.iter().map(|request| {
        assert!(!request.is_in_parts);
        let start = request.start as usize;
        &batch.data[start..start + request.len as usize]
    });
    assert!(texts.eq([&b"one"[..], b"two", b"three"]));
}

#[test]
fn a_fence_keeps_its_place_behind_what_came_before() {
    let mut waiting = Waiting::new(2, 10);
    assert!(waiting.push(batch(&[6])).is_ok());
    let (token, mut fallen) = FenceToken::new();
    waiting.push_fence(token);
    assert_eq!(waiting.pop().as_ref().map(waiter_lens), Some(vec![6]));
    assert!(fallen.try_recv().is_err());
    assert!(matches!(waiting.pop(), Some(Waiter::Fence(_))));
    assert!(fallen.try_recv().is_ok());
}
