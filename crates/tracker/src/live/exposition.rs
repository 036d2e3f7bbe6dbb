//! Reads what a `/metrics` says (`OpenMetrics` 1.0, section "Text format"), as much of it as ours have.

/// A line with a figure.
#[derive(Debug, PartialEq)]
pub(super) struct Figure<'a> {
    pub(super) name: &'a str,
    /// The value of its one label; empty where it has none.
    pub(super) label: &'a str,
    pub(super) value: u64,
}

/// All whole figures of `text` with at most one label. What is not of that form is passed over.
pub(super) fn figures(text: &str) -> impl Iterator<Item = Figure<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(figure)
}

fn figure(line: &str) -> Option<Figure<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, label) = match series.split_once('{') {
        Some((name, labels)) => {
            let (_, value) = labels.strip_suffix("\"}")?.split_once("=\"")?;
            (name, value)
        }
        None => (series, ""),
    };
    let is_one_label = !label.contains('"');
    Some(Figure { name, label, value: value.parse().ok()? }).filter(|_| is_one_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_whatever_else_there_is_is_passed_over() {
        let text = "# HELP a b.\n# TYPE a counter\na_total{outcome=\"matched\"} 17\nb 3\nc{x=\"1\",y=\"2\"} 4\n\
                    d 0.5\ne\n\nf{\"} 1\nb -1\n# EOF\n";
        let read: Vec<Figure<'_>> = figures(text).collect();
        let figure = |name, label, value| Figure { name, label, value };
        assert_eq!(read, [figure("a_total", "matched", 17), figure("b", "", 3)]);
    }
}
