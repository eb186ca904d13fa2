//! Tables for people, fitted to the terminal.
//!
//! Cells come from strangers: each is escaped here, before it is measured, so that no caller can forget it.

use choir_shared::text::escape_controls;

use super::width::{fitted, width};

/// Between two columns.
const GAP: usize = 2;

/// A column that gives way keeps at least so much: enough to recognise a name.
const LEAST_CELLS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    /// Left, and shortened where the table is too wide.
    Elastic,
}

pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One cell for each column.
    pub(super) fn push<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.iter().map(|cell| escape_controls(cell).into_owned()).collect());
    }

    /// The lines, head first; `limit` is the width of the terminal, if there is one. Columns without any text are
    /// left out.
    pub(super) fn lines(&self, limit: Option<usize>) -> Vec<String> {
        let used: Vec<usize> = (0..self.columns.len()).filter(|column| self.widest(*column) > 0).collect();
        let natural: Vec<(usize, Align)> = used
            .iter()
            .filter_map(|&column| {
                let (head, align) = self.columns.get(column)?;
                Some((self.widest(column).max(width(head)), *align))
            })
            .collect();
        let widths = shared_out(&natural, limit);
        let head = used.iter().filter_map(|&column| self.columns.get(column)).map(|(head, _)| *head);
        let mut lines = vec![line(head, &natural, &widths)];
        for row in &self.rows {
            let cells = used.iter().filter_map(|&column| row.get(column)).map(String::as_str);
            lines.push(line(cells, &natural, &widths));
        }
        lines
    }

    fn widest(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, columns: &[(usize, Align)], widths: &[usize]) -> String {
    let mut line = String::new();
    for ((cell, (_, align)), room) in cells.zip(columns).zip(widths) {
        let cell = fitted(cell, *room);
        let padding = " ".repeat(room.saturating_sub(width(&cell)));
        let (before, after) = if *align == Align::Right { (padding, String::new()) } else { (String::new(), padding) };
        line.push_str(&before);
        line.push_str(&cell);
        line.push_str(&after);
        line.push_str(&" ".repeat(GAP));
    }
    line.truncate(line.trim_end().len());
    line
}

/// The width of each column. What is missing is taken from the widest elastic ones first, so that short texts stay
/// whole as long as possible.
fn shared_out(natural: &[(usize, Align)], limit: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = natural.iter().map(|(width, _)| *width).collect();
    let gaps = GAP * natural.len().saturating_sub(1);
    let Some(limit) = limit else { return widths };
    while widths.iter().sum::<usize>() + gaps > limit {
        let elastic = widths.iter_mut().zip(natural).filter(|(_, (_, align))| *align == Align::Elastic);
        match elastic.map(|(width, _)| width).max().filter(|width| **width > LEAST_CELLS) {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn songs() -> Table {
        let mut table = Table::new(&[
            ("#", Align::Right),
            ("Song", Align::Elastic),
            ("Album", Align::Elastic),
            ("Note", Align::Left),
            ("Size", Align::Right),
        ]);
        let row =
            |number: &str, song: &str, album: &str, size: &str| [number, song, album, "", size].map(str::to_owned);
        table.push(row("9", "宇多田ヒカル – First Love", "First Love", "31.2 MiB"));
        table.push(row("10", "\u{1b}]0;owned\u{7}", "a\u{202e}b\nc", "1 B"));
        table
    }

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let expected = [
            " #  Song                       Album             Size",
            " 9  宇多田ヒカル – First Love  First Love        31.2 MiB",
            "10  \\u{1b}]0;owned\\u{7}        a\\u{202e}b\\u{a}c       1 B",
        ];
        let lines = songs().lines(None);
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["#", "Song", "Album", "Size"]);
        assert_eq!(lines[1], expected[1]);
        assert_eq!(lines[2], expected[2]);
        assert!(lines[1..].iter().all(|line| width(line) == width(&lines[1])));
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_and_no_control_gets_through() {
        for limit in 35..80 {
            for line in songs().lines(Some(limit)) {
                assert!(width(&line) <= limit, "{limit}: {line}");
                assert!(!line.chars().any(choir_shared::text::is_invisible), "{line:?}");
            }
        }
        let narrow = songs().lines(Some(36));
        assert!(narrow[1].contains("31.2 MiB") && narrow[1].contains('…'), "{narrow:?}");
    }
}
