//! Tables for people: columns by spaces, no frames; wrapped on a terminal that is too narrow
//! for them, and turned into blocks on one that is narrower still. Into a pipe goes one line
//! for each row, without colours.

use crate::telemetry::no_color;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Width};
use std::io::{self, IsTerminal as _};

/// What a cell says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Attention,
    Faint,
}

/// Where the table is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// `None`: not a terminal; nothing is wrapped.
    width: Option<usize>,
    colour: bool,
}

impl Screen {
    pub fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let width = terminal
            .then(|| comfy_table::Table::new().width())
            .flatten();
        Self {
            width: width.map(usize::from),
            colour: terminal && !no_color(),
        }
    }

    pub fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    pub fn bold(&self, text: &str) -> String {
        if self.colour {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

pub(super) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<(String, Tone)>>,
    /// The column that may be wrapped, and how narrow: below that it is not worth reading.
    flexible: usize,
    narrowest: usize,
}

const GAP: usize = 2;

impl Table {
    pub fn new(header: &[&'static str], flexible: usize, narrowest: usize) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
            flexible,
            narrowest,
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn render(&self, screen: Screen) -> String {
        let widths = self.widths();
        let others: usize = widths.iter().sum::<usize>() - widths[self.flexible];
        let rest = others + GAP * (widths.len() - 1);
        match screen.width {
            Some(width) if rest + self.narrowest.min(widths[self.flexible]) > width => {
                self.blocks(screen)
            }
            Some(width) if rest + widths[self.flexible] > width => {
                self.columns(screen, Some(width - rest))
            }
            _ => self.columns(screen, None),
        }
    }

    fn widths(&self) -> Vec<usize> {
        let of = |text: &str| text.lines().map(|line| line.chars().count()).max();
        (0..self.header.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| of(&row[column].0));
                cells.max().unwrap_or(0).max(self.header[column].len())
            })
            .collect()
    }

    fn columns(&self, screen: Screen, wrap_at: Option<usize>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::TableStyle::new());
        if screen.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(self.header.iter().map(|title| {
            let cell = Cell::new(title);
            if screen.colour {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        for row in &self.rows {
            table.add_row(row.iter().map(|(text, tone)| {
                let cell = Cell::new(text);
                match tone {
                    Tone::Plain => cell,
                    Tone::Good => cell.fg(Color::DarkGreen),
                    Tone::Attention => cell.fg(Color::DarkYellow),
                    Tone::Faint => cell.add_attribute(Attribute::Dim),
                }
            }));
        }
        for (at, column) in table.column_iter_mut().enumerate() {
            let right = if at + 1 == self.header.len() { 0 } else { GAP };
            column.set_padding((0, u16::try_from(right).unwrap_or(0)));
        }
        if let Some(width) = wrap_at {
            let gap = if self.flexible + 1 == self.header.len() {
                0
            } else {
                GAP
            };
            let width = u16::try_from(width + gap).unwrap_or(u16::MAX);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(screen.width.unwrap_or(0)).unwrap_or(u16::MAX));
            if let Some(column) = table.column_mut(self.flexible) {
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            }
        }
        let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
        lines.join("\n")
    }

    /// A row as a block: its first cell, and below it the others with their titles.
    fn blocks(&self, screen: Screen) -> String {
        let titles = self
            .header
            .iter()
            .map(|title| title.len())
            .max()
            .unwrap_or(0);
        let mut lines = Vec::new();
        for row in &self.rows {
            lines.push(screen.bold(&row[0].0));
            for (title, (text, _)) in self.header.iter().zip(row).skip(1) {
                if !text.is_empty() {
                    lines.push(format!("  {title:titles$}  {}", text.replace('\n', " ")));
                }
            }
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["MESSAGE", "VERDICT", "AGENT"], 0, 20);
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        table.row([
            plain("a-message-id-that-is-long-enough-to-be-wrapped@contoso.com"),
            ("ATTRIBUTED".into(), Tone::Good),
            plain("anna@contoso.com"),
        ]);
        table.row([plain("b@c"), ("PENDING".into(), Tone::Faint), plain("")]);
        table
    }

    fn screen(width: Option<usize>) -> Screen {
        Screen {
            width,
            colour: false,
        }
    }

    #[test]
    fn a_pipe_gets_one_line_for_each_row_without_colours() {
        let text = table().render(screen(None));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("MESSAGE ") && lines[0].ends_with("  AGENT"));
        assert!(
            lines[1].ends_with("@contoso.com  ATTRIBUTED  anna@contoso.com"),
            "{text}"
        );
        assert!(lines[2].ends_with("  PENDING"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_narrow_terminal_wraps_one_column() {
        let text = table().render(screen(Some(60)));
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
        assert!(text.lines().count() > 3, "{text}");
        assert!(text.contains("ATTRIBUTED  anna@contoso.com"), "{text}");
    }

    #[test]
    fn a_very_narrow_one_gets_blocks() {
        let text = table().render(screen(Some(40)));
        assert_eq!(
            text,
            "a-message-id-that-is-long-enough-to-be-wrapped@contoso.com\n  \
             VERDICT  ATTRIBUTED\n  AGENT    anna@contoso.com\nb@c\n  VERDICT  PENDING"
        );
    }

    #[test]
    fn colours_only_where_they_are_seen() {
        let screen = Screen {
            width: Some(200),
            colour: true,
        };
        assert!(table().render(screen).contains("\x1b["));
    }
}
