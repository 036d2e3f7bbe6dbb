//! The picture of a report as SVG, and its bar charts.

use std::path::Path;

use anyhow::Context as _;
use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, Color as _, DrawingArea, EmptyElement, IntoDrawingArea as _, IntoFont as _, RGBColor, Rectangle,
    SVGBackend, Text, TextStyle, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::curves::{self, Curves};
use crate::figures;

/// One chart: a title and a bar for each label.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What the bars show, with the unit.
    pub title: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// One bar of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub label: String,
    pub value: f64,
    /// Bars of one hue are of one server.
    pub hue: usize,
}

pub(super) const WIDTH: i32 = 860;
pub(super) const MARGIN: i32 = 16;
pub(super) const TITLE_HEIGHT: i32 = 40;
const BAR_HEIGHT: i32 = 20;
const BAR_GAP: i32 = 8;
const LABEL_WIDTH: i32 = 300;
/// Room for the figure behind the longest bar.
const FIGURE_WIDTH: i32 = 90;
/// Told apart also without colours to be seen (Okabe and Ito).
pub(super) const HUES: [RGBColor; 5] = [
    RGBColor(153, 153, 153),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// Draws charts one below the other.
pub(crate) fn draw(path: &Path, charts: &[Chart], curves: &[Curves]) -> anyhow::Result<()> {
    let of_curves = curves.iter().map(|_| curves::HEIGHT).sum::<i32>();
    let whole = charts.iter().map(height).sum::<i32>() + of_curves + MARGIN;
    let size = (WIDTH.try_into()?, whole.try_into()?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut top = 0;
    for chart in charts {
        draw_chart(&root, top, chart)?;
        top += height(chart);
    }
    for chart in curves {
        curves::draw(&root, top, chart)?;
        top += curves::HEIGHT;
    }
    root.present().with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

fn height(chart: &Chart) -> i32 {
    let bars = i32::try_from(chart.bars.len()).unwrap_or_default();
    TITLE_HEIGHT + bars * (BAR_HEIGHT + BAR_GAP) + MARGIN
}

fn draw_chart(root: &DrawingArea<SVGBackend<'_>, Shift>, top: i32, chart: &Chart) -> anyhow::Result<()> {
    let title = ("sans-serif", 17).into_font().color(&BLACK);
    root.draw_text(&chart.title, &title, (MARGIN, top + MARGIN))?;
    let text =
        |horizontal| TextStyle::from(("sans-serif", 13).into_font()).pos(Pos::new(horizontal, VPos::Center));
    let longest = chart.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let left = MARGIN + LABEL_WIDTH;
    let longest_width = WIDTH - MARGIN - FIGURE_WIDTH - left;
    for (bar, row) in chart.bars.iter().zip(0_i32..) {
        let y = top + TITLE_HEIGHT + row * (BAR_HEIGHT + BAR_GAP);
        let right = left + pixels(bar.value / longest, longest_width);
        let hue = HUES.get(bar.hue % HUES.len()).copied().unwrap_or(BLACK);
        let middle = y + BAR_HEIGHT / 2;
        root.draw(
            &(EmptyElement::at((0, 0))
                + Rectangle::new([(left, y), (right.max(left + 1), y + BAR_HEIGHT)], hue.filled())
                + Text::new(bar.label.clone(), (left - 8, middle), text(HPos::Right))
                + Text::new(figure(bar.value), (right + 6, middle), text(HPos::Left))),
        )?;
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a share of at most the width of the drawing")]
pub(super) fn pixels(share: f64, room: i32) -> i32 {
    (share.clamp(0.0, 1.0) * f64::from(room)) as i32
}

pub(super) fn figure(value: f64) -> String {
    if value >= 1000.0 { figures::thousands(value) } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn a_drawing_has_every_label_and_figure_as_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chart.svg");
        let bar = |label: &str, value, hue| Bar { label: label.to_owned(), value, hue };
        let bars = vec![bar("bare", 50_000.0, 0), bar("tracker", 12.34, 1), bar("none", 0.0, 9)];
        draw(&path, &[Chart { title: "requests/s".to_owned(), bars }], &[]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in ["requests/s", "bare", "50,000", "tracker", "12.3", "none"] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn a_bar_never_leaves_its_room() {
        assert_eq!(pixels(2.0, 100), 100);
        assert_eq!(pixels(0.5, 100), 50);
        assert_eq!(pixels(f64::NAN, 100), 0);
    }
}
