//! Reports: a page for people, the figures for programs, and a picture.

mod curves;
mod machine;
mod plot;
mod table;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

pub(crate) use curves::{Curves, Line};
pub(crate) use machine::Circumstances;
pub(crate) use plot::{Bar, Chart, draw};
pub(crate) use table::Table;

/// One finished measurement.
#[derive(Debug)]
pub(crate) struct Report<'a, Figures> {
    /// Part of the file names: `http`, `mappings-embedded`.
    pub kind: &'a str,
    /// Heading of the page.
    pub title: &'a str,
    /// Where and of what it was taken.
    pub circumstances: &'a Circumstances,
    /// The page below the heading and the circumstances.
    pub body: &'a str,
    /// All figures, raw.
    pub figures: &'a Figures,
    /// The picture, from top to bottom; no file for none.
    pub charts: &'a [Chart],
    /// Below the bars.
    pub curves: &'a [Curves],
}

#[derive(Serialize)]
struct Page<'a, Figures> {
    circumstances: &'a Circumstances,
    figures: &'a Figures,
}

impl<Figures: Serialize> Report<'_, Figures> {
    /// Writes `DATE-KIND.md`, `.json` and `.svg` into a directory, which is made if it is not there.
    pub(crate) fn write(&self, directory: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let stem = format!("{}-{}", self.circumstances.date, self.kind);
        let file = |ending: &str| directory.join(format!("{stem}.{ending}"));
        let page = Page { circumstances: self.circumstances, figures: self.figures };
        let mut json = serde_json::to_string_pretty(&page)?;
        json.push('\n');
        fs::write(file("json"), json).with_context(|| format!("writing {}", file("json").display()))?;
        let mut text = format!("# {}\n\n{}\n{}", self.title, self.circumstances.describe(), self.body);
        if !(self.charts.is_empty() && self.curves.is_empty()) {
            plot::draw(&file("svg"), self.charts, self.curves)?;
            text = format!("{text}\n![The figures as a picture]({stem}.svg)\n");
        }
        fs::write(file("md"), text).with_context(|| format!("writing {}", file("md").display()))?;
        println!("written to {}", file("md").display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn a_report_is_a_page_its_figures_and_its_picture() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("new");
        let circumstances = Circumstances { date: "2030-01-02".to_owned(), ..Circumstances::now() };
        let bars = vec![Bar { label: "b".to_owned(), value: 1.0, hue: 0 }];
        let report = Report {
            kind: "x",
            title: "The title",
            circumstances: &circumstances,
            body: "the body\n",
            figures: &[1, 2],
            charts: &[Chart { title: "c".to_owned(), bars }],
            curves: &[],
        };
        report.write(&inside).unwrap();
        let page = fs::read_to_string(inside.join("2030-01-02-x.md")).unwrap();
        assert!(page.starts_with("# The title\n\n* Date: 2030-01-02\n"), "{page}");
        assert!(page.contains("](2030-01-02-x.svg)"), "{page}");
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(inside.join("2030-01-02-x.json")).unwrap()).unwrap();
        assert_eq!(json.pointer("/figures/1"), Some(&2.into()));
        assert!(inside.join("2030-01-02-x.svg").is_file());
    }
}
