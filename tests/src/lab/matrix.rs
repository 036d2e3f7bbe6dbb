//! A table of what pairs of router kinds showed, as text and as a picture.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::router::RouterKind;

/// Width and height of a cell of the picture, and the room for the names beside and the title above.
const CELL: (usize, usize) = (110, 40);
const NAMES: usize = 110;
const TITLE: usize = 36;

/// The longest name of a kind, in characters.
const NAME_WIDTH: usize = 11;

/// Height of a line below.
const NOTE: usize = 26;

/// What a pair showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// In a word or two.
    pub text: String,
    /// What there is to say beyond that, if anything.
    pub detail: String,
    /// The share of tries in which the peers got through, from 0.0 to 1.0.
    pub share: f64,
}

/// A cell for each pair of kinds, the first peer's down, the second's across.
#[derive(Clone, Debug)]
pub struct Matrix {
    title: String,
    kinds: Vec<RouterKind>,
    cells: BTreeMap<(RouterKind, RouterKind), Cell>,
    /// What is no pair of kinds, by names of its own.
    places: Vec<(String, Cell)>,
    notes: Vec<String>,
}

impl Matrix {
    /// An empty one.
    pub fn new(title: impl Into<String>, kinds: &[RouterKind]) -> Self {
        Self {
            title: title.into(),
            kinds: kinds.to_vec(),
            cells: BTreeMap::new(),
            places: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// All pairs, row by row.
    pub fn pairs(&self) -> impl Iterator<Item = [RouterKind; 2]> + use<> {
        let kinds = self.kinds.clone();
        kinds
            .clone()
            .into_iter()
            .flat_map(move |first| kinds.clone().into_iter().map(move |second| [first, second]))
    }

    /// Fills in a pair.
    pub fn set(&mut self, [first, second]: [RouterKind; 2], cell: Cell) {
        self.cells.insert((first, second), cell);
    }

    /// Adds a line below the table.
    pub fn add_place(&mut self, name: &str, cell: Cell) {
        self.places.push((name.to_owned(), cell));
    }

    /// Adds a sentence at the end.
    pub fn note(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }

    /// What is filled in.
    pub fn get(&self, [first, second]: [RouterKind; 2]) -> Option<&Cell> {
        self.cells.get(&(first, second))
    }

    /// The picture, an SVG document: the better, the greener.
    pub fn svg(&self) -> String {
        let (width, height) = CELL;
        let side = self.kinds.len();
        let all_width = NAMES + width * side;
        let below = TITLE + if side == 0 { 0 } else { height * (side + 1) };
        let notes = below + height * self.places.len();
        let all_height = notes + NOTE * self.notes.len();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all_width}\" height=\"{all_height}\" \
             font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        write_text(&mut svg, (all_width / 2, TITLE / 2 + 5), &self.title);
        for (index, kind) in self.kinds.iter().enumerate() {
            let name = kind.to_string();
            write_text(&mut svg, (NAMES + width * index + width / 2, TITLE + height / 2 + 5), &name);
            write_text(&mut svg, (NAMES / 2, TITLE + height * (index + 1) + height / 2 + 5), &name);
        }
        for (row, first) in self.kinds.iter().enumerate() {
            for (column, second) in self.kinds.iter().enumerate() {
                let Some(cell) = self.get([*first, *second]) else { continue };
                cell.write_svg(&mut svg, (NAMES + width * column, TITLE + height * (row + 1)));
            }
        }
        for (row, (name, cell)) in self.places.iter().enumerate() {
            let y = below + height * row;
            write_text(&mut svg, ((all_width - width) / 2, y + height / 2 + 5), name);
            cell.write_svg(&mut svg, (all_width - width, y));
        }
        for (row, note) in self.notes.iter().enumerate() {
            write_text(&mut svg, (all_width / 2, notes + NOTE * row + NOTE / 2 + 5), note);
        }
        svg + "</svg>\n"
    }
}

impl Cell {
    /// One without details.
    pub fn of_text(text: impl Into<String>, share: f64) -> Self {
        Self { text: text.into(), detail: String::new(), share }
    }

    fn write_svg(&self, svg: &mut String, (x, y): (usize, usize)) {
        let (width, height) = CELL;
        let hue = 120.0 * self.share;
        writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" stroke=\"white\" \
             fill=\"hsl({hue:.0},60%,75%)\"/>"
        )
        .expect("text grows");
        let (middle, base) = (x + width / 2, y + height / 2 + 5);
        if self.detail.is_empty() {
            write_text(svg, (middle, base), &self.text);
        } else {
            write_text(svg, (middle, base - 8), &self.text);
            write_text(svg, (middle, base + 8), &self.detail);
        }
    }
}

fn write_text(svg: &mut String, (x, y): (usize, usize), words: &str) {
    writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{words}</text>").expect("text grows");
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            f.pad(&self.text)
        } else {
            f.pad(&format!("{}, {}", self.text, self.detail))
        }
    }
}

impl fmt::Display for Matrix {
    /// A table of Markdown, or two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        if !self.kinds.is_empty() {
            let widest = self.cells.values().map(|cell| cell.to_string().len()).max();
            let width = widest.unwrap_or(0).max(NAME_WIDTH);
            write!(f, "\n| {:<NAME_WIDTH$} |", "A \\ B")?;
            for kind in &self.kinds {
                write!(f, " {kind:<width$} |")?;
            }
            write!(f, "\n|{:-<1$}|", "", NAME_WIDTH + 2)?;
            for _ in &self.kinds {
                write!(f, "{:-<1$}|", "", width + 2)?;
            }
            for first in &self.kinds {
                write!(f, "\n| {first:<NAME_WIDTH$} |")?;
                for second in &self.kinds {
                    match self.get([*first, *second]) {
                        Some(cell) => write!(f, " {cell:<width$} |")?,
                        None => write!(f, " {:<width$} |", "")?,
                    }
                }
            }
            writeln!(f)?;
        }
        if !self.places.is_empty() {
            write!(f, "\n| where the two are | |\n|---|---|")?;
            for (name, cell) in &self.places {
                write!(f, "\n| {name} | {cell} |")?;
            }
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}
