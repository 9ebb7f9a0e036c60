//! Which pages may act for a fan: the public one, and those on the list. Exactly, never by a pattern.

use http::{HeaderMap, header::ORIGIN};

use super::{
    config::Config,
    problem::{Code, Problem},
};

pub struct Origins(Vec<String>);

impl Origins {
    pub fn new(config: &Config) -> Self {
        let mut allowed: Vec<_> = config.allowed_origins.iter().map(|origin| of_url(origin)).collect();
        allowed.push(public(config));
        Self(allowed)
    }

    pub fn allows(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// The request's Origin; `None` when it does not come from a page. Any but an allowed one is refused.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<String>, Problem> {
        let mut values = headers.get_all(ORIGIN).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let origin = value.to_str().ok().filter(|origin| values.next().is_none() && self.allows(origin));
        origin.map(|origin| Some(origin.to_owned())).ok_or_else(|| Code::OriginNotAllowed.into())
    }
}

/// How the outside reaches us, without a slash at the end.
pub fn public_url(config: &Config) -> String {
    if !config.public_url.is_empty() {
        return config.public_url.trim_end_matches('/').to_owned();
    }
    let scheme = if config.tls_self_signed || config.tls_cert.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", config.listen)
}

fn public(config: &Config) -> String {
    of_url(&public_url(config))
}

/// Scheme and authority of a URL.
fn of_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_08_only_listed_origins_are_allowed() {
        let config = Config {
            public_url: "https://tickets.example/shop/".into(),
            allowed_origins: vec!["https://fans.example".into()],
            ..Config::default()
        };
        let origins = Origins::new(&config);
        for good in ["https://tickets.example", "https://fans.example", "HTTPS://FANS.EXAMPLE"] {
            assert!(origins.allows(good), "{good}");
        }
        for wrong in [
            "",
            "null",
            "http://tickets.example",
            "https://tickets.example:444",
            "https://tickets.example.evil.example",
            "https://evil.example?https://fans.example",
        ] {
            assert!(!origins.allows(wrong), "{wrong}");
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, wrong.parse().expect("value"));
            assert_eq!(origins.check(&headers).expect_err(wrong).code(), Code::OriginNotAllowed);
        }
        assert_eq!(origins.check(&HeaderMap::new()).expect("none"), None);
    }
}
