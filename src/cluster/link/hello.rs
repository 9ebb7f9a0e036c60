//! How two nodes introduce themselves on a new connection, before anything else is read from it.
//!
//! Owns the proof that the other side has the cookie and is the node that it says. Each side answers a random challenge of the
//! other by a keyed hash over all that was said, and over the TLS session if there is one: so nothing can be replayed or passed
//! on. Four short frames, none over [`MOST_BYTES`], so that a stranger costs next to nothing.

use std::io;

use aws_lc_rs::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::stores::membership::{Incarnation, is_node_name};

const VERSION: u8 = 1;
const MOST_BYTES: u16 = 512;

type Bytes32 = [u8; 32];

#[derive(Debug, Serialize, Deserialize)]
enum Frame {
    Hello(Hello),
    Welcome(Welcome),
    Proof(Bytes32),
    Accepted,
    Refused(Refusal),
}

#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    version: u8,
    from: Incarnation,
    /// The node that the dialler wants.
    to: String,
    challenge: Bytes32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Welcome {
    from: Incarnation,
    challenge: Bytes32,
    proof: Bytes32,
}

/// Why a connection is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("it speaks another version of the links' protocol")]
    Version,
    #[error("it has another cookie (cluster.bundle, or the root secret where there is none)")]
    Cookie,
    #[error("another node is at that address")]
    OtherNode,
    #[error("its certificate is not made out to the node that it says it is")]
    Certificate,
    #[error("that life of it is not registered")]
    NotRegistered,
    #[error("of two nodes, the one whose name comes first dials")]
    Direction,
}

#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("what it says is no introduction")]
    Form,
    #[error("this side refuses it: {0}")]
    Here(Refusal),
    #[error("the other side refuses this one: {0}")]
    There(Refusal),
    #[error("no randomness from the system")]
    NoRandomness,
}

/// Who speaks, and what is proved with.
#[derive(Clone, Copy)]
pub struct Speaker<'a> {
    pub me: &'a Incarnation,
    pub key: &'a hmac::Key,
    /// What only the two ends of this TLS session know; empty without one.
    pub session: &'a [u8],
}

impl Speaker<'_> {
    /// Of the side that dialled. Afterwards the other is known to be `to`.
    pub async fn dial<S>(self, stream: &mut S, to: &Incarnation) -> Result<(), HelloError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = Hello { version: VERSION, from: self.me.clone(), to: to.node.clone(), challenge: challenge()? };
        let said = encode(&hello)?;
        send(stream, &Frame::Hello(hello)).await?;
        let Frame::Welcome(Welcome { from, challenge, proof }) = receive(stream).await? else {
            return Err(HelloError::Form);
        };
        let said = [said, encode(&(&from, challenge))?].concat();
        if !self.proves("listener", &said, &proof) {
            return refuse(stream, Refusal::Cookie).await;
        }
        if from != *to {
            return refuse(stream, Refusal::OtherNode).await;
        }
        send(stream, &Frame::Proof(self.proof("dialler", &said))).await?;
        match receive(stream).await? {
            Frame::Accepted => Ok(()),
            _ => Err(HelloError::Form),
        }
    }

    /// Of the side that listened. `check` is asked about somebody who has the cookie.
    pub async fn accept<S>(
        self,
        stream: &mut S,
        check: impl AsyncFnOnce(&Incarnation) -> Result<(), Refusal>,
    ) -> Result<Incarnation, HelloError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Frame::Hello(hello) = receive(stream).await? else { return Err(HelloError::Form) };
        if hello.version != VERSION {
            return refuse(stream, Refusal::Version).await;
        }
        if hello.to != self.me.node {
            return refuse(stream, Refusal::OtherNode).await;
        }
        if !is_node_name(&hello.from.node) {
            return Err(HelloError::Form);
        }
        let (mine, from) = (challenge()?, self.me.clone());
        let said = [encode(&hello)?, encode(&(&from, mine))?].concat();
        let welcome = Welcome { from, challenge: mine, proof: self.proof("listener", &said) };
        send(stream, &Frame::Welcome(welcome)).await?;
        let Frame::Proof(proof) = receive(stream).await? else { return Err(HelloError::Form) };
        if !self.proves("dialler", &said, &proof) {
            return refuse(stream, Refusal::Cookie).await;
        }
        if let Err(refusal) = check(&hello.from).await {
            return refuse(stream, refusal).await;
        }
        send(stream, &Frame::Accepted).await?;
        Ok(hello.from)
    }

    fn said(&self, side: &str, said: &[u8]) -> Vec<u8> {
        [side.as_bytes(), said, self.session].concat()
    }

    fn proof(&self, side: &str, said: &[u8]) -> Bytes32 {
        let mut proof = [0; 32];
        proof.copy_from_slice(hmac::sign(self.key, &self.said(side, said)).as_ref());
        proof
    }

    fn proves(&self, side: &str, said: &[u8], proof: &Bytes32) -> bool {
        hmac::verify(self.key, &self.said(side, said), proof).is_ok()
    }
}

fn challenge() -> Result<Bytes32, HelloError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| HelloError::NoRandomness)?;
    Ok(bytes)
}

fn encode(part: &impl Serialize) -> Result<Vec<u8>, HelloError> {
    postcard::to_allocvec(part).map_err(|_| HelloError::Form)
}

async fn refuse<S: AsyncWrite + Unpin, T>(stream: &mut S, refusal: Refusal) -> Result<T, HelloError> {
    // Nobody has to listen to it.
    let _ = send(stream, &Frame::Refused(refusal)).await;
    Err(HelloError::Here(refusal))
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, frame: &Frame) -> Result<(), HelloError> {
    let bytes = encode(frame)?;
    let length = u16::try_from(bytes.len()).map_err(|_| HelloError::Form)?;
    stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await?;
    Ok(stream.flush().await?)
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Frame, HelloError> {
    let length = stream.read_u16().await?;
    if length > MOST_BYTES {
        return Err(HelloError::Form);
    }
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    match postcard::from_bytes(&bytes).map_err(|_| HelloError::Form)? {
        Frame::Refused(refusal) => Err(HelloError::There(refusal)),
        frame => Ok(frame),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::stores::membership::Boot;

    fn node(name: &str) -> Incarnation {
        Incarnation { node: name.into(), boot: Boot::random() }
    }

    fn key(cookie: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, cookie)
    }

    /// What each side makes of it.
    async fn meet(
        dialler: Speaker<'_>,
        to: &Incarnation,
        listener: Speaker<'_>,
        verdict: Result<(), Refusal>,
    ) -> (Result<(), HelloError>, Result<Incarnation, HelloError>) {
        let (mut one, mut other): (DuplexStream, DuplexStream) = duplex(1024);
        tokio::join!(async move { dialler.dial(&mut one, to).await }, async move {
            listener.accept(&mut other, async |_| verdict).await
        })
    }

    #[tokio::test]
    async fn two_nodes_with_one_cookie_know_each_other_afterwards() {
        let (a, b, key) = (node("a"), node("b"), key(b"cookie"));
        let speaker = |me| Speaker { me, key: &key, session: b"tls" };
        let (dialled, accepted) = meet(speaker(&a), &b, speaker(&b), Ok(())).await;
        dialled.expect("welcome");
        assert_eq!(accepted.expect("welcome"), a);
    }

    #[tokio::test]
    async fn s_54_whoever_has_another_cookie_or_session_or_is_not_wanted_is_refused_with_the_reason() {
        let (a, b, other) = (node("a"), node("b"), node("b"));
        let (right, wrong) = (key(b"cookie"), key(b"another"));
        let speaker = |me, key, session| Speaker { me, key, session };
        let here = speaker(&b, &right, &b"tls"[..]);
        let cases = [
            (speaker(&a, &wrong, &b"tls"[..]), &b, Ok(()), Refusal::Cookie),
            (speaker(&a, &right, &b"another tls"[..]), &b, Ok(()), Refusal::Cookie),
            // The node's next life is not the one that was wanted, and another node even less.
            (speaker(&a, &right, &b"tls"[..]), &other, Ok(()), Refusal::OtherNode),
            (speaker(&a, &right, &b"tls"[..]), &a, Ok(()), Refusal::OtherNode),
            (speaker(&a, &right, &b"tls"[..]), &b, Err(Refusal::NotRegistered), Refusal::NotRegistered),
        ];
        for (dialler, to, verdict, reason) in cases {
            let (dialled, accepted) = meet(dialler, to, here, verdict).await;
            let told = |error: Option<HelloError>| matches!(error, Some(HelloError::Here(why) | HelloError::There(why)) if why == reason);
            assert!(told(dialled.err()) && told(accepted.err()), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_stranger_who_only_has_what_was_overheard_gets_nowhere() {
        let (a, b, key) = (node("a"), node("b"), key(b"cookie"));
        let (mut stranger, mut door) = duplex(1024);
        let listener = Speaker { me: &b, key: &key, session: b"" };
        let accepting = tokio::spawn({
            let (b, key) = (b.clone(), key.clone());
            async move { Speaker { me: &b, key: &key, session: b"" }.accept(&mut door, async |_| Ok(())).await }
        });
        let hello = Hello { version: VERSION, from: a, to: "b".into(), challenge: [7; 32] };
        send(&mut stranger, &Frame::Hello(hello)).await.expect("sent");
        let Frame::Welcome(welcome) = receive(&mut stranger).await.expect("an answer") else { unreachable!("welcome") };
        // Its own proof, played back.
        send(&mut stranger, &Frame::Proof(welcome.proof)).await.expect("sent");
        assert!(matches!(accepting.await.expect("no panic"), Err(HelloError::Here(Refusal::Cookie))));
        let (mut noise, mut door) = duplex(1024);
        noise.write_all(&[0xff; 600]).await.expect("sent");
        assert!(matches!(listener.accept(&mut door, async |_| Ok(())).await, Err(HelloError::Form)));
    }
}
