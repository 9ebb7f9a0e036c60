//! A URL that somebody gave us, as far as it can be judged without asking what its name means.

use std::net::IpAddr;

use reqwest::Url;

use crate::domain::network::{self, Network};

const MOST_BYTES: usize = 2_048;
/// Names that mean something within a network only (RFC 6761, RFC 6762, RFC 8375, RFC 9476).
const INNER: [&str; 7] = ["localhost", "local", "internal", "intranet", "lan", "home.arpa", "alt"];

/// What is called besides public addresses by port 443.
#[derive(Debug, Clone)]
pub struct Rules {
    ports: Vec<u16>,
    allowed: Vec<Network>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As it is called and shown: a URL has many spellings, this is the one.
    pub url: String,
    pub host: Host,
    pub port: u16,
    /// For the header `Host`.
    pub authority: String,
    /// With the query.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// In ASCII.
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATarget {
    #[error("a URL of at most 2048 characters without spaces is expected")]
    NotAUrl,
    #[error("only https is called")]
    Scheme,
    #[error("no user and no password may be in it")]
    UserInfo,
    #[error("no fragment may be in it")]
    Fragment,
    #[error("this port is not called")]
    Port,
    #[error("this host is not called: a name with a dot and without one at its end is expected")]
    Host,
    #[error("this address is not called")]
    Address,
}

impl Rules {
    pub fn new(ports: Vec<u16>, allowed: Vec<Network>) -> Self {
        Self { ports, allowed }
    }

    pub fn allows(&self, address: IpAddr) -> bool {
        network::is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }

    /// Whether a name can be called at all; what it means is found out later.
    fn allows_name(&self, name: &str) -> bool {
        let is_below =
            |inner: &str| name.strip_suffix(inner).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let is_inner = !name.contains('.') || INNER.into_iter().any(is_below);
        !name.ends_with('.') && (!is_inner || !self.allowed.is_empty())
    }
}

impl Target {
    pub fn parse(text: &str, rules: &Rules) -> Result<Self, NotATarget> {
        // A reader of URLs drops line breaks and takes a backslash for a slash; whoever writes them means no good.
        if text.len() > MOST_BYTES || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(NotATarget::NotAUrl);
        }
        let url = Url::parse(text).map_err(|_| NotATarget::NotAUrl)?;
        if url.scheme() != "https" {
            return Err(NotATarget::Scheme);
        }
        // Also an empty one, which the reader drops.
        let (_, rest) = text.split_once(':').ok_or(NotATarget::NotAUrl)?;
        let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
            return Err(NotATarget::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(NotATarget::Fragment);
        }
        let port = url.port_or_known_default().ok_or(NotATarget::Port)?;
        if !rules.ports.contains(&port) {
            return Err(NotATarget::Port);
        }
        let name = url.host_str().ok_or(NotATarget::Host)?;
        // However an address was written, as digits of any kind and base, here it is one of four or of sixteen bytes.
        let address = name.trim_start_matches('[').trim_end_matches(']').parse();
        let host = match address {
            Ok(address) if rules.allows(address) => Host::Address(address),
            Ok(_) => return Err(NotATarget::Address),
            Err(_) if rules.allows_name(name) => Host::Name(name.to_owned()),
            Err(_) => return Err(NotATarget::Host),
        };
        let authority = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok(Self { host, port, authority, path, url: url.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::{NotATarget::*, *};

    fn rules(allowed: &[&str]) -> Rules {
        Rules::new(vec![443], allowed.iter().map(|text| text.parse().expect("a network")).collect())
    }

    #[test]
    fn s_41_what_is_not_a_public_https_url_is_refused() {
        let rules = rules(&[]);
        let table = [
            ("", NotAUrl),
            ("hooks.shop.com", NotAUrl),
            ("https://", NotAUrl),
            ("https://hooks.shop.com/a b", NotAUrl),
            ("https://hooks.shop\n.com/", NotAUrl),
            ("https://hooks.shop\t.com/", NotAUrl),
            (" https://hooks.shop.com/", NotAUrl),
            ("https://hooks.shop.com\\@10.0.0.1/", NotAUrl),
            ("https:\\\\10.0.0.1/", NotAUrl),
            ("https://a..b\u{0}/", NotAUrl),
            ("https://[::1/", NotAUrl),
            ("https://256.256.256.256/", NotAUrl),
            ("https://1.2.3.4.5/", NotAUrl),
            ("https://hooks.shop.com:99999/", NotAUrl),
            ("https://xn--/", NotAUrl),
            ("http://hooks.shop.com/", Scheme),
            ("ftp://hooks.shop.com/", Scheme),
            ("file:///etc/passwd", Scheme),
            ("gopher://hooks.shop.com/", Scheme),
            ("javascript:alert(1)", Scheme),
            ("data:text/plain,x", Scheme),
            ("unix:/run/docker.sock", Scheme),
            ("https://user@hooks.shop.com/", UserInfo),
            ("https://user:secret@hooks.shop.com/", UserInfo),
            ("https://@hooks.shop.com/", UserInfo),
            ("https://hooks.shop.com@10.0.0.1/", UserInfo),
            ("https://hooks.shop.com:443@127.0.0.1/", UserInfo),
            ("https://hooks.shop.com/#here", Fragment),
            ("https://hooks.shop.com:80/", Port),
            ("https://hooks.shop.com:8443/", Port),
            ("https://hooks.shop.com:0/", Port),
            ("https://localhost/", Host),
            ("https://LOCALHOST/", Host),
            ("https://localhost./", Host),
            ("https://a.localhost/", Host),
            ("https://router/", Host),
            ("https://printer.local/", Host),
            ("https://metadata.google.internal/", Host),
            ("https://nas.lan/", Host),
            ("https://box.home.arpa/", Host),
            ("https://hooks.shop.com./", Host),
            ("https://127.0.0.1/", Address),
            ("https://127.0.0.1./", Address),
            ("https://127.1/", Address),
            ("https://0x7f.1/", Address),
            ("https://0x7f000001/", Address),
            ("https://0177.0.0.1/", Address),
            ("https://2130706433/", Address),
            ("https://017700000001/", Address),
            ("https://%31%32%37.0.0.1/", Address),
            ("https://１２７.０.０.１/", Address),
            ("https://127。0。0。1/", Address),
            ("https://①②⑦.⓪.⓪.①/", Address),
            ("https://0/", Address),
            ("https://0.0.0.0/", Address),
            ("https://10.0.0.1/", Address),
            ("https://100.100.100.200/latest/meta-data", Address),
            ("https://169.254.169.254/latest/meta-data", Address),
            ("https://168.63.129.16/", Address),
            ("https://192.168.1.1/", Address),
            ("https://172.16.0.1/", Address),
            ("https://224.0.0.1/", Address),
            ("https://255.255.255.255/", Address),
            ("https://[::]/", Address),
            ("https://[::1]/", Address),
            ("https://[0:0:0:0:0:0:0:1]/", Address),
            ("https://[::ffff:127.0.0.1]/", Address),
            ("https://[::ffff:7f00:1]/", Address),
            ("https://[::ffff:8.8.8.8]/", Address),
            ("https://[64:ff9b::10.0.0.1]/", Address),
            ("https://[2002:a00:1::]/", Address),
            ("https://[2001:db8::1]/", Address),
            ("https://[fd00:ec2::254]/", Address),
            ("https://[fe80::1]/", Address),
            ("https://[ff02::1]/", Address),
        ];
        for (text, expected) in table {
            assert_eq!(Target::parse(text, &rules).map(|target| target.url), Err(expected), "{text}");
        }
        let long = format!("https://hooks.shop.com/{}", "a".repeat(MOST_BYTES));
        assert_eq!(Target::parse(&long, &rules), Err(NotAUrl));
        assert_eq!(table.len(), 75);
    }

    #[test]
    fn a_public_url_is_taken_in_one_spelling() {
        let rules = rules(&[]);
        for (text, url, authority, path) in [
            ("https://hooks.shop.com", "https://hooks.shop.com/", "hooks.shop.com", "/"),
            ("HTTPS://Hooks.SHOP.com:443/a?b=c", "https://hooks.shop.com/a?b=c", "hooks.shop.com", "/a?b=c"),
            ("https://bücher.example.com/", "https://xn--bcher-kva.example.com/", "xn--bcher-kva.example.com", "/"),
            (
                "https://xn--bcher-kva.example.com/",
                "https://xn--bcher-kva.example.com/",
                "xn--bcher-kva.example.com",
                "/",
            ),
            ("https://8.8.8.8/", "https://8.8.8.8/", "8.8.8.8", "/"),
            ("https://134744072/", "https://8.8.8.8/", "8.8.8.8", "/"),
            ("https://[2606:4700::1111]/x", "https://[2606:4700::1111]/x", "[2606:4700::1111]", "/x"),
        ] {
            let target = Target::parse(text, &rules).expect(text);
            assert_eq!((target.url.as_str(), target.authority.as_str(), target.path.as_str()), (url, authority, path));
        }
    }

    #[test]
    fn networks_that_are_listed_are_called_and_no_others() {
        let rules = rules(&["10.1.0.0/16"]);
        assert!(Target::parse("https://10.1.2.3/", &rules).is_ok());
        assert!(Target::parse("https://intern/", &rules).is_ok(), "what it means is found out when it is called");
        assert_eq!(Target::parse("https://10.2.0.1/", &rules), Err(Address));
        assert_eq!(Target::parse("https://[::ffff:10.1.2.3]/", &rules), Err(Address));
    }
}
