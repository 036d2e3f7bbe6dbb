//! A table of what pairs of router kinds showed, as text and as a picture.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::router::RouterKind;

/// Width and height of a cell of the picture, and the room for the names beside and the title above.
const CELL: (usize, usize) = (110, 40);
const NAMES: usize = 110;
const TITLE: usize = 36;

/// What a pair showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// In a word or two.
    pub text: String,
    /// The share of tries in which the peers got through, from 0.0 to 1.0.
    pub share: f64,
}

/// A cell for each pair of kinds, the first peer's down, the second's across.
#[derive(Clone, Debug)]
pub struct Matrix {
    title: String,
    kinds: Vec<RouterKind>,
    cells: BTreeMap<(RouterKind, RouterKind), Cell>,
}

impl Matrix {
    /// An empty one.
    pub fn new(title: impl Into<String>, kinds: &[RouterKind]) -> Self {
        Self { title: title.into(), kinds: kinds.to_vec(), cells: BTreeMap::new() }
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

    /// What is filled in.
    pub fn get(&self, [first, second]: [RouterKind; 2]) -> Option<&Cell> {
        self.cells.get(&(first, second))
    }

    /// The picture, an SVG document: the better, the greener.
    pub fn svg(&self) -> String {
        let (width, height) = CELL;
        let side = self.kinds.len();
        let (all_width, all_height) = (NAMES + width * side, TITLE + height * (side + 1));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all_width}\" height=\"{all_height}\" \
             font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let mut text = |x: usize, y: usize, words: &str| {
            writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{words}</text>").expect("text grows");
        };
        text(all_width / 2, TITLE / 2 + 5, &self.title);
        for (index, kind) in self.kinds.iter().enumerate() {
            text(NAMES + width * index + width / 2, TITLE + height / 2 + 5, &kind.to_string());
            text(NAMES / 2, TITLE + height * (index + 1) + height / 2 + 5, &kind.to_string());
        }
        for (row, first) in self.kinds.iter().enumerate() {
            for (column, second) in self.kinds.iter().enumerate() {
                let Some(cell) = self.get([*first, *second]) else { continue };
                let (x, y) = (NAMES + width * column, TITLE + height * (row + 1));
                let hue = 120.0 * cell.share;
                let (middle, base, words) = (x + width / 2, y + height / 2 + 5, &cell.text);
                writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" stroke=\"white\" \
                     fill=\"hsl({hue:.0},60%,75%)\"/>\n<text x=\"{middle}\" y=\"{base}\">{words}</text>"
                )
                .expect("text grows");
            }
        }
        svg + "</svg>\n"
    }
}

impl fmt::Display for Matrix {
    /// A table of Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        write!(f, "| {:<11} |", "A \\ B")?;
        for kind in &self.kinds {
            write!(f, " {kind:<11} |")?;
        }
        write!(f, "\n|{}", "-------------|".repeat(self.kinds.len() + 1))?;
        for first in &self.kinds {
            write!(f, "\n| {first:<11} |")?;
            for second in &self.kinds {
                let text = self.get([*first, *second]).map_or("", |cell| &cell.text);
                write!(f, " {text:<11} |")?;
            }
        }
        writeln!(f)
    }
}
