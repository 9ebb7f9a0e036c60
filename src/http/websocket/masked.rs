//! A stream that lets one WebSocket frame through, and only a masked one: RFC 6455 §5.1 has a server fail the connection
//! otherwise, and the frame reader above does not look.
//!
//! Follows the frame's header in the bytes that pass, whatever pieces they come in, and takes none of the next frame's: so a
//! frame's reader, and its buffer, can go with the frame. Keeps no payload.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

pub struct Masked<S> {
    stream: S,
    frame: Frame,
}

/// Where in a frame the next byte stands.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// The byte with the opcode.
    Opcode,
    /// The byte with the mask bit and the short length.
    Length,
    /// So many bytes of the long length are to come.
    Long { left: u8, length: u64 },
    /// So many bytes of mask and payload are to come.
    Body { left: u64 },
}

impl<S> Masked<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, frame: Frame::Opcode }
    }
}

const MASK: u64 = 4;
/// Bytes that pass at once.
const PIECE: usize = 1024;

impl Frame {
    /// So many bytes belong to this frame for certain.
    fn wanted(self) -> u64 {
        match self {
            Self::Opcode => 2,
            Self::Length => 1,
            Self::Long { left, .. } => left.into(),
            Self::Body { left } => left,
        }
    }

    /// Goes over `bytes`; `false` if a frame in them is not masked.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((&byte, rest)) = bytes.split_first() {
            *self = match *self {
                Self::Opcode => Self::Length,
                Self::Length if byte & 0x80 == 0 => return false,
                Self::Length => match byte & 0x7f {
                    126 => Self::Long { left: 2, length: 0 },
                    127 => Self::Long { left: 8, length: 0 },
                    short => Self::Body { left: MASK + u64::from(short) },
                },
                Self::Long { left, length } => {
                    let length = length << 8 | u64::from(byte);
                    if left > 1 {
                        Self::Long { left: left - 1, length }
                    } else {
                        Self::Body { left: length.saturating_add(MASK) }
                    }
                }
                Self::Body { left } => {
                    let skipped = left.min(bytes.len() as u64);
                    bytes = bytes.get(usize::try_from(skipped).unwrap_or(usize::MAX)..).unwrap_or_default();
                    *self = if left == skipped { Self::Opcode } else { Self::Body { left: left - skipped } };
                    continue;
                }
            };
            bytes = rest;
        }
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Masked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; PIECE];
        let most = usize::try_from(self.frame.wanted()).unwrap_or(PIECE).min(buf.remaining()).min(PIECE);
        let mut piece = ReadBuf::new(bytes.split_at_mut(most).0);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        if self.frame.pass(piece.filled()) {
            buf.put_slice(piece.filled());
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a client's frame is not masked")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A frame whose payload looks like headers of unmasked frames.
    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x81];
        match length {
            0..126 => bytes.push(mask | length as u8),
            126..65_536 => {
                bytes.push(mask | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend([0; 4]);
        }
        bytes.resize(bytes.len() + length, 0x01);
        bytes
    }

    /// Passes the bytes in pieces of the given sizes, over and over.
    fn passes(bytes: &[u8], pieces: &[usize]) -> bool {
        let mut state = Frame::Opcode;
        let mut rest = bytes;
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                return true;
            }
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            if !state.pass(now) {
                return false;
            }
            rest = later;
        }
        true
    }

    proptest! {
        #[test]
        fn masked_frames_pass_in_whatever_pieces_and_an_unmasked_one_never_does(
            lengths in prop::collection::vec(prop_oneof![0_usize..130, 65_530_usize..65_540], 1..6),
            pieces in prop::collection::vec(1_usize..300, 1..5),
        ) {
            let mut bytes: Vec<u8> = lengths.iter().flat_map(|length| frame(*length, true)).collect();
            prop_assert!(passes(&bytes, &pieces));
            bytes.extend(frame(3, false));
            prop_assert!(!passes(&bytes, &pieces));
        }
    }

    #[tokio::test]
    async fn one_frame_passes_and_nothing_of_the_next_and_an_unmasked_one_is_an_error() {
        for length in [0, 1, 125, 126, 5_000, 70_000] {
            let (first, second) = (frame(length, true), frame(5, false));
            let bytes = [first.as_slice(), &second].concat();
            let mut rest = bytes.as_slice();
            let mut read = vec![0; first.len()];
            Masked::new(&mut rest).read_exact(&mut read).await.expect("masked");
            assert_eq!((read, rest), (first, second.as_slice()));
            let error = Masked::new(&mut rest).read_exact(&mut [0; 5]).await.expect_err("not masked");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
