//! The files of the repository, and Rust sources cut into tokens.
//!
//! A token list instead of a syntax tree: the rules look for short patterns, also within macros,
//! where a syntax tree ends. Comments are no tokens, so a rule never trips over prose.

use std::fs;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use proc_macro2::Delimiter;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;

/// Folders that hold nothing to check, by path.
const SKIPPED: [&str; 4] = ["target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"];

/// The kinds of files that are read.
const SUFFIXES: [&str; 4] = [".rs", ".md", ".toml", ".txt"];

/// Every text file that rules look at.
pub(super) struct Tree {
    texts: Vec<(String, String)>,
    sources: Vec<Source>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut texts = Vec::new();
        read_folder(root, "", &mut texts)?;
        texts.sort();
        let rust = texts.iter().filter(|(path, _)| path.ends_with(".rs"));
        let sources = rust.map(|(path, text)| Source::parse(path, text)).collect::<Result<_>>()?;
        Ok(Self { texts, sources })
    }

    /// Every file, as (path, text).
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// One file.
    pub(super) fn text(&self, path: &str) -> Result<&str> {
        let found = self.texts().find(|(known, _)| *known == path);
        found.map(|(_, text)| text).with_context(|| format!("find `{path}`"))
    }

    /// Every Rust file.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// The Rust files of a folder.
    pub(super) fn sources_in(&self, folder: &str) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(move |source| source.path.starts_with(folder))
    }
}

fn read_folder(root: &Path, folder: &str, texts: &mut Vec<(String, String)>) -> Result<()> {
    let full = root.join(folder);
    for entry in fs::read_dir(&full).with_context(|| format!("list `{}`", full.display()))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if name.starts_with('.') || SKIPPED.contains(&path.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            read_folder(root, &path, texts)?;
        } else if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            let text = fs::read_to_string(entry.path());
            texts.push((path.clone(), text.with_context(|| format!("read `{path}`"))?));
        }
    }
    Ok(())
}

/// A Rust file.
pub(super) struct Source {
    /// From the root of the repository, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
    pub(super) functions: Vec<Function>,
}

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    /// From `fn` to the closing brace.
    pub(super) lines: usize,
}

/// A token outside comments and documentation.
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// Within tests, by its file or by `#[cfg(test)]` or `#[test]`.
    pub(super) is_test: bool,
}

/// The kinds of tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or a keyword.
    Word(String),
    /// A string literal, as it is written between the quotes.
    Text(String),
    /// Punctuation, or an opening or closing bracket.
    Mark(char),
    /// Any other literal.
    Value,
}

impl Token {
    /// Whether it is this word or mark.
    pub(super) fn is(&self, wanted: &str) -> bool {
        match &self.kind {
            Kind::Word(word) => word == wanted,
            Kind::Mark(mark) => wanted.strip_prefix(*mark) == Some(""),
            Kind::Text(_) | Kind::Value => false,
        }
    }

    /// The contents, if it is a string literal.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Word(_) | Kind::Mark(_) | Kind::Value => None,
        }
    }

    /// The identifier, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            Kind::Text(_) | Kind::Mark(_) | Kind::Value => None,
        }
    }
}

impl Source {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self> {
        let stream: TokenStream = text
            .parse()
            .map_err(|error| anyhow::anyhow!("{error}"))
            .with_context(|| format!("cut `{path}` into tokens"))?;
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens: Vec::new(),
            functions: Vec::new(),
        };
        source.walk(stream, is_test_path(path));
        Ok(source)
    }

    /// The crate's folder; `src` for the binary.
    pub(super) fn folder(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Every place where these words and marks follow each other: the tokens from there on.
    pub(super) fn find<'s, 'p>(
        &'s self,
        pattern: &'p [&'p str],
    ) -> impl Iterator<Item = &'s [Token]> + use<'s, 'p> {
        (0..self.tokens.len()).filter_map(move |index| {
            let rest = self.tokens.get(index..)?;
            let is_here = rest.len() >= pattern.len()
                && rest.iter().zip(pattern).all(|(token, wanted)| token.is(wanted));
            is_here.then_some(rest)
        })
    }

    fn walk(&mut self, stream: TokenStream, is_test: bool) {
        let trees: Vec<_> = stream.into_iter().collect();
        // Set by a test attribute, until the item that it belongs to ends.
        let mut is_test_item = false;
        for (index, tree) in trees.iter().enumerate() {
            let line = tree.span().start().line;
            let is_test = is_test || is_test_item;
            match tree {
                TokenTree::Group(group) => {
                    let is_attribute =
                        group.delimiter() == Delimiter::Bracket && follows_hash(&trees, index);
                    if is_attribute && is_doc(group.stream()) {
                        continue;
                    }
                    is_test_item |= is_attribute && is_test_attribute(&group.stream().to_string());
                    let (open, close) = brackets(group.delimiter());
                    self.push(line, Kind::Mark(open), is_test);
                    self.walk(group.stream(), is_test);
                    self.push(group.span_close().start().line, Kind::Mark(close), is_test);
                    is_test_item &= group.delimiter() != Delimiter::Brace;
                }
                TokenTree::Ident(word) => {
                    self.push(line, Kind::Word(word.to_string()), is_test);
                    if word == "fn" {
                        self.functions.extend(function(&trees, index));
                    }
                }
                TokenTree::Punct(mark) => {
                    self.push(line, Kind::Mark(mark.as_char()), is_test);
                    is_test_item &= mark.as_char() != ';';
                }
                TokenTree::Literal(literal) => {
                    let literal = literal.to_string();
                    let text = literal.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
                    let kind = text.map_or(Kind::Value, |(text, _)| Kind::Text(text.to_owned()));
                    self.push(line, kind, is_test);
                }
            }
        }
    }

    fn push(&mut self, line: usize, kind: Kind, is_test: bool) {
        self.tokens.push(Token { line, kind, is_test });
    }
}

/// Files that are tests as a whole.
pub(super) fn is_test_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path.starts_with("integration/")
        || path.split('/').any(|folder| folder == "tests")
        || name == "tests.rs"
        || name == "testing.rs"
}

/// Whether `#` or `#!` stands before the tree at `index`.
fn follows_hash(trees: &[TokenTree], index: usize) -> bool {
    let before = trees.get(..index).unwrap_or_default();
    let mut marks = before.iter().rev().map(|tree| match tree {
        TokenTree::Punct(mark) => mark.as_char(),
        TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => ' ',
    });
    match marks.next() {
        Some('!') => marks.next() == Some('#'),
        mark => mark == Some('#'),
    }
}

fn is_doc(attribute: TokenStream) -> bool {
    matches!(attribute.into_iter().next(), Some(TokenTree::Ident(word)) if word == "doc")
}

fn is_test_attribute(attribute: &str) -> bool {
    let attribute: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
    attribute == "test"
        || attribute.starts_with("cfg(test")
        || attribute.starts_with("cfg(all(test")
}

fn brackets(delimiter: Delimiter) -> (char, char) {
    match delimiter {
        Delimiter::Parenthesis => ('(', ')'),
        Delimiter::Brace => ('{', '}'),
        Delimiter::Bracket => ('[', ']'),
        Delimiter::None => (' ', ' '),
    }
}

/// The function whose `fn` is at `index`; none for a function type or one without a body.
fn function(trees: &[TokenTree], index: usize) -> Option<Function> {
    let rest = trees.get(index..)?;
    let Some(TokenTree::Ident(name)) = rest.get(1) else {
        return None;
    };
    let is_end = |tree: &&TokenTree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    let Some(TokenTree::Group(body)) = rest.iter().find(is_end) else {
        return None;
    };
    let line = rest.first()?.span().start().line;
    Some(Function { name: name.to_string(), line, lines: body.span_close().end().line - line + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"//! Docs with fn words.
/// More "docs".
fn outer(callback: fn(u8)) {
    call("text", 'c', 1);
}
trait T {
    fn bodiless();
}
#[cfg(test)]
use a::b;
use c::d;
#[cfg(test)]
mod tests {
    fn inner() {}
}
fn last() {}
"#;

    #[test]
    fn functions_are_measured() {
        let source = Source::parse("a/src/b.rs", EXAMPLE).unwrap();
        let found: Vec<_> = source
            .functions
            .iter()
            .map(|function| (function.name.as_str(), function.line, function.lines))
            .collect();
        assert_eq!(found, [("outer", 3, 3), ("inner", 14, 1), ("last", 16, 1)]);
    }

    #[test]
    fn tests_are_told_from_code() {
        let source = Source::parse("a/src/b.rs", EXAMPLE).unwrap();
        let mut lines: Vec<_> =
            source.tokens.iter().filter(|token| token.is_test).map(|token| token.line).collect();
        lines.dedup();
        assert_eq!(lines, [10, 13, 14, 15]);
        let source = Source::parse("a/src/b/tests.rs", EXAMPLE).unwrap();
        assert!(source.tokens.iter().all(|token| token.is_test));
    }

    #[test]
    fn patterns_are_found_and_comments_are_not() {
        let source = Source::parse("a/src/b.rs", EXAMPLE).unwrap();
        let lines =
            |pattern: &[&str]| source.find(pattern).map(|found| found[0].line).collect::<Vec<_>>();
        assert_eq!(lines(&["use", "c", ":", ":", "d"]), [11]);
        assert_eq!(lines(&["fn", "inner", "("]), [14]);
        assert!(lines(&["Docs"]).is_empty());
        let texts: Vec<_> = source.tokens.iter().filter_map(Token::text).collect();
        assert_eq!(texts, ["text"]);
    }
}
