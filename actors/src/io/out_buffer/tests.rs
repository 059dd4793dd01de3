use std::io;

use proptest::prelude::*;

use super::*;

/// A socket that takes at most `room` bytes a write and refuses every other one.
struct FakeSocket {
    taken: Vec<u8>,
    room: usize,
    is_full: bool,
}

impl AsyncWrite for FakeSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_full = !this.is_full;
        if this.is_full {
            return Poll::Pending;
        }
        let count = bytes.len().min(this.room);
        this.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        let joined: Vec<u8> = bytes.take(self.room).collect();
        self.poll_write(cx, &joined)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn flush_all(buffer: &mut OutBuffer, socket: &mut FakeSocket) {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    while buffer.poll_flush(&mut cx, socket).1.is_pending() {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever mix of small and large pieces goes in, and however the socket cuts its writes,
    /// the bytes come out once and in order, and `len` is always what is left.
    #[test]
    fn bytes_leave_once_and_in_order(
        pieces in proptest::collection::vec((0_usize..9000, any::<bool>(), any::<bool>()), 1..40),
        room in 1_usize..20_000,
    ) {
        let mut buffer = OutBuffer::default();
        let mut socket = FakeSocket { taken: Vec::new(), room, is_full: false };
        let mut expected = Vec::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for (index, (len, is_shared, is_flushed)) in pieces.into_iter().enumerate() {
            let piece = vec![u8::try_from(index).unwrap(); len];
            expected.extend_from_slice(&piece);
            if is_shared {
                buffer.push(&Bytes::from(piece));
            } else {
                buffer.extend(&piece);
            }
            if is_flushed {
                let _ = buffer.poll_flush(&mut cx, &mut socket);
            }
            prop_assert_eq!(buffer.len(), expected.len() - socket.taken.len());
        }
        flush_all(&mut buffer, &mut socket);
        prop_assert_eq!(socket.taken, expected);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn advance_drops_from_the_front(lens in proptest::collection::vec(0_usize..9000, 1..20), cut in 0_usize..90_000) {
        let mut buffer = OutBuffer::default();
        let mut expected = Vec::new();
        for (index, len) in lens.into_iter().enumerate() {
            let piece = vec![u8::try_from(index).unwrap(); len];
            expected.extend_from_slice(&piece);
            buffer.push(&Bytes::from(piece));
        }
        let cut = cut.min(expected.len());
        buffer.advance(cut);
        let mut socket = FakeSocket { taken: Vec::new(), room: usize::MAX, is_full: false };
        flush_all(&mut buffer, &mut socket);
        prop_assert_eq!(&socket.taken, &expected[cut..]);
    }
}

#[test]
fn an_empty_buffer_owns_no_memory_after_release() {
    let mut pool = Vec::new();
    let mut buffer = OutBuffer::default();
    buffer.extend(b"abc");
    buffer.advance(3);
    buffer.release(&mut pool);
    assert_eq!(buffer.tail.capacity(), 0);
    assert_eq!(pool.len(), 1);
    buffer.acquire(&mut pool);
    assert!(buffer.tail.capacity() > 0 && buffer.is_empty());
}

#[test]
fn what_was_written_is_forgotten_although_more_waits_behind_it() {
    let mut buffer = OutBuffer::default();
    buffer.extend(&[0; 1000]);
    for number in 0..1000_u32 {
        buffer.extend(&[1; 10_000]);
        buffer.advance(10_000);
        assert_eq!(buffer.len(), 1000, "{number}");
    }
    assert!(buffer.tail.capacity() < 512 * 1024, "{} bytes", buffer.tail.capacity());
}

#[test]
fn what_comes_while_the_socket_is_full_holds_no_memory_but_its_own() {
    let mut buffer = OutBuffer::default();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let data = Bytes::from(vec![b'x'; 4 * WAITING_COPY_BYTES_MAX]);
    buffer.push_range(&data, 0..WAITING_COPY_BYTES_MAX);
    assert!(!data.is_unique(), "a large piece is not copied while the socket has room");
    let (_, flushed) = buffer.poll_flush(&mut cx, &mut FullSocket);
    assert!(flushed.is_pending());
    buffer.clear();
    assert!(data.is_unique());
    buffer.extend(b"x");
    let _ = buffer.poll_flush(&mut cx, &mut FullSocket);
    buffer.push_range(&data, 0..WAITING_COPY_BYTES_MAX);
    assert!(data.is_unique());
    buffer.push_range(&data, 0..WAITING_COPY_BYTES_MAX + 1);
    assert!(!data.is_unique(), "a larger one is shared all the same");
}

/// Takes nothing.
struct FullSocket;

impl AsyncWrite for FullSocket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
