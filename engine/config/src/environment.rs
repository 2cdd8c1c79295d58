//! `environment`: which variables scripts that run as processes see, beside those of the flow.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Deserializer;

use crate::text::parsed;

/// What the operator says of the environment of scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct EnvironmentConfig {
    /// The engine's variables that are passed on beside the usual ones: names, or beginnings of names with a `*`.
    pass: Vec<Pattern>,
    /// Variables with their values.
    set: BTreeMap<Name, String>,
}

impl EnvironmentConfig {
    /// The names that are passed on, and beginnings of names that end with a `*`.
    pub fn pass(&self) -> Vec<String> {
        self.pass.iter().map(|pattern| pattern.0.clone()).collect()
    }

    /// Variables with their values.
    pub fn set(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|(name, value)| (name.0.as_str(), value.as_str()))
    }
}

/// A name, or the beginning of names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(String);

/// A name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name(String);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| match text.strip_suffix('*').unwrap_or(text) {
            "" if text == "*" => Ok(Self(text.to_owned())),
            name if is_name(name) => Ok(Self(text.to_owned())),
            _ => Err(format!("`{text}` is no name of a variable, nor the beginning of one as `APP_*`")),
        })
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| match is_name(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("`{text}` is no name of a variable")),
        })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['=', '*', '\0'])
}
