//! Tables that read well in a terminal and are Markdown at the same time.

/// A table of text. The first columns hold names, aligned to the left; the others figures, to the right.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    names: usize,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles, of which the first `names` are of names.
    pub(crate) fn new<const COLUMNS: usize>(names: usize, head: [&str; COLUMNS]) -> Self {
        Self { names, head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Adds a row. Missing cells stay empty, and cells without a column are left out.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    /// The Markdown, every line with its line end.
    pub(crate) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.width(column)).collect();
        let rule = widths.iter().enumerate().map(|(column, width)| {
            if column < self.names { "-".repeat(*width) } else { format!("{}:", "-".repeat(*width - 1)) }
        });
        let mut text = self.line(&self.head, &widths);
        text.push_str(&self.line(&rule.collect::<Vec<_>>(), &widths));
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        // A rule of Markdown needs three dashes.
        std::iter::once(&self.head)
            .chain(&self.rows)
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .fold(3, usize::max)
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut text = String::from("|");
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let padded =
                if column < self.names { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") };
            text.push_str(&padded);
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_figures_end_in_one_line() {
        let mut table = Table::new(1, ["server", "µs"]);
        table.row(["bare".into(), "9.5".into()]);
        table.row(["tracker".into(), "12.25".into()]);
        let expected = "\
| server  |    µs |
| ------- | ----: |
| bare    |   9.5 |
| tracker | 12.25 |
";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn a_short_row_is_filled_and_a_long_one_cut() {
        let mut table = Table::new(1, ["a", "b"]);
        table.row(["x".into()]);
        table.row(["x".into(), "y".into(), "z".into()]);
        assert_eq!(table.render().lines().last(), Some("| x   |   y |"));
    }

    #[test]
    fn a_table_without_rows_is_its_head() {
        assert_eq!(Table::new(1, ["a"]).render(), "| a   |\n| --- |\n");
    }
}
