//! Puts a configuration together from its sources.
//!
//! ```text
//! defaults  <  file  <  environment  <  flags        (the right one wins)
//! ```
//!
//! The caller feeds a [`Loader`] in this order. Nothing stops at the first problem: all of them
//! are collected with their place, so that one run shows an operator everything there is to
//! correct. The sources may differ in what they allow, the checks at the end do not.
//!
//! A file is TOML, or, when its name says so, one of lines `key = value` ([`crate::ini`]), in which
//! the names of earlier proxies ([`crate::earlier`]) stand beside ours.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::earlier;
use crate::error::{ConfigError, Origin, Problem, position};
use crate::ini;
use crate::settings::{self, Config};
use crate::validate::{self, Finding};
use crate::value::Given;

/// What every environment variable of ours starts with.
const PREFIX: &str = "KEYWAY_";

/// Short names of environment variables, spelt like the flags.
const SHORT_VARIABLES: &[(&str, &str)] = &[("listen", "proxy_addr"), ("admin", "admin_addr")];

/// Variables that are not settings: the path of the file, which the command line reads, and
/// what Kubernetes sets in every pod beside a service called `keyway`.
const FOREIGN_VARIABLES: &[&str] = &["config", "service_host", "service_port", "port"];
const FOREIGN_VARIABLE_PREFIXES: &[&str] = &["service_port_", "port_"];

/// How the name of a file ends that has lines `key = value`.
const INI_EXTENSION: &str = "ini";

/// How alike two names must be for one to be suggested for the other, from 0 to 1.
const LIKENESS_MIN: f64 = 0.7;

/// Where each setting was given that is not at its default.
#[derive(Debug, Default)]
struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    fn locate(&self, findings: Vec<Finding>) -> impl Iterator<Item = Problem> {
        findings.into_iter().map(|finding| {
            let other = || finding.other.and_then(|other| self.0.get(other));
            let origin = self.0.get(finding.key).or_else(other);
            Problem { origin: origin.cloned().unwrap_or(Origin::Default), text: finding.text }
        })
    }
}

/// A configuration in the making.
#[derive(Debug, Default)]
pub struct Loader {
    config: Config,
    origins: Origins,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What is worth a warning.
    pub warnings: Vec<Problem>,
}

impl Loader {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the settings of a file; `name` is what messages call it, and says by its end of which
    /// kind the file is.
    pub fn file(&mut self, name: &str, text: &str) {
        let extension = Path::new(name).extension();
        if extension.is_some_and(|extension| extension.eq_ignore_ascii_case(INI_EXTENSION)) {
            self.ini(name, text);
        } else {
            self.toml(name, text);
        }
    }

    fn ini(&mut self, name: &str, text: &str) {
        let at = |offset: usize| {
            let (line, column) = position(text, offset);
            Origin::File { name: name.to_owned(), line, column }
        };
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in ini::parse(text) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(fault) => {
                    self.problems
                        .push(Problem { origin: at(fault.at), text: fault.text.to_owned() });
                    continue;
                }
            };
            if let Some(before) = seen.insert(entry.key, entry.key_at) {
                let (line, _) = position(text, before);
                let text =
                    format!("`{}` stands in line {line} already, this one counts", entry.key);
                self.warnings.push(Problem { origin: at(entry.key_at), text });
            }
            let is_known = settings::key(entry.key).is_some() || earlier::key(entry.key).is_some();
            if !is_known {
                let closest = closest_to(entry.key, settings_and_earlier());
                self.unknown(at(entry.key_at), entry.key, closest);
            } else if !entry.value.is_empty() {
                // A key without a value says nothing, as in the files of Codis.
                self.set_earlier(entry.key, entry.value, &at(entry.value_at));
            }
        }
    }

    fn toml(&mut self, name: &str, text: &str) {
        let at = |offset: usize| {
            let (line, column) = position(text, offset);
            Origin::File { name: name.to_owned(), line, column }
        };
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                return self.problems.push(Problem {
                    origin: at(error.span().map_or(0, |span| span.start)),
                    text: error.message().replace('\n', ", "),
                });
            }
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = key.get_ref();
            if settings::key(name).is_none() {
                self.unknown(at(key.span().start), name, closest_setting(name));
                continue;
            }
            let given = match value.get_ref() {
                DeValue::String(text) => Given::Text(text),
                DeValue::Integer(integer) => match integer.radix() {
                    10 => Given::Number(integer.as_str()),
                    _ => Given::Other("a number that is not decimal"),
                },
                DeValue::Float(float) => Given::Number(float.as_str()),
                DeValue::Boolean(switch) => Given::Switch(*switch),
                DeValue::Datetime(_) => Given::Other("a date"),
                DeValue::Array(_) => Given::Other("a list"),
                DeValue::Table(_) => Given::Other("a table"),
            };
            self.set(name, &given, at(value.span().start));
        }
    }

    /// Adds the settings of environment variables; those that are not ours are passed over. One
    /// that starts like ours and names no setting is worth a warning when it looks like a slip.
    pub fn environment<V: AsRef<str>>(&mut self, variables: impl IntoIterator<Item = (V, V)>) {
        let mut ours: Vec<(String, String, V)> = variables
            .into_iter()
            .filter_map(|(variable, value)| {
                let name = variable.as_ref().strip_prefix(PREFIX)?.to_lowercase();
                Some((variable.as_ref().to_owned(), name, value))
            })
            .collect();
        // Short names first: the full name of a setting wins over its short one.
        ours.sort_by_key(|(variable, name, _)| (full_name(name) == name, variable.clone()));
        for (variable, name, value) in &ours {
            let name = full_name(name);
            let origin = Origin::Environment { variable: variable.clone() };
            if settings::key(name).is_some() {
                self.set(name, &Given::Word(value.as_ref()), origin);
            } else if let Some(closest) = closest_setting(name).filter(|_| !is_foreign(name)) {
                self.unknown(origin, name, Some(closest));
            }
        }
    }

    /// Adds the setting `key` as given by a flag; `flag` is what messages call it.
    pub fn flag(&mut self, flag: &'static str, key: &str, value: &str) {
        self.set(key, &Given::Word(value), Origin::Flag { flag });
    }

    /// Adds what a flag of an earlier proxy says; `name` is the key in the files of that proxy.
    pub fn earlier_flag(&mut self, flag: &'static str, name: &str, value: &str) {
        self.set_earlier(name, value, &Origin::Flag { flag });
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    /// Everything that is wrong with any of the sources.
    pub fn finish(mut self) -> Result<Loaded, ConfigError> {
        let findings = validate::check(&mut self.config);
        self.problems.extend(self.origins.locate(findings.errors));
        self.warnings.extend(self.origins.locate(findings.warnings));
        for found in [&mut self.problems, &mut self.warnings] {
            found.sort_by(|a, b| a.origin.cmp(&b.origin));
        }
        if self.problems.is_empty() {
            Ok(Loaded { config: self.config, warnings: self.warnings })
        } else {
            Err(ConfigError { problems: self.problems, warnings: self.warnings })
        }
    }

    /// Sets what a key stands for that may be one of an earlier proxy.
    fn set_earlier(&mut self, name: &str, value: &str, origin: &Origin) {
        let Some(earlier) = earlier::key(name) else {
            return self.set(name, &Given::Word(value), origin.clone());
        };
        let value = earlier.value(value);
        for key in earlier.settings.iter().filter_map(|name| settings::key(name)) {
            match key.field.store(&mut self.config, &Given::Word(&value)) {
                Ok(()) => {
                    self.origins.0.insert(key.name, origin.clone());
                }
                Err(text) => {
                    // The others would be refused for the same.
                    let text = format!("`{name}` {text}");
                    return self.problems.push(Problem { origin: origin.clone(), text });
                }
            }
        }
    }

    fn set(&mut self, name: &str, given: &Given<'_>, origin: Origin) {
        let Some(key) = settings::key(name) else {
            return self.unknown(origin, name, closest_setting(name));
        };
        match key.field.store(&mut self.config, given) {
            Ok(()) => {
                self.origins.0.insert(key.name, origin);
            }
            Err(text) => {
                self.problems.push(Problem { origin, text: format!("`{}` {text}", key.name) });
            }
        }
    }

    fn unknown(&mut self, origin: Origin, name: &str, closest: Option<&str>) {
        let text = match closest {
            Some(closest) => format!("unknown setting `{name}`, did you mean `{closest}`?"),
            None => format!("unknown setting `{name}`, see `keyway --default-config` for all"),
        };
        self.warnings.push(Problem { origin, text });
    }
}

fn full_name(name: &str) -> &str {
    SHORT_VARIABLES.iter().find(|(short, _)| *short == name).map_or(name, |(_, full)| full)
}

/// The setting whose name is most like `name`, if any is like it at all.
fn closest_setting(name: &str) -> Option<&'static str> {
    closest_to(name, settings::keys().map(|key| key.name))
}

fn settings_and_earlier() -> impl Iterator<Item = &'static str> {
    settings::keys().map(|key| key.name).chain(earlier::names())
}

fn closest_to(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .map(|(_, closest)| closest)
}

fn is_foreign(name: &str) -> bool {
    FOREIGN_VARIABLES.contains(&name)
        || FOREIGN_VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests;
