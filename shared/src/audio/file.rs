//! A file that is looked into here and there.

use std::io;

use crate::leaf::FileLength;

/// Its length, and how to read it.
pub(super) struct File<R> {
    length: u64,
    read: R,
}

impl<R: FnMut(&mut [u8], u64) -> io::Result<()>> File<R> {
    pub(super) fn new(length: FileLength, read: R) -> Self {
        Self { length: length.bytes(), read }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// `N` bytes, or zeros if the file does not have them all. Nothing we look for looks like zeros.
    pub(super) fn bytes_at<const N: usize>(&mut self, offset: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        if offset.checked_add(N as u64).is_some_and(|end| end <= self.length) {
            (self.read)(&mut bytes, offset)?;
        }
        Ok(bytes)
    }

    /// The last `N` bytes before `end`, with zeros in front of them if there are fewer.
    pub(super) fn bytes_before<const N: usize>(&mut self, end: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        let missing = (N as u64).saturating_sub(end);
        if let Some(there) = bytes.get_mut(missing as usize..).filter(|there| !there.is_empty()) {
            let offset = end.saturating_sub(N as u64);
            (self.read)(there, offset)?;
        }
        Ok(bytes)
    }
}
