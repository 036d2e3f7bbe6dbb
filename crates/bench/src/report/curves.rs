//! Line charts: one figure over another.

use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, Circle, Color as _, DrawingArea, EmptyElement, IntoFont as _, PathElement, RGBColor, SVGBackend,
    TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::plot::{HUES, MARGIN, TITLE_HEIGHT, WIDTH, figure, pixels};

/// One chart: lines over a common axis. The vertical axis starts at nothing.
#[derive(Debug, Clone)]
pub(crate) struct Curves {
    /// What is shown, with the unit.
    pub title: String,
    /// What the horizontal axis is.
    pub across: String,
    /// Whether the horizontal axis is one of magnitudes; then every point has its figure below.
    pub magnitudes: bool,
    pub lines: Vec<Line>,
}

/// One line, from left to right.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub label: String,
    pub points: Vec<(f64, f64)>,
    pub hue: usize,
}

/// Height of a chart.
pub(super) const HEIGHT: i32 = 320;
const LEFT: i32 = 90;
/// Room for the names of the lines.
const NAMES_WIDTH: i32 = 190;
const BELOW: i32 = 52;
/// Least distance of two names.
const NAME_HEIGHT: i32 = 16;
const STEPS: u32 = 4;
const GREY: RGBColor = RGBColor(220, 220, 220);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Where a value is on an axis, from 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: f64,
    to: f64,
    magnitudes: bool,
}

impl Axis {
    fn across(curves: &Curves) -> Self {
        let all = || curves.lines.iter().flat_map(|line| &line.points).map(|(across, _)| *across);
        let (from, to) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        Self { from, to, magnitudes: curves.magnitudes }
    }

    fn up(curves: &Curves) -> Self {
        let values = curves.lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
        Self { from: 0.0, to: round_above(values.fold(0.0, f64::max)), magnitudes: false }
    }

    fn share(self, value: f64) -> f64 {
        let scale = |value: f64| if self.magnitudes { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let whole = scale(self.to) - scale(self.from);
        if whole > 0.0 { (scale(value) - scale(self.from)) / whole } else { 0.5 }
    }
}

/// The next of 1, 2, 4, 6, 8, 10, 20, ... that is not below.
fn round_above(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * magnitude).find(|round| *round >= value).unwrap_or(value)
}

/// Draws a chart whose upper end is at `top`.
pub(super) fn draw(root: &Area<'_>, top: i32, curves: &Curves) -> anyhow::Result<()> {
    let title = ("sans-serif", 17).into_font().color(&BLACK);
    root.draw_text(&curves.title, &title, (MARGIN, top + MARGIN))?;
    let (across, up) = (Axis::across(curves), Axis::up(curves));
    let (width, height) = (WIDTH - LEFT - NAMES_WIDTH, HEIGHT - TITLE_HEIGHT - BELOW - MARGIN);
    let bottom = top + TITLE_HEIGHT + MARGIN + height;
    let x = |value: f64| LEFT + pixels(across.share(value), width);
    let y = |value: f64| bottom - pixels(up.share(value), height);

    for step in 0..=STEPS {
        let value = up.to * f64::from(step) / f64::from(STEPS);
        rule(root, (LEFT, y(value)), (LEFT + width, y(value)))?;
        text(root, &figure(value), (LEFT - 8, y(value)), HPos::Right)?;
    }
    for value in marks(curves, across) {
        rule(root, (x(value), bottom), (x(value), bottom + 5))?;
        text(root, &figure(value), (x(value), bottom + 16), HPos::Center)?;
    }
    text(root, &curves.across, (LEFT + width / 2, bottom + 38), HPos::Center)?;

    let end = |line: &Line| line.points.last().map_or(bottom, |(_, value)| y(*value));
    let mut names: Vec<&Line> = curves.lines.iter().collect();
    names.sort_by_key(|line| end(line));
    let mut free = i32::MIN;
    for line in names {
        let hue = HUES.get(line.hue % HUES.len()).copied().unwrap_or(BLACK);
        let points: Vec<(i32, i32)> = line.points.iter().map(|(at, value)| (x(*at), y(*value))).collect();
        if curves.magnitudes {
            for point in &points {
                root.draw(&(EmptyElement::at(*point) + Circle::new((0, 0), 3, hue.filled())))?;
            }
        }
        root.draw(&PathElement::new(points, hue.stroke_width(2)))?;
        let place = end(line).max(free);
        let last = line.points.last().map_or(String::new(), |(_, value)| figure(*value));
        text(root, &format!("{} {last}", line.label), (LEFT + width + 10, place), HPos::Left)?;
        free = place + NAME_HEIGHT;
    }
    Ok(())
}

/// The values that are named below the horizontal axis.
fn marks(curves: &Curves, across: Axis) -> Vec<f64> {
    if curves.magnitudes {
        return curves
            .lines
            .first()
            .map_or(Vec::new(), |line| line.points.iter().map(|(at, _)| *at).collect());
    }
    let part = |step: u32| across.from + (across.to - across.from) * f64::from(step) / f64::from(STEPS);
    if across.to > across.from { (0..=STEPS).map(part).collect() } else { Vec::new() }
}

fn rule(root: &Area<'_>, from: (i32, i32), to: (i32, i32)) -> anyhow::Result<()> {
    Ok(root.draw(&PathElement::new(vec![from, to], GREY.stroke_width(1)))?)
}

fn text(root: &Area<'_>, what: &str, at: (i32, i32), side: HPos) -> anyhow::Result<()> {
    let style = TextStyle::from(("sans-serif", 13).into_font()).pos(Pos::new(side, VPos::Center));
    Ok(root.draw_text(what, &style, at)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;
    use crate::report::plot;

    fn curves(magnitudes: bool, lines: Vec<Line>) -> Curves {
        Curves { title: "the cost".to_owned(), across: "registrations".to_owned(), magnitudes, lines }
    }

    fn line(label: &str, points: &[(f64, f64)]) -> Line {
        Line { label: label.to_owned(), points: points.to_vec(), hue: 1 }
    }

    #[test]
    fn on_an_axis_of_magnitudes_each_is_as_wide() {
        let points = [(1e3, 1.0), (1e4, 1.0), (1e6, 1.0), (1e7, 1.0)];
        let across = Axis::across(&curves(true, vec![line("a", &points)]));
        let shares = points.map(|(at, _)| across.share(at));
        let expected = [0.0, 0.25, 0.75, 1.0];
        assert!(shares.iter().zip(expected).all(|(share, due)| (share - due).abs() < 1e-9), "{shares:?}");
    }

    #[test]
    fn an_axis_ends_at_the_next_round_value() {
        let ends = [0.0, 0.9, 1.0, 1.1, 4.3, 9.0, 34.0].map(round_above);
        let expected = [1.0, 1.0, 1.0, 2.0, 6.0, 10.0, 40.0];
        assert!(ends.iter().zip(expected).all(|(end, due)| (end - due).abs() < 1e-9), "{ends:?}");
    }

    #[test]
    fn a_drawing_has_its_lines_names_and_marks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chart.svg");
        let lines = vec![line("register", &[(1e3, 1.5), (5e6, 1.8)]), line("connect", &[(1e3, 1.4)])];
        plot::draw(&path, &[], &[curves(true, lines), curves(false, vec![line("nothing", &[])])]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in ["the cost", "registrations", "register 1.8", "connect 1.4", "5,000,000", "nothing"] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
    }
}
