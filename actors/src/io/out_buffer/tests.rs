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
