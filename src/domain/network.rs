//! Addresses of the internet: which may be called for somebody else, and which lie behind our own door.
//!
//! Owns the list of what is not public (IANA's special-purpose registries, and what clouds put beside them). Resolves no names.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A network such as `10.0.0.0/8`; an address alone is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address or a network such as 10.0.0.0/8")]
pub struct NotANetwork;

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Network {
    Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
}

const fn v6(first: u16, second: u16, bits: u8) -> Network {
    Network { address: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), bits }
}

/// Within IPv4 and within `2000::/3`. Of IPv6 nothing else is public: loopback, v4-mapped and v4-compatible, NAT64 (`64:ff9b::/96`,
/// `64:ff9b:1::/48`), unique local, link-local, site-local and multicast all lie outside.
const NOT_PUBLIC: [Network; 20] = [
    v4(0, 0, 0, 0, 8),        // this network
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // carriers' NAT; metadata of some clouds (100.100.100.200)
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // Azure's host
    v4(169, 254, 0, 0, 16),   // link-local; metadata of most clouds (169.254.169.254)
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments; metadata of some clouds (192.0.0.192)
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 88, 99, 0, 24),   // 6to4 relays
    v4(192, 168, 0, 0, 16),   // private
    v4(198, 18, 0, 0, 15),    // benchmarks
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved, broadcast
    v6(0x2001, 0, 23),        // protocol assignments: Teredo, benchmarks, ORCHID
    v6(0x2001, 0x0db8, 32),   // documentation
    v6(0x2002, 0, 16),        // 6to4: an IPv4 address in disguise
    v6(0x3fff, 0, 20),        // documentation
];
const UNICAST: Network = v6(0x2000, 0, 3);

/// Whether anybody on the internet may have this address.
pub fn is_public(address: IpAddr) -> bool {
    let is_global_scope = address.is_ipv4() || UNICAST.contains(address);
    is_global_scope && !NOT_PUBLIC.iter().any(|network| network.contains(address))
}

impl Network {
    /// An IPv4 address that is mapped into IPv6 is in networks of IPv6 only.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, differ) = match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => (32, u128::from(u32::from(network) ^ u32::from(address))),
            (IpAddr::V6(network), IpAddr::V6(address)) => (128, u128::from(network) ^ u128::from(address)),
            _ => return false,
        };
        differ.checked_shr(bits - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| NotANetwork))?;
        if bits > most { Err(NotANetwork) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect(text))
    }

    #[test]
    fn s_41_no_address_behind_our_own_door_is_public() {
        for inner in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.254",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.254",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.254",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ] {
            assert!(!public(inner), "{inner}");
        }
        for outer in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "168.63.129.17",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.169.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00::1",
            "2003::1",
        ] {
            assert!(public(outer), "{outer}");
        }
    }

    #[test]
    fn a_network_has_its_own_addresses_and_no_others() {
        let network = |text: &str| text.parse::<Network>().expect(text);
        let ours = network("10.1.0.0/16");
        assert_eq!(ours.to_string(), "10.1.0.0/16");
        for (address, expected) in [("10.1.2.3", true), ("10.2.0.1", false), ("::ffff:10.1.2.3", false)] {
            assert_eq!(ours.contains(address.parse().expect("address")), expected, "{address}");
        }
        assert!(network("0.0.0.0/0").contains("9.9.9.9".parse().expect("address")));
        assert!(network("::1").contains("::1".parse().expect("address")));
        assert!(!network("::1").contains("::2".parse().expect("address")));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "localhost", "10.0.0.0/-1"] {
            assert_eq!(wrong.parse::<Network>(), Err(NotANetwork), "{wrong}");
        }
    }
}
