//! `network`: what plugins may connect to, and how.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::{Deserialize, Deserializer};
use weft_network::{NetworkOptions, Rule};

use crate::text;

/// What the operator says of connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct NetworkConfig {
    /// What may be connected to although something else denies it.
    allow: Vec<RuleText>,
    /// What may not be connected to, beside addresses where clouds hand out credentials.
    deny: Vec<RuleText>,
    /// A PEM file of certificate authorities to trust beside the system's.
    ca_file: Option<PathBuf>,
    /// The proxy for HTTP, instead of the environment's.
    proxy: Option<String>,
    /// Hosts that are reached without it, separated by commas.
    no_proxy: Option<String>,
    /// Which SSH servers are taken: `any` (an unknown one with a warning) or `known`.
    ssh_host_keys: HostKeys,
    /// How long a connection may take to be made.
    connect_timeout: Option<TimeText>,
    /// How long the other side may be silent.
    read_timeout: Option<TimeText>,
}

impl NetworkConfig {
    /// The same for whoever makes connections, with the defaults filled in.
    pub fn options(&self) -> NetworkOptions {
        let rules = |texts: &[RuleText]| texts.iter().map(|rule| rule.0.clone()).collect();
        let usual = NetworkOptions::default();
        NetworkOptions {
            allow: rules(&self.allow),
            deny: rules(&self.deny),
            ca_file: self.ca_file.clone(),
            proxy: self.proxy.clone(),
            no_proxy: self.no_proxy.clone(),
            known_hosts_only: self.ssh_host_keys == HostKeys::Known,
            connect_timeout: self.connect_timeout.map_or(usual.connect_timeout, |time| time.0),
            read_timeout: self.read_timeout.map_or(usual.read_timeout, |time| time.0),
        }
    }
}

/// Which SSH servers are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum HostKeys {
    /// All; an unknown one with a warning.
    #[default]
    Any,
    /// Those in `known_hosts`.
    Known,
}

/// A rule, read when the file is: so a mistake in it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RuleText(Rule);

impl<'de> Deserialize<'de> for RuleText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::parsed(deserializer, |text| text.parse().map(Self).map_err(|error| format!("{error}")))
    }
}

/// A length of time, likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeText(pub(crate) Duration);

impl<'de> Deserialize<'de> for TimeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::parsed(deserializer, |text| match text.parse::<SignedDuration>() {
            Ok(time) if time.is_positive() => Ok(Self(time.unsigned_abs())),
            _ => Err(format!("`{text}` is no length of time: expected one like `PT30S`")),
        })
    }
}
