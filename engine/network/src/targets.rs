//! Which hosts one plugin may connect to, when the operator does not let it connect to all.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use tokio::net::lookup_host;

use crate::rules::{Rule, RuleError, embedded};
use crate::{Network, NetworkError};

/// A host, hosts or a network, as in the operator's lists, with or without a port: `api.example.com`, `*.example.com:443`,
/// `10.0.0.0/8`, `[::1]:27017`. `*` is every host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// None for every host.
    rule: Option<Rule>,
    /// None for every port.
    port: Option<u16>,
}

impl FromStr for Target {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let host = |text: &str| match text {
            "*" => Ok(None),
            text => text.parse().map(Some),
        };
        // `fd00::1` is an address and no host with a port, so the whole is tried first.
        if let Ok(rule) = host(text) {
            return Ok(Self { rule, port: None });
        }
        match text.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?))) {
            Some((name, port)) => {
                let rule = host(name).map_err(|_| RuleError::of(text))?;
                Ok(Self { rule, port: Some(port) })
            }
            None => Err(RuleError::of(text)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match &self.rule {
            None => "*".to_owned(),
            Some(rule) => rule.to_string(),
        };
        match self.port {
            None => f.write_str(&host),
            Some(port) if host.contains(':') && !host.contains('/') => write!(f, "[{host}]:{port}"),
            Some(port) => write!(f, "{host}:{port}"),
        }
    }
}

impl Target {
    /// Whether it is `*`.
    pub fn is_everything(&self) -> bool {
        self.rule.is_none() && self.port.is_none()
    }

    /// Whether `host`, which was found to be at `address`, is meant. Without an address, only what the name tells counts.
    pub fn matches(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        if self.port.is_some_and(|own| own != port) {
            return false;
        }
        let Some(rule) = &self.rule else { return true };
        let at = |address: IpAddr| {
            rule.matches_address(address)
                || embedded(address).is_some_and(|inner| rule.matches_address(inner))
        };
        let written = host.trim_matches(['[', ']']).parse().ok();
        rule.matches_name(host) || address.or(written).is_some_and(at)
    }

    /// The one host name that it stands for, if it stands for one.
    fn name(&self) -> Option<&str> {
        match &self.rule {
            Some(Rule::Name(name)) => Some(name),
            _ => None,
        }
    }
}

/// Makes the text of the error for a host and a port that are not among the targets.
pub type Denial = Box<dyn Fn(&str, u16) -> String + Send + Sync>;

/// The hosts that somebody may connect to, and what to say of all others.
pub struct Targets {
    /// Each of these lists must have the host.
    within: Vec<Vec<Target>>,
    /// None of these may be the host.
    except: Vec<Target>,
    denial: Denial,
}

impl Targets {
    /// Hosts that each list of `within` has and `except` has not.
    pub fn new(within: Vec<Vec<Target>>, except: Vec<Target>, denial: Denial) -> Self {
        Self { within, except, denial }
    }

    /// Whether a host, which was found to be at `address`, may be connected to.
    pub(crate) fn check(&self, host: &str, address: Option<IpAddr>, port: u16) -> Result<(), NetworkError> {
        let has = |list: &[Target]| list.iter().any(|target| target.matches(host, address, port));
        if self.within.iter().all(|list| has(list)) && !has(&self.except) {
            return Ok(());
        }
        Err(self.denied(host, port))
    }

    /// Whether none of the addresses of `host` could be allowed, as its name tells.
    pub(crate) fn check_excepted(&self, host: &str, port: u16) -> Result<(), NetworkError> {
        match self.except.iter().any(|target| target.matches(host, None, port)) {
            true => Err(self.denied(host, port)),
            false => Ok(()),
        }
    }

    fn denied(&self, host: &str, port: u16) -> NetworkError {
        NetworkError::NotGranted((self.denial)(host, port))
    }

    /// The same for somebody who has looked a name up already and connects to an address: a target that is a name is looked
    /// up as well.
    async fn check_address(&self, address: IpAddr, port: u16) -> Result<(), NetworkError> {
        let host = address.to_string();
        let mut has_all = true;
        for list in &self.within {
            let mut has = false;
            for target in list {
                has = has
                    || target.matches(&host, Some(address), port)
                    || leads_to(target, address, port).await;
            }
            has_all &= has;
        }
        let mut excepted = false;
        for target in &self.except {
            excepted = excepted
                || target.matches(&host, Some(address), port)
                || leads_to(target, address, port).await;
        }
        if has_all && !excepted { Ok(()) } else { Err(self.denied(&host, port)) }
    }
}

/// Whether a target is a name that has this address now.
async fn leads_to(target: &Target, address: IpAddr, port: u16) -> bool {
    let Some(name) = target.name().filter(|_| target.port.is_none_or(|own| own == port)) else {
        return false;
    };
    match lookup_host((name, port)).await {
        Ok(mut found) => found.any(|found| found.ip() == address),
        Err(_) => false,
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Targets")
            .field("within", &self.within)
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}

/// Whose connections are kept apart: a connection that one may have made is not for another.
#[derive(Clone)]
pub(crate) struct Whose(Option<Arc<Targets>>);

impl PartialEq for Whose {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Whose {}

impl Hash for Whose {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ref().map(Arc::as_ptr).hash(state);
    }
}

impl Network {
    /// The same network for somebody who may only connect to `targets`, beside all that the operator's rules say. Everyone
    /// who has the same `Arc` shares connections.
    #[must_use]
    pub fn only(&self, targets: &Arc<Targets>) -> Self {
        Self { targets: Some(Arc::clone(targets)), ..self.clone() }
    }

    pub(crate) fn targets(&self) -> Option<&Targets> {
        self.targets.as_deref()
    }

    pub(crate) fn whose(&self) -> Whose {
        Whose(self.targets.clone())
    }

    /// Whether somebody who does name lookup himself may connect to this address.
    pub async fn check_address(&self, address: IpAddr, port: u16) -> Result<(), NetworkError> {
        self.check(&address.to_string(), address)?;
        match self.targets() {
            None => Ok(()),
            Some(targets) => targets.check_address(address, port).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    fn targets(within: &[&[&str]], except: &[&str]) -> Targets {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let within = within.iter().map(|texts| list(texts)).collect();
        Targets::new(within, list(except), Box::new(|host, port| format!("not {host}:{port}")))
    }

    #[test]
    fn targets_as_written() {
        for (text, expected) in [
            ("api.example.com", Some("api.example.com")),
            ("API.example.com:443", Some("api.example.com:443")),
            ("*.example.com:8443", Some("*.example.com:8443")),
            ("*", Some("*")),
            ("*:443", Some("*:443")),
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.0/8:5432", Some("10.0.0.0/8:5432")),
            ("192.0.2.7:80", Some("192.0.2.7:80")),
            ("fd00::1", Some("fd00::1")),
            ("[fd00::1]:80", Some("[fd00::1]:80")),
            ("localhost:0", Some("localhost:0")),
            ("localhost:65536", None),
            ("localhost:", None),
            (":80", None),
            ("https://example.com", None),
            ("user@example.com", None),
            ("example.com/path", None),
            ("", None),
        ] {
            let target = text.parse::<Target>().ok().map(|target| target.to_string());
            assert_eq!(target.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn hosts_are_told_by_name_address_and_port() {
        let own = targets(
            &[&["api.example.com", "*.example.org:443", "10.0.0.0/8", "[::1]:80"]],
            &["bad.example.org", "10.0.0.9"],
        );
        for (host, address, port, allowed) in [
            ("api.example.com", Some("192.0.2.1"), 80, true),
            ("API.EXAMPLE.COM.", Some("192.0.2.1"), 80, true),
            ("api.example.com", None, 80, true),
            ("xapi.example.com", Some("192.0.2.1"), 80, false),
            ("api.example.com.evil.example", Some("192.0.2.1"), 80, false),
            ("a.example.org", Some("192.0.2.1"), 443, true),
            ("a.example.org", Some("192.0.2.1"), 80, false),
            ("example.org", Some("192.0.2.1"), 443, false),
            ("bad.example.org", Some("192.0.2.1"), 443, false),
            ("anything", Some("10.1.2.3"), 80, true),
            ("anything", Some("::ffff:10.1.2.3"), 80, true),
            ("anything", Some("10.0.0.9"), 80, false),
            ("anything", None, 80, false),
            ("10.1.2.3", None, 80, true),
            ("[::1]", None, 80, true),
            ("[::1]", None, 81, false),
            ("localhost", Some("::1"), 80, true),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            let result = own.check(host, address, port);
            assert_eq!(result.is_ok(), allowed, "{host} {address:?} {port}: {result:?}");
        }
    }

    #[test]
    fn each_list_must_have_the_host() {
        let both = targets(&[&["*.example.com"], &["a.example.com", "b.example.net"]], &[]);
        for (host, allowed) in [("a.example.com", true), ("c.example.com", false), ("b.example.net", false)] {
            assert_eq!(both.check(host, None, 80).is_ok(), allowed, "{host}");
        }
    }

    #[tokio::test]
    async fn connections_are_checked_where_they_are_made() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let elsewhere = format!("localhost:{}", port.wrapping_add(1));
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        for (within, host, by_name, by_address) in [
            ("localhost", "localhost", true, true),
            ("127.0.0.0/8", "localhost", true, true),
            ("127.0.0.1", "127.0.0.1", true, true),
            // The name is another, although the address would be the same.
            ("localhost", "127.0.0.1", false, true),
            ("192.0.2.0/24", "localhost", false, false),
            (&elsewhere, "localhost", false, false),
            ("*", "localhost", true, true),
        ] {
            let network = Network::default().only(&Arc::new(targets(&[&[within]], &[])));
            let connected = network.connect(host, port, Duration::from_secs(10)).await;
            assert_eq!(connected.is_ok(), by_name, "{within} {host}: {connected:?}");
            if let Err(error) = connected {
                assert_eq!(
                    (error.code(), error.to_string()),
                    ("capability.denied", format!("not {host}:{port}"))
                );
            }
            let checked = network.check_address(address, port).await;
            assert_eq!(checked.is_ok(), by_address, "{within}: {checked:?}");
        }
    }
}
