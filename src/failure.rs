//! Why a command failed: whatever went wrong below, for people, not for code that would tell cases apart.

use std::error::Error;

pub type Failure = Box<dyn Error + Send + Sync>;

/// With its causes, each once: most errors quote theirs, a few keep them to themselves.
pub fn told(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("it quotes: {0}")]
        Quotes(#[source] std::io::Error),
        #[error("it keeps silent")]
        Silent(#[source] std::io::Error),
    }

    #[test]
    fn every_cause_is_told_once() {
        let cause = || std::io::Error::other("no space");
        assert_eq!(told(&Layer::Quotes(cause()).into()), "it quotes: no space");
        assert_eq!(told(&Layer::Silent(cause()).into()), "it keeps silent: no space");
        assert_eq!(told(&"plain".into()), "plain");
    }
}
