//! Which addresses may be connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::{Network, NetworkError};

/// One entry of an operator's list: a network (`10.0.0.0/8`), an address, or a host name, where `*.example.com` stands
/// for every name below `example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Addresses.
    Network(IpNet),
    /// A host name in lower case.
    Name(String),
    /// Every name that ends with this, which begins with a dot.
    Below(String),
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address, network or host name\nhint: write `10.0.0.0/8`, `192.0.2.7`, `db.example.com` or `*.example.com`"
)]
pub struct RuleError(String);

impl RuleError {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError(text.to_owned());
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        let name = text.to_ascii_lowercase();
        let (name, below) = match name.strip_prefix("*.") {
            Some(rest) => (rest.to_owned(), true),
            None => (name, false),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let labels_are_plain = name.split('.').all(|label| !label.is_empty() && label.chars().all(plain));
        // What ends in a number is meant as an address: a mistyped one must not become a name that never matches.
        let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if !labels_are_plain || numeric {
            return Err(wrong());
        }
        Ok(if below { Self::Below(format!(".{name}")) } else { Self::Name(name) })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) if network.max_prefix_len() == network.prefix_len() => {
                write!(f, "{}", network.addr())
            }
            Self::Network(network) => write!(f, "{network}"),
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*{name}"),
        }
    }
}

impl Rule {
    pub(crate) fn matches_name(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match self {
            Self::Network(_) => false,
            Self::Name(name) => host.eq_ignore_ascii_case(name),
            Self::Below(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .and_then(|start| host.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
        }
    }

    pub(crate) fn matches_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&address),
            _ => false,
        }
    }
}

impl Network {
    /// Whether `address`, which `host` was found to have, may be connected to. `host` is the address itself where there
    /// is no name.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), NetworkError> {
        // The same place has several addresses: `::ffff:169.254.169.254` is no other than `169.254.169.254`.
        let meant = embedded(address).unwrap_or(address);
        let named = |rules: &[Rule]| rules.iter().any(|rule| rule.matches_name(host));
        let listed = |rules: &[Rule]| {
            rules.iter().find(|rule| rule.matches_address(meant) || rule.matches_address(address)).cloned()
        };
        let options = self.options();
        if named(&options.allow) || listed(&options.allow).is_some() {
            return Ok(());
        }
        let reason = if let Some(kind) = special(meant) {
            kind.to_owned()
        } else if let Some(rule) = listed(&options.deny) {
            format!("the configuration denies `{rule}`")
        } else {
            return self.check_name(host);
        };
        Err(NetworkError::Denied { host: host.to_owned(), address: Some(meant), reason })
    }

    /// Whether a host may be connected to as far as its name tells.
    pub fn check_name(&self, host: &str) -> Result<(), NetworkError> {
        let options = self.options();
        if options.allow.iter().any(|rule| rule.matches_name(host)) {
            return Ok(());
        }
        match options.deny.iter().find(|rule| rule.matches_name(host)) {
            None => Ok(()),
            Some(rule) => Err(NetworkError::Denied {
                host: host.to_owned(),
                address: None,
                reason: format!("the configuration denies `{rule}`"),
            }),
        }
    }
}

/// The address inside an address: IPv4 as IPv6 (mapped, compatible), through NAT64 (RFC 6052) and 6to4 (RFC 3056).
pub(crate) fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Why an address is denied unless the operator allows it: there, whoever asks is told credentials of the machine, and
/// a flow often gets its URLs from somebody else.
fn special(address: IpAddr) -> Option<&'static str> {
    const LINK_LOCAL: &str = "it is a link-local address, where clouds hand out credentials of the machine";
    const METADATA: &str = "it is the address where a cloud hands out credentials of the machine";
    match address {
        IpAddr::V4(v4) if v4.is_link_local() => Some(LINK_LOCAL),
        // Alibaba Cloud; Oracle Cloud (classic); Azure's platform channel.
        IpAddr::V4(v4)
            if [[100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]].contains(&v4.octets()) =>
        {
            Some(METADATA)
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(LINK_LOCAL),
        IpAddr::V6(v6) if METADATA_V6.contains(&v6) => Some(METADATA),
        _ => None,
    }
}

/// Amazon (`fd00:ec2::254`, `fd00:ec2::23` for pods), Google, Scaleway, Oracle.
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkOptions;

    fn network(allow: &[&str], deny: &[&str]) -> Network {
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Network::new(NetworkOptions { allow: rules(allow), deny: rules(deny), ..NetworkOptions::default() })
    }

    #[test]
    fn rules_as_written() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("192.0.2.7", Some("192.0.2.7")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("fd00::/8", Some("fd00::/8")),
            ("DB.Example.com", Some("db.example.com")),
            ("*.example.com", Some("*.example.com")),
            ("localhost", Some("localhost")),
            ("10.0.0.256", None),
            ("10.0.0/8", None),
            ("10.0.0.0/33", None),
            ("*", None),
            ("a..b", None),
            ("https://example.com", None),
            ("example.com:443", None),
            ("", None),
        ] {
            let rule = text.parse::<Rule>().ok().map(|rule| rule.to_string());
            assert_eq!(rule.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn places_where_clouds_keep_credentials_are_denied_however_they_are_written() {
        let open = network(&[], &[]);
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            let error = open.check("somewhere", address.parse().unwrap()).expect_err(address);
            assert_eq!(error.code(), "network.denied");
        }
        for address in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "8.8.8.8", "::1", "2001:db8::1", "fd00::1"] {
            open.check("somewhere", address.parse().unwrap()).expect(address);
        }
    }

    #[test]
    fn an_operator_denies_and_allows() {
        let network = network(
            &["169.254.169.254", "10.0.0.7", "good.internal", "*.trusted.example"],
            &["10.0.0.0/8", "*.internal", "evil.example", "::1"],
        );
        for (host, address, allowed) in [
            ("metadata", "169.254.169.254", true),
            ("metadata", "::ffff:169.254.169.254", true),
            ("metadata", "169.254.169.253", false),
            ("a", "10.0.0.6", false),
            ("a", "::ffff:10.0.0.6", false),
            ("a", "10.0.0.7", true),
            ("good.internal", "10.0.0.6", true),
            ("bad.internal", "192.0.2.1", false),
            ("bad.INTERNAL.", "192.0.2.1", false),
            ("internal", "192.0.2.1", true),
            ("x.trusted.example", "169.254.0.1", true),
            ("trusted.example", "169.254.0.1", false),
            ("evil.example", "192.0.2.1", false),
            ("notevil.example", "192.0.2.1", true),
            ("localhost", "::1", false),
            ("localhost", "127.0.0.1", true),
        ] {
            let result = network.check(host, address.parse().unwrap());
            assert_eq!(result.is_ok(), allowed, "{host} {address}: {result:?}");
        }
    }
}
