//! The configuration as text: the commented default file, the reference, the admin API's form.

use std::fmt::Write as _;

use crate::settings::{Config, Key, SECTIONS};
use crate::value::Shown;

const HEAD: &str = "\
# Settings of a Keyway proxy, with their defaults.
#
# Times:  a number and ns, us, ms, s, m or h, in quotes: \"30s\". A bare number is in seconds.
# Bytes:  a number and b, kb, mb, gb, tb or pb (of 1024), in quotes: \"64mb\". Bare: bytes.
#
# A flag of `keyway proxy` wins over the environment, which wins over this file. The variable of
# a setting is KEYWAY_ and its name in capitals: KEYWAY_SESSION_AUTH.
# `keyway check FILE` tells what is wrong with a file.
";

/// Writes a file with every setting, its meaning and its default. It loads as it stands.
#[must_use]
pub fn default_file() -> String {
    let mut config = Config::default();
    let mut file = HEAD.to_owned();
    for section in SECTIONS {
        write_to(&mut file, format_args!("\n\n# ---- {} ----\n", section.title));
        for key in section.keys {
            file.push('\n');
            for line in key.doc {
                write_to(&mut file, format_args!("#{line}\n"));
            }
            let value = toml_value(&key.field.show(&mut config));
            write_to(&mut file, format_args!("{} = {value}\n", key.name));
        }
    }
    file
}

/// Writes a Markdown table of all settings per section, for the documentation.
#[must_use]
pub fn reference() -> String {
    let mut config = Config::default();
    let mut text = String::new();
    for section in SECTIONS {
        write_to(&mut text, format_args!("### {}\n\n", section.title));
        text.push_str("| key | kind | default | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            let default = toml_value(&key.field.show(&mut config));
            write_to(
                &mut text,
                format_args!(
                    "| `{}` | {} | `{default}` | {} |\n",
                    key.name,
                    key.field.kind(),
                    meaning(key)
                ),
            );
        }
        text.push('\n');
    }
    text
}

impl Config {
    /// Every setting but the secrets by name, in the forms of the Codis admin API: times and
    /// sizes as texts with their unit.
    #[must_use]
    pub fn to_public_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut config = self.clone();
        SECTIONS
            .iter()
            .flat_map(|section| section.keys)
            .filter_map(|key| {
                let value = match key.field.show(&mut config) {
                    Shown::Text(text) => text.into(),
                    Shown::Count(count) => count.into(),
                    Shown::Integer(number) => number.into(),
                    Shown::Switch(switch) => switch.into(),
                    Shown::Secret => return None,
                };
                Some((key.name.to_owned(), value))
            })
            .collect()
    }
}

fn meaning(key: &Key) -> String {
    let lines: Vec<&str> = key.doc.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

fn toml_value(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => toml::Value::from(text.as_str()).to_string(),
        Shown::Count(count) => count.to_string(),
        Shown::Integer(number) => number.to_string(),
        Shown::Switch(switch) => switch.to_string(),
        Shown::Secret => "\"\"".to_owned(),
    }
}

fn write_to(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a `String` cannot fail");
}

#[cfg(test)]
mod tests;
