//! The layout of tables: aligned columns, colours for those who see them.
//!
//! What a proxy sends is not trusted: no control character of it reaches a terminal.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};

/// Two blanks between columns.
const GAP: &str = "  ";

/// How a cell stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Not at all.
    #[default]
    Plain,
    /// The head of a column or a line.
    Head,
    /// As it should be.
    Good,
    /// Worth a look.
    Odd,
    /// Something does not work.
    Bad,
}

impl Mark {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Head => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Odd => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }
}

/// A text in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    mark: Mark,
    is_number: bool,
}

impl Cell {
    /// A text, aligned on the left.
    pub(crate) fn text(text: &str) -> Self {
        Self { text: printable(text), mark: Mark::Plain, is_number: false }
    }

    /// A number, aligned on the right.
    pub(crate) fn number(text: &str) -> Self {
        Self { is_number: true, ..Self::text(text) }
    }

    /// The same cell, standing out.
    pub(crate) fn mark(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Lays rows out below each other. The last column ends where its text ends.
pub(crate) fn lay_out(rows: &[Vec<Cell>], has_colours: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max();
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let (before, after) = if cell.is_number { (&*padding, "") } else { ("", &*padding) };
            let style = if has_colours { cell.mark.style() } else { Style::new() };
            // Writing to a `String` cannot fail.
            let _ = write!(line, "{before}{style}{}{style:#}{after}{GAP}", cell.text);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A text in one line, without what a terminal would act on.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec![Cell::text("NAME").mark(Mark::Head), Cell::number("CALLS"), Cell::text("X")],
            vec![Cell::text("é"), Cell::number("12"), Cell::text("")],
        ]
    }

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        assert_eq!(lay_out(&rows(), false), "NAME  CALLS  X\né        12\n");
    }

    #[test]
    fn colours_do_not_change_the_layout() {
        let coloured = lay_out(&rows(), true);
        assert!(coloured.starts_with("\u{1b}[1mNAME\u{1b}[0m  CALLS"), "{coloured:?}");
        let plain = coloured.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, lay_out(&rows(), false));
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a [2Jb  c");
        assert_eq!(lay_out(&[vec![Cell::text("\u{7}x")]], false), " x\n");
    }
}
