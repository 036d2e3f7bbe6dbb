//! Lines with the id of their request.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::RequestId;

/// A form of lines, and how an id is put at the end of one.
pub(super) struct WithRequestId<F> {
    form: F,
    /// How a line ends in this form.
    end: &'static str,
    /// What stands before the id, and after it.
    around: (&'static str, &'static str),
}

impl<F> WithRequestId<F> {
    pub(super) fn in_text(form: F) -> Self {
        Self { form, end: "\n", around: (" request_id=", "\n") }
    }

    pub(super) fn in_json(form: F) -> Self {
        Self { form, end: "}\n", around: (",\"request_id\":\"", "\"}\n") }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(id) = RequestId::current() else {
            return self.form.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.form.format_event(context, Writer::new(&mut line), event)?;
        let (before, after) = self.around;
        match line.strip_suffix(self.end) {
            // An id needs no escape in either form.
            Some(line) => write!(writer, "{line}{before}{}{after}", id.text()),
            None => writer.write_str(&line),
        }
    }
}
