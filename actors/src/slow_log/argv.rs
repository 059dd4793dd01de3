//! The arguments of a request, as the slow log keeps and shows them.
//!
//! Whether a request is slow is known when its reply is there, and by then its bytes are gone. So
//! every request leaves behind what its entry would need. That costs one copy of its frame, which
//! for the short ones of a read is one copy of them all.
//!
//! ```text
//! short:   the frame as it came               *2 $3 GET $3 key
//! longer:  ~ count { length, first bytes }    ~ [3] [3]SET [3]key [5000]xxxx (128 of them)
//! ```
//!
//! Pure. Bounds: [`KEPT_BYTES_MAX`] per request, and never much more than the request itself.

use command::{Args, Command};
use resp::request::{Framed, RequestFramer, RequestLimits};

/// Frames up to this size are kept as they came: copying them costs less than looking at their
/// arguments.
const WHOLE_BYTES_MAX: usize = 512;

/// How many arguments an entry shows, as in Redis. Of more of them, the last one tells how many
/// are not shown.
pub(crate) const ARGS_SHOWN_MAX: usize = 32;

/// How many bytes of an argument an entry shows, as in Redis.
pub(crate) const ARG_BYTES_MAX: usize = 128;

/// The most that is kept of one request.
pub(crate) const KEPT_BYTES_MAX: usize = {
    let shortened = 1 + 4 + ARGS_SHOWN_MAX * (4 + ARG_BYTES_MAX);
    if shortened > WHOLE_BYTES_MAX { shortened } else { WHOLE_BYTES_MAX }
};

const _: () = assert!(KEPT_BYTES_MAX <= u16::MAX as usize, "the window keeps the length in u16");

/// What a shortened request begins with; a frame begins with `*`.
const SHORTENED: u8 = b'~';

/// Stands for an argument that may be a secret.
const REDACTED: &[u8] = b"(redacted)";

/// Whether [`keep`] would keep the frame as it is.
#[inline]
pub(crate) fn is_kept_whole(frame: &[u8], command: &Command) -> bool {
    frame.len() <= WHOLE_BYTES_MAX && !command.hides_arguments()
}

/// Appends what an entry of the slow log needs of a request. Of a command with secrets only its
/// name is kept.
pub(crate) fn keep(frame: &[u8], args: &Args<'_>, command: &Command, kept: &mut Vec<u8>) {
    if command.hides_arguments() {
        let words = 1 + usize::from(command.name().contains('|'));
        keep_shortened(args.len(), args.iter().take(words), kept);
        for _ in words..args.len().min(ARGS_SHOWN_MAX) {
            keep_argument(REDACTED, kept);
        }
    } else if is_kept_whole(frame, command) {
        kept.extend_from_slice(frame);
    } else {
        keep_shortened(args.len(), args.iter().take(ARGS_SHOWN_MAX), kept);
    }
}

fn keep_shortened<'a>(count: usize, args: impl Iterator<Item = &'a [u8]>, kept: &mut Vec<u8>) {
    kept.push(SHORTENED);
    kept.extend_from_slice(&as_u32(count).to_le_bytes());
    args.for_each(|arg| keep_argument(arg, kept));
}

fn keep_argument(arg: &[u8], kept: &mut Vec<u8>) {
    kept.extend_from_slice(&as_u32(arg.len()).to_le_bytes());
    kept.extend_from_slice(arg.get(..ARG_BYTES_MAX).unwrap_or(arg));
}

/// The limits of the framer keep counts and lengths within u32.
fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The arguments to show, made from what [`keep`] has kept.
pub(crate) fn argv(kept: &[u8]) -> Vec<Vec<u8>> {
    if kept.first() == Some(&SHORTENED) {
        let mut rest = kept.get(1..).unwrap_or_default();
        let count = take_u32(&mut rest).unwrap_or_default();
        let args = std::iter::from_fn(|| {
            let len = take_u32(&mut rest)?;
            let (arg, after) = rest.split_at_checked(len.min(ARG_BYTES_MAX))?;
            rest = after;
            Some((len, arg))
        });
        return shown(count, args);
    }
    let mut spans = Vec::new();
    let framed = RequestFramer::new(RequestLimits::default()).next(kept, &mut spans);
    if !matches!(framed, Ok(Framed::Request { .. })) {
        debug_assert!(false, "what was kept is a whole request");
        return Vec::new();
    }
    let args = Args::new(kept, &spans);
    shown(args.len(), args.iter().map(|arg| (arg.len(), arg)))
}

fn take_u32(rest: &mut &[u8]) -> Option<usize> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

/// Cuts arguments, given with their lengths, as Redis does.
fn shown<'a>(count: usize, args: impl Iterator<Item = (usize, &'a [u8])>) -> Vec<Vec<u8>> {
    let whole = if count > ARGS_SHOWN_MAX { ARGS_SHOWN_MAX - 1 } else { count };
    let mut shown: Vec<Vec<u8>> = args
        .take(whole)
        .map(|(len, arg)| {
            let mut arg = arg.get(..ARG_BYTES_MAX).unwrap_or(arg).to_vec();
            if len > ARG_BYTES_MAX {
                let more = format!("... ({} more bytes)", len - ARG_BYTES_MAX);
                arg.extend_from_slice(more.as_bytes());
            }
            arg
        })
        .collect();
    if count > whole {
        shown.push(format!("... ({} more arguments)", count - whole).into_bytes());
    }
    shown
}

#[cfg(test)]
mod tests;
