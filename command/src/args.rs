//! The arguments of one request, lying in the frame they came in.
//!
//! Nothing is copied: an argument is a span of the frame. The framer of `resp` produced the spans
//! and promises that they lie inside the frame; should one not, the argument reads as missing.

use resp::request::Span;

/// A framed request: argument 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    frame: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// The arguments that `spans` marks in `frame`.
    #[must_use]
    pub const fn new(frame: &'a [u8], spans: &'a [Span]) -> Self {
        Self { frame, spans }
    }

    /// The number of arguments, the command's name included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether not even a name is there. No framer lets such a request pass.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes of argument `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        self.frame.get(span.start as usize..span.end as usize)
    }

    /// Where argument `index` lies in the frame.
    #[must_use]
    pub fn span(&self, index: usize) -> Option<Span> {
        self.spans.get(index).copied()
    }

    /// The bytes of every argument, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let frame = self.frame;
        self.spans.iter().map_while(move |span| frame.get(span.start as usize..span.end as usize))
    }

    /// The arguments from `index` on, as a request of their own.
    #[must_use]
    pub fn skip(&self, index: usize) -> Self {
        Self { frame: self.frame, spans: self.spans.get(index..).unwrap_or_default() }
    }

    /// Whether argument `index` is `word`, in any mix of cases.
    pub(crate) fn is_word(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }
}
