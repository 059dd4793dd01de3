use super::*;
use crate::io::WAITING_COPY_BYTES_MAX;

mod model;

fn window(requests_max: usize, bytes_max: usize) -> ReplyWindow {
    ReplyWindow::new(WindowLimits { requests_max, bytes_max })
}

fn settle_whole(window: &mut ReplyWindow, ticket: Ticket, len: usize, out: &mut OutBuffer) {
    window.settle(ticket, 0, Piece::Whole, &Bytes::from(vec![b'x'; len]), 0..len, out);
}

#[test]
fn a_full_window_has_no_room_until_its_head_is_answered() {
    let mut out = OutBuffer::default();
    let mut window = window(2, 1000);
    let first = window.enter(1, false, Tag::default());
    assert!(window.has_room());
    let second = window.enter(1, false, Tag::default());
    assert!(!window.has_room());
    settle_whole(&mut window, second, 1, &mut out);
    assert!(!window.has_room(), "the reply waits behind the head");
    settle_whole(&mut window, first, 1, &mut out);
    assert!(window.has_room());
}

#[test]
fn a_request_larger_than_the_window_enters_alone() {
    let mut window = window(100, 10);
    assert!(window.has_room());
    let _ = window.enter(5000, false, Tag::default());
    assert!(!window.has_room());
}

#[test]
fn replies_at_the_copy_threshold_pin_no_read_and_larger_ones_are_shared() {
    let mut out = OutBuffer::default();
    let mut window = window(10, 1000);
    let _head = window.enter(1, false, Tag::default());
    for len in [WAITING_COPY_BYTES_MAX, WAITING_COPY_BYTES_MAX + 1] {
        let data = Bytes::from(vec![b'x'; WAITING_COPY_BYTES_MAX * 4]);
        let ticket = window.enter(1, false, Tag::default());
        window.settle(ticket, 0, Piece::Whole, &data, 0..len, &mut out);
        assert_eq!(data.is_unique(), len <= WAITING_COPY_BYTES_MAX, "{len} bytes");
    }
}

/// Goal: what the head's answer leaves behind does not pile up. Method: replies that wait behind
/// every second request; the requests between them are answered one by one.
#[test]
fn dead_space_between_held_replies_is_compacted_without_further_replies() {
    let mut out = OutBuffer::default();
    let mut window = window(1000, 1000);
    let tickets: Vec<_> = (0..400).map(|_| window.enter(1, false, Tag::default())).collect();
    for ticket in tickets.iter().skip(1).step_by(2) {
        settle_whole(&mut window, *ticket, 1000, &mut out);
    }
    for ticket in tickets.iter().step_by(2) {
        settle_whole(&mut window, *ticket, 1, &mut out);
        let waste = window.held.len() - window.held_live;
        assert!(waste <= HELD_WASTE_MIN.max(window.held_live), "{waste} bytes wasted");
    }
    assert_eq!((window.retained_bytes(), out.len()), (0, 200 * 1001));
    assert!(window.held.capacity() <= HELD_WASTE_MIN, "a busy window gives its peak back");
}

#[test]
fn a_reply_that_is_unmuted_before_it_leaves_is_written() {
    let mut out = OutBuffer::default();
    let mut window = window(10, 1000);
    let ticket = window.enter(1, true, Tag::default());
    window.unmute(ticket);
    settle_whole(&mut window, ticket, 3, &mut out);
    let ticket = window.enter(1, false, Tag::default());
    window.mute(ticket);
    settle_whole(&mut window, ticket, 3, &mut out);
    assert_eq!((out.len(), window.len()), (3, 0));
}
