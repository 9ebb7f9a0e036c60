//! The envelope of everything the journal keeps: `version u8 | postcard | CRC-32 (little endian) of all before`.
//!
//! Owns the envelope, not what is in it. What is long is sealed and opened chunk by chunk: the bytes and what they mean
//! never stand in memory together.

use crc32fast::Hasher;
use postcard::{de_flavors, ser_flavors};
use serde::{Serialize, de::DeserializeOwned};

use super::entry::Unreadable;

const CHECKSUM_BYTES: usize = 4;

pub(super) fn seal(version: u8, body: &impl Serialize) -> Vec<u8> {
    seal_with(encode(body, vec![version]))
}

/// Appends the compact form of `value`.
pub(super) fn encode(value: &impl Serialize, bytes: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(value, bytes).expect("a vector takes any number of bytes, and our shapes have known lengths")
}

/// Appends the checksum to a version and a body.
pub(super) fn seal_with(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn open<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, Unreadable> {
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Unreadable::Short)?;
    let (&found, body) = sealed.split_first().ok_or(Unreadable::Short)?;
    if crc32fast::hash(sealed) != u32::from_le_bytes(*checksum) {
        return Err(Unreadable::Checksum);
    }
    if found != version {
        return Err(Unreadable::Version(found));
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| Unreadable::Body(error.to_string()))?;
    if !rest.is_empty() {
        return Err(Unreadable::Body(format!("{} bytes too many", rest.len())));
    }
    Ok(value)
}

/// [`seal`], given out in chunks of `chunk_bytes`, the last of which may be shorter.
pub(super) fn seal_chunks(version: u8, body: &impl Serialize, chunk_bytes: usize, give: impl FnMut(Vec<u8>)) {
    let chunk_bytes = chunk_bytes.max(1);
    let mut sealing = Sealing { chunk: Vec::with_capacity(chunk_bytes), chunk_bytes, checksum: Hasher::new(), give };
    sealing.push(&[version]);
    let sealed = postcard::serialize_with_flavor(body, sealing);
    sealed.expect("any number of bytes is taken, and our shapes have known lengths");
}

struct Sealing<F> {
    chunk: Vec<u8>,
    chunk_bytes: usize,
    checksum: Hasher,
    give: F,
}

impl<F: FnMut(Vec<u8>)> Sealing<F> {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.chunk.len() >= self.chunk_bytes {
                self.turn();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.chunk_bytes - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
    }

    fn turn(&mut self) {
        self.checksum.update(&self.chunk);
        (self.give)(std::mem::replace(&mut self.chunk, Vec::with_capacity(self.chunk_bytes)));
    }
}

impl<F: FnMut(Vec<u8>)> ser_flavors::Flavor for Sealing<F> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.push(&[byte]);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.push(bytes);
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<()> {
        let mut checksum = self.checksum.clone();
        checksum.update(&self.chunk);
        self.push(&checksum.finalize().to_le_bytes());
        (self.give)(self.chunk);
        Ok(())
    }
}

/// [`open`], taking chunk after chunk. All are taken, whatever is wrong with them.
pub(super) fn open_chunks<'a, T, C>(version: u8, chunks: C) -> Result<T, Unreadable>
where
    T: DeserializeOwned,
    C: Iterator<Item: AsRef<[u8]>> + 'a,
{
    let mut opening = Opening { chunks, chunk: None, at: 0, seal: Seal::default(), text: Vec::new() };
    let found = de_flavors::Flavor::pop(&mut opening);
    let mut decoder = postcard::Deserializer::from_flavor(opening);
    let decoded = T::deserialize(&mut decoder).map_err(|error| Unreadable::Body(error.to_string()));
    let left = decoder.finalize().map_err(|error| Unreadable::Body(error.to_string()))??;
    match found {
        Err(_) => return Err(Unreadable::Short),
        Ok(found) if found != version => return Err(Unreadable::Version(found)),
        Ok(_) => {}
    }
    match left {
        CHECKSUM_BYTES => decoded,
        _ => decoded.and(Err(Unreadable::Body(format!("{left} bytes are left where the checksum belongs")))),
    }
}

struct Opening<C: Iterator> {
    chunks: C,
    chunk: Option<C::Item>,
    /// Taken of the chunk.
    at: usize,
    seal: Seal,
    /// The last text that was read.
    text: Vec<u8>,
}

/// Reckons the checksum of all that has passed but the last bytes, which are to be it.
#[derive(Default)]
struct Seal {
    checksum: Hasher,
    last: Vec<u8>,
}

impl Seal {
    fn pass(&mut self, chunk: &[u8]) {
        let over = (self.last.len() + chunk.len()).saturating_sub(CHECKSUM_BYTES);
        let from_last = over.min(self.last.len());
        let (counted, kept) = chunk.split_at(over - from_last);
        self.checksum.update(&self.last[..from_last]);
        self.last.drain(..from_last);
        self.checksum.update(counted);
        self.last.extend_from_slice(kept);
    }

    fn check(self) -> Result<(), Unreadable> {
        let checksum: [u8; CHECKSUM_BYTES] = self.last.try_into().map_err(|_| Unreadable::Short)?;
        if self.checksum.finalize() == u32::from_le_bytes(checksum) { Ok(()) } else { Err(Unreadable::Checksum) }
    }
}

impl<C: Iterator<Item: AsRef<[u8]>>> Opening<C> {
    /// What is left of the chunk, or of the next one that is not empty.
    fn ahead(&mut self) -> postcard::Result<&[u8]> {
        while self.chunk.as_ref().is_none_or(|chunk| self.at >= chunk.as_ref().len()) {
            self.chunk = None; // before the next one is fetched
            let next = self.chunks.next().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
            self.seal.pass(next.as_ref());
            self.chunk = Some(next);
            self.at = 0;
        }
        let chunk = self.chunk.as_ref().map_or(&[][..], AsRef::as_ref);
        Ok(chunk.get(self.at..).unwrap_or_default())
    }
}

impl<'a, C: Iterator<Item: AsRef<[u8]>> + 'a> de_flavors::Flavor<'a> for Opening<C> {
    /// Bytes left over, if the checksum is right.
    type Remainder = Result<usize, Unreadable>;
    type Source = ();

    #[inline]
    fn pop(&mut self) -> postcard::Result<u8> {
        let byte = *self.ahead()?.first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.at += 1;
        Ok(byte)
    }

    /// Nothing lasts longer than its chunk.
    fn try_take_n(&mut self, _: usize) -> postcard::Result<&'a [u8]> {
        Err(postcard::Error::WontImplement)
    }

    fn try_take_n_temp<'b>(&'b mut self, count: usize) -> postcard::Result<&'b [u8]>
    where
        'a: 'b,
    {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        while text.len() < count {
            let ahead = self.ahead()?;
            let part = ahead.get(..count - text.len()).unwrap_or(ahead);
            text.extend_from_slice(part);
            let length = part.len();
            self.at += length;
        }
        self.text = text;
        Ok(&self.text)
    }

    fn finalize(mut self) -> postcard::Result<Self::Remainder> {
        let mut left = 0;
        while let Ok(ahead) = self.ahead() {
            let length = ahead.len();
            left += length;
            self.at += length;
        }
        Ok(self.seal.check().map(|()| left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: u8 = 3;

    type Body = (u64, Vec<String>, Option<u8>);

    fn body() -> Body {
        (u64::MAX, vec![String::new(), "a text that lies across chunks".into()], Some(7))
    }

    fn cut(chunk_bytes: usize) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        seal_chunks(VERSION, &body(), chunk_bytes, |chunk| chunks.push(chunk));
        chunks
    }

    fn opened(chunks: Vec<Vec<u8>>) -> Result<Body, Unreadable> {
        open_chunks(VERSION, chunks.into_iter())
    }

    #[test]
    fn chunks_of_any_size_are_the_same_bytes_and_the_same_body() {
        let whole = seal(VERSION, &body());
        assert_eq!(open::<Body>(VERSION, &whole), Ok(body()));
        for chunk_bytes in 1..=whole.len() + 1 {
            let chunks = cut(chunk_bytes);
            assert!(chunks.split_last().is_some_and(|(last, full)| {
                !last.is_empty() && last.len() <= chunk_bytes && full.iter().all(|chunk| chunk.len() == chunk_bytes)
            }));
            assert_eq!(chunks.concat(), whole, "{chunk_bytes}");
            assert_eq!(opened(chunks), Ok(body()), "{chunk_bytes}");
        }
    }

    #[test]
    fn chunks_that_are_damaged_short_or_of_another_version_are_refused_and_all_taken() {
        let whole = seal(VERSION, &body());
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut chunks = bytes.chunks(5);
            assert_eq!(open_chunks::<Body, _>(VERSION, chunks.by_ref()), Err(Unreadable::Checksum), "{bit}");
            assert_eq!(chunks.next(), None, "{bit}");
        }
        for length in 0..whole.len() {
            assert!(open_chunks::<Body, _>(VERSION, whole[..length].chunks(5)).is_err(), "{length}");
        }
        assert_eq!(opened(vec![whole[..3].to_vec()]), Err(Unreadable::Short));
        assert_eq!(open_chunks::<Body, _>(VERSION + 1, whole.chunks(5)), Err(Unreadable::Version(VERSION)));
        let longer = seal(VERSION, &(body(), 1_u8));
        assert!(matches!(opened(vec![longer]), Err(Unreadable::Body(_))));
    }
}
