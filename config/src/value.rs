//! Values on their way into a [`Config`] and out of it.
//!
//! A file gives typed values, environment and flags give texts that the setting's kind reads.
//! Every refusal says what was expected and shows an example; it never repeats a secret.

use std::path::PathBuf;
use std::time::Duration;

use crate::choices::Choice;
use crate::secret::Secret;
use crate::settings::{Config, Field};
use crate::units::{duration_text, parse_duration, parse_size, size_text};

/// A value as it was given.
pub(crate) enum Given<'a> {
    /// A text from the environment or a flag: the setting's kind decides how to read it.
    Word(&'a str),
    /// A text of a file.
    Text(&'a str),
    /// A number of a file, as written.
    Number(&'a str),
    /// A yes or no of a file.
    Switch(bool),
    /// Something of a file that no setting takes, by the name of its kind.
    Other(&'static str),
}

/// A value as it is shown, in the forms of [`crate::units`].
pub(crate) enum Shown {
    /// A text, a time or a size.
    Text(String),
    /// A number.
    Count(usize),
    /// A number that may be below zero.
    Integer(i64),
    /// Yes or no.
    Switch(bool),
    /// A text that must not be shown.
    Secret,
}

impl Field {
    /// Sets the field.
    pub(crate) fn store(&self, config: &mut Config, given: &Given<'_>) -> Result<(), String> {
        match self {
            Self::Text(field) => *field(config) = text(given)?.to_owned(),
            Self::Secret(field) => *field(config) = Secret::new(text(given)?),
            Self::Count(field) => *field(config) = count(given)?,
            Self::Integer(field) => *field(config) = integer(given)?,
            Self::ByteCount(field) => *field(config) = size(given)?,
            Self::Period(field) => *field(config) = period(given)?,
            Self::Switch(field) => *field(config) = switch(given)?,
            Self::FilePath(field) => {
                *field(config) =
                    Some(text(given)?).filter(|path| !path.is_empty()).map(PathBuf::from);
            }
            Self::ProtoType(field) => *field(config) = proto_type(given)?,
            Self::LogLevel(field) => *field(config) = choice(given)?,
            Self::LogFormat(field) => *field(config) = choice(given)?,
            Self::Compat(field) => *field(config) = choice(given)?,
            Self::MigrationMethod(field) => *field(config) = choice(given)?,
            Self::Topology(field) => *field(config) = choice(given)?,
            Self::CoordinatorName(field) => *field(config) = choice(given)?,
        }
        Ok(())
    }

    /// Shows the field.
    pub(crate) fn show(&self, config: &mut Config) -> Shown {
        match self {
            Self::Text(field) => Shown::Text(field(config).clone()),
            Self::Secret(_) => Shown::Secret,
            Self::Count(field) => Shown::Count(*field(config)),
            Self::Integer(field) => Shown::Integer(*field(config)),
            Self::ByteCount(field) => Shown::Text(size_text(*field(config))),
            Self::Period(field) => Shown::Text(duration_text(*field(config))),
            Self::Switch(field) => Shown::Switch(*field(config)),
            Self::FilePath(field) => Shown::Text(
                field(config).as_ref().map_or_else(String::new, |path| path.display().to_string()),
            ),
            Self::ProtoType(field) => Shown::Text(field(config).to_string()),
            Self::LogLevel(field) => Shown::Text(field(config).to_string()),
            Self::LogFormat(field) => Shown::Text(field(config).to_string()),
            Self::Compat(field) => Shown::Text(field(config).to_string()),
            Self::MigrationMethod(field) => Shown::Text(field(config).to_string()),
            Self::Topology(field) => Shown::Text(field(config).to_string()),
            Self::CoordinatorName(field) => Shown::Text(field(config).to_string()),
        }
    }

    /// The name of the field's kind, for the reference.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::FilePath(_) => "text",
            Self::Secret(_) => "secret",
            Self::Count(_) | Self::Integer(_) => "number",
            Self::ByteCount(_) => "bytes",
            Self::Period(_) => "time",
            Self::Switch(_) => "yes/no",
            Self::ProtoType(_)
            | Self::LogLevel(_)
            | Self::LogFormat(_)
            | Self::Compat(_)
            | Self::MigrationMethod(_)
            | Self::Topology(_)
            | Self::CoordinatorName(_) => "word",
        }
    }
}

impl Given<'_> {
    fn refused(&self, expected: &str) -> String {
        let kind = match self {
            Self::Word(word) => return format!("takes {expected}, not `{word}`"),
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Switch(_) => "a yes or no",
            Self::Other(kind) => kind,
        };
        format!("takes {expected}, not {kind}")
    }
}

fn text<'a>(given: &Given<'a>) -> Result<&'a str, String> {
    match given {
        Given::Word(text) | Given::Text(text) => Ok(text),
        Given::Number(_) | Given::Switch(_) | Given::Other(_) => {
            Err(given.refused("a text in quotes like \"name\""))
        }
    }
}

fn count(given: &Given<'_>) -> Result<usize, String> {
    match given {
        Given::Word(number) | Given::Number(number) => number.parse().ok(),
        Given::Text(_) | Given::Switch(_) | Given::Other(_) => None,
    }
    .ok_or_else(|| match given {
        Given::Number(number) => format!("takes a whole number from 0, not `{number}`"),
        Given::Word(_) | Given::Text(_) | Given::Switch(_) | Given::Other(_) => {
            given.refused("a whole number from 0 like 16")
        }
    })
}

fn integer(given: &Given<'_>) -> Result<i64, String> {
    match given {
        Given::Word(number) | Given::Number(number) => number.parse().ok(),
        Given::Text(_) | Given::Switch(_) | Given::Other(_) => None,
    }
    .ok_or_else(|| match given {
        Given::Number(number) => format!("takes a whole number, not `{number}`"),
        Given::Word(_) | Given::Text(_) | Given::Switch(_) | Given::Other(_) => {
            given.refused("a whole number like 10000 or -1")
        }
    })
}

fn size(given: &Given<'_>) -> Result<usize, String> {
    match given {
        Given::Word(text) | Given::Text(text) | Given::Number(text) => parse_size(text),
        Given::Switch(_) | Given::Other(_) => Err(given.refused("a number of bytes like \"64mb\"")),
    }
}

fn period(given: &Given<'_>) -> Result<Duration, String> {
    match given {
        Given::Word(text) | Given::Text(text) | Given::Number(text) => parse_duration(text),
        Given::Switch(_) | Given::Other(_) => Err(given.refused("a length of time like \"30s\"")),
    }
}

fn switch(given: &Given<'_>) -> Result<bool, String> {
    match given {
        Given::Switch(switch) => Ok(*switch),
        Given::Word("true") => Ok(true),
        Given::Word("false") => Ok(false),
        Given::Word(_) | Given::Text(_) | Given::Number(_) | Given::Other(_) => {
            Err(given.refused("true or false"))
        }
    }
}

fn choice<C: Choice>(given: &Given<'_>) -> Result<C, String> {
    let word = text(given)?;
    C::of_word(word).ok_or_else(|| format!("takes one of {}, not `{word}`", C::words()))
}

fn proto_type<C: Choice>(given: &Given<'_>) -> Result<C, String> {
    match text(given)? {
        word @ ("unix" | "unixpacket") => Err(format!(
            "cannot be `{word}`: Keyway listens on TCP only, use `tcp4`, `tcp6` or `tcp`"
        )),
        _ => choice(given),
    }
}
