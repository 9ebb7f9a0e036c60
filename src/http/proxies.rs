//! Where a request came from when proxies stand in front: only those on the list are believed.

use std::net::IpAddr;

use http::HeaderMap;

/// More hops than this are not looked at.
const MAX_HOPS: usize = 16;
const FORWARDED_FOR: &str = "x-forwarded-for";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address or a network such as 10.0.0.0/8")]
pub struct NotANetwork(String);

/// Networks whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<(IpAddr, u8)>);

impl Proxies {
    pub fn parse(networks: &[String]) -> Result<Self, NotANetwork> {
        networks
            .iter()
            .map(|text| network(text).ok_or_else(|| NotANetwork(text.clone())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The last hop that is not one of ours. What stands left of it could have been written by anybody.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if self.0.is_empty() || !self.contains(peer) {
            return peer;
        }
        let mut client = peer;
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        for hop in hops.take(MAX_HOPS) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !self.contains(client) {
                break;
            }
        }
        client
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (u32::from(*network) ^ u32::from(address)).checked_shr(32 - u32::from(*bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (u128::from(*network) ^ u128::from(address)).checked_shr(128 - u32::from(*bits)).unwrap_or(0) == 0
            }
            _ => false,
        })
    }
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
    Some((address, bits))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies(networks: &[&str]) -> Proxies {
        Proxies::parse(&networks.iter().map(|text| text.to_string()).collect::<Vec<_>>()).expect("networks")
    }

    fn client(proxies: &Proxies, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).expect("value"));
        }
        proxies.client(peer.parse().expect("address"), &headers).to_string()
    }

    #[test]
    fn s_24_a_forwarded_address_is_believed_from_listed_proxies_only() {
        let ours = proxies(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]);
        let table: [(&str, &[&str], &str); 10] = [
            ("203.0.113.5", &["1.2.3.4"], "203.0.113.5"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6, 1.2.3.4, 10.2.2.2"], "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6", "1.2.3.4, 10.2.2.2"], "1.2.3.4"),
            ("10.1.1.1", &["1.2.3.4, rubbish"], "10.1.1.1"),
            ("192.0.2.7", &["1.2.3.4"], "1.2.3.4"),
            ("192.0.2.8", &["1.2.3.4"], "192.0.2.8"),
            ("2001:db8:1::1", &["2a00::1"], "2a00::1"),
        ];
        for (peer, forwarded, expected) in table {
            assert_eq!(client(&ours, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(client(&proxies(&[]), "10.1.1.1", &["1.2.3.4"]), "10.1.1.1");
        assert_eq!(client(&proxies(&["0.0.0.0/0"]), "10.1.1.1", &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn a_network_that_cannot_be_read_is_refused() {
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "localhost", "10.0.0.0/-1"] {
            assert!(Proxies::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
