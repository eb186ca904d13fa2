//! Reads server-sent events (WHATWG HTML, section 9.2): only what our own server sends, and junk without harm.

/// More than the largest snapshot: the list of some ten thousand downloads.
const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;

/// Puts the pieces of a body together and gives the `data` of each whole event.
#[derive(Debug, Default)]
pub struct EventReader {
    /// The line that is not ended yet.
    line: Vec<u8>,
    /// The data lines of the event that is not ended yet.
    data: Option<Vec<u8>>,
}

/// No event of ours is so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {MAX_EVENT_BYTES} bytes")]
pub struct TooLong;

impl EventReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; the result is the data of the events that they end. Data that is not UTF-8 is left out.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + self.data.as_ref().map_or(0, Vec::len) + piece.len() > MAX_EVENT_BYTES {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                events.extend(self.take_line(line.strip_suffix(b"\r").unwrap_or(line)));
            }
        }
        Ok(events)
    }

    fn take_line(&mut self, line: &[u8]) -> Option<String> {
        if line.is_empty() {
            return self.data.take().and_then(|data| String::from_utf8(data).ok());
        }
        // Comments, numbers and names of events tell nothing that the data does not.
        let value = line.strip_prefix(b"data:")?;
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => self.data = Some(value.to_vec()),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let text = b"id: 0\ndata: {\"a\":1}\n\n: keep alive\n\ndata: x\r\ndata:y\r\nevent: z\r\n\r\ndata: unfinished\n";
        for size in 1..text.len() {
            let mut reader = EventReader::new();
            let events: Vec<_> = text.chunks(size).flat_map(|piece| reader.push(piece).unwrap()).collect();
            assert_eq!(events, ["{\"a\":1}", "x\ny"], "pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused_instead_of_kept() {
        let mut reader = EventReader::new();
        let piece = vec![b'x'; MAX_EVENT_BYTES / 4];
        let refused = (0..5).find_map(|_| reader.push(&piece).err());
        assert_eq!(refused, Some(TooLong));
    }

    proptest! {
        #[test]
        fn junk_never_panics(pieces: Vec<Vec<u8>>) {
            let mut reader = EventReader::new();
            for piece in pieces {
                let _ = reader.push(&piece);
            }
        }
    }
}
