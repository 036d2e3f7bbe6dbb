use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Invalid;
use crate::limits::FILE_NAME_MAX_BYTES;

/// The name that a site gives one of its files, such as `site/index.html`.
///
/// 1 to 1,024 bytes of UTF-8 without control characters, leading `/`, backslash, and `.` or `..` segments:
/// clients write the file to disk under this name. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Arc<str>);

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text itself, for a table that keeps it.
    pub fn into_shared(self) -> Arc<str> {
        self.0
    }
}

impl FromStr for FileName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::NameEmpty);
        }
        if text.len() > FILE_NAME_MAX_BYTES {
            return Err(Invalid::NameTooLong { bytes: text.len() });
        }
        if text.starts_with('/') {
            return Err(Invalid::NameAbsolute);
        }
        // Nearly all have nothing that has to be looked at twice, which is seen for many bytes at once.
        let bytes = text.as_bytes();
        let is_plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'\\';
        if !bytes.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
            if text.chars().any(char::is_control) {
                return Err(Invalid::NameControl);
            }
            if text.contains('\\') {
                return Err(Invalid::NameBackslash);
            }
        }
        let is_dotted = |before: u8, byte: u8| before == b'/' && byte == b'.';
        let pairs = bytes.iter().zip(bytes.iter().skip(1));
        if text.starts_with('.')
            || pairs.fold(false, |dotted, (before, byte)| dotted | is_dotted(*before, *byte))
        {
            let mut segments = text.split('/');
            if segments.any(|segment| segment == "." || segment == "..") {
                return Err(Invalid::NameDotSegment);
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_a_client_can_write_to_disk_is_taken() {
        for name in [
            "a",
            "site/index.html",
            "a b+c.html",
            "übergröße/文件.txt",
            "...",
            "a..b/.hidden",
            "a//b",
            "dir/",
            ".a/..b/...",
        ] {
            assert_eq!(name.parse::<FileName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn a_name_that_could_harm_a_client_is_refused_with_its_reason() {
        let cases = [
            ("", Invalid::NameEmpty),
            ("/etc/passwd", Invalid::NameAbsolute),
            ("a\0b", Invalid::NameControl),
            ("a\nb", Invalid::NameControl),
            ("a\u{85}b", Invalid::NameControl),
            ("a\\b", Invalid::NameBackslash),
            ("..", Invalid::NameDotSegment),
            ("a/../b", Invalid::NameDotSegment),
            ("./a", Invalid::NameDotSegment),
            ("a/.", Invalid::NameDotSegment),
            ("a/.b/../c", Invalid::NameDotSegment),
            ("ü/./c", Invalid::NameDotSegment),
        ];
        for (name, reason) in cases {
            assert_eq!(name.parse::<FileName>(), Err(reason), "{name:?}");
        }
    }

    #[test]
    fn the_longest_name_has_1024_bytes() {
        assert!("x".repeat(1_024).parse::<FileName>().is_ok());
        assert_eq!("x".repeat(1_025).parse::<FileName>(), Err(Invalid::NameTooLong { bytes: 1_025 }));
        assert_eq!("ü".repeat(513).parse::<FileName>(), Err(Invalid::NameTooLong { bytes: 1_026 }));
    }

    proptest! {
        #[test]
        fn a_name_that_was_taken_never_leads_out_of_a_folder(text in ".{0,40}") {
            if let Ok(name) = text.parse::<FileName>() {
                let path = std::path::Path::new(name.as_str());
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
