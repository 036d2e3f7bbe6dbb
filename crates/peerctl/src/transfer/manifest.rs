//! The list of a site's files as another peer gives it: nothing in it is believed before it was looked at.

use std::collections::HashSet;

use peer_core::limits::{FILE_SIZE_MAX, FILES_PER_PEER_MAX};
use peer_core::{FileName, Invalid};

use super::wire::ManifestBody;
use crate::digest::ContentDigest;
use crate::site::PART_PREFIX;

/// A file that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name: the site, a slash, and segments that are not empty.
    pub name: FileName,
    /// What has to be in it.
    pub digest: ContentDigest,
    /// Its size in bytes.
    pub size: u64,
}

/// The files of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Each name once.
    pub files: Vec<RemoteFile>,
    /// All sizes together, in bytes.
    pub total_bytes: u64,
}

/// Why the list of another peer is not used. One bad entry spoils it: whoever writes that may have meant the rest as well.
#[derive(Debug, thiserror::Error)]
pub enum BadManifest {
    /// It is not of the form.
    #[error("the peer's list of files is not of the form: {0}")]
    Form(#[from] serde_json::Error),
    /// It is too long.
    #[error("the peer's list has {0} files; at most {FILES_PER_PEER_MAX} are taken")]
    TooMany(usize),
    /// A name could do harm.
    #[error("the peer's list has the name {name:?}: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: Invalid,
    },
    /// A name is not of the site, or has an empty segment, so that it would be the name of another file on disk.
    #[error("the peer's list has the name {0:?}, which is none of a file of this site")]
    NotOfSite(String),
    /// A name is one of those that we give to what is not complete.
    #[error("the peer's list has the name {0:?}, which is kept for files that are not complete")]
    Reserved(String),
    /// A name is that of a file and of a directory.
    #[error("the peer's list has a file {0:?} and others below it")]
    FileAndDirectory(String),
    /// No file is as large.
    #[error("the peer's list says that {name:?} has {size} bytes; at most {FILE_SIZE_MAX} can be")]
    Size {
        /// The name.
        name: String,
        /// What it says, in bytes.
        size: u64,
    },
    /// A name is there twice.
    #[error("the peer's list has the name {0:?} twice")]
    Twice(String),
    /// The files are larger than what was allowed.
    #[error("the site has more than the {limit} bytes that are allowed")]
    TooLarge {
        /// What was allowed, in bytes.
        limit: u64,
    },
}

impl Manifest {
    /// Reads the list of `site`, whose files may have `limit` bytes together.
    pub fn read(json: &[u8], site: &str, limit: u64) -> Result<Self, BadManifest> {
        let body: ManifestBody = serde_json::from_slice(json)?;
        if body.files.len() > FILES_PER_PEER_MAX {
            return Err(BadManifest::TooMany(body.files.len()));
        }
        let mut names = HashSet::with_capacity(body.files.len());
        let mut files = Vec::with_capacity(body.files.len());
        let mut total_bytes: u64 = 0;
        for entry in body.files {
            let name: FileName = match entry.filename.parse() {
                Ok(name) => name,
                Err(why) => return Err(BadManifest::Name { name: entry.filename, why }),
            };
            if !is_of_site(name.as_str(), site) {
                return Err(BadManifest::NotOfSite(entry.filename));
            }
            if name.as_str().split('/').any(|segment| segment.starts_with(PART_PREFIX)) {
                return Err(BadManifest::Reserved(entry.filename));
            }
            if entry.size > FILE_SIZE_MAX {
                return Err(BadManifest::Size { name: entry.filename, size: entry.size });
            }
            if !names.insert(name.clone()) {
                return Err(BadManifest::Twice(entry.filename));
            }
            total_bytes = total_bytes.saturating_add(entry.size);
            if total_bytes > limit {
                return Err(BadManifest::TooLarge { limit });
            }
            files.push(RemoteFile { name, digest: entry.hash, size: entry.size });
        }
        let is_file = |name: &str| name.parse::<FileName>().is_ok_and(|name| names.contains(&name));
        for file in &files {
            if let Some(directory) = directories(file.name.as_str()).find(|directory| is_file(directory)) {
                return Err(BadManifest::FileAndDirectory(directory.to_owned()));
            }
        }
        Ok(Self { files, total_bytes })
    }
}

/// The directories that a name goes through.
fn directories(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(place, _)| name.get(..place))
}

fn is_of_site(name: &str, site: &str) -> bool {
    let way = name.strip_prefix(site).and_then(|rest| rest.strip_prefix('/'));
    way.is_some_and(|way| way.split('/').all(|segment| !segment.is_empty()))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test that cannot make its own sample has failed"
    )]

    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read(names: &[&str], limit: u64) -> Result<Manifest, BadManifest> {
        let files: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"filename": name, "hash": HASH, "size": 10}))
            .collect();
        Manifest::read(serde_json::json!({"files": files}).to_string().as_bytes(), "home", limit)
    }

    #[test]
    fn a_list_of_a_site_is_taken() {
        let manifest = read(&["home/a", "home/b/c.html"], 20).expect("a good list");
        assert_eq!(manifest.total_bytes, 20);
        assert_eq!(manifest.files.len(), 2);
    }

    #[test]
    fn a_list_that_could_write_elsewhere_is_refused() {
        for name in ["home", "home/", "other/a", "homeless/a", "home//a", "home/a/", "a"] {
            assert!(matches!(read(&[name], 100), Err(BadManifest::NotOfSite(_))), "{name}");
        }
        for name in ["../a", "home/../../a", "/etc/passwd", "home/a\\..\\b", "home/a\0", ""] {
            assert!(matches!(read(&[name], 100), Err(BadManifest::Name { .. })), "{name}");
        }
        assert!(matches!(read(&["home/a", "home/a"], 100), Err(BadManifest::Twice(_))));
    }

    #[test]
    fn a_site_that_is_too_large_is_refused_before_anything_is_fetched() {
        assert!(matches!(read(&["home/a", "home/b"], 19), Err(BadManifest::TooLarge { limit: 19 })));
        let huge = format!(r#"{{"files":[{{"filename":"home/a","hash":"{HASH}","size":{}}}]}}"#, u64::MAX);
        assert!(matches!(
            Manifest::read(huge.as_bytes(), "home", 1 << 40),
            Err(BadManifest::Size { size: u64::MAX, .. })
        ));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "[]", "{}", r#"{"files":[{"filename":"home/a","hash":"abc","size":1}]}"#] {
            assert!(matches!(Manifest::read(text.as_bytes(), "home", 100), Err(BadManifest::Form(_))));
        }
    }

    /// Names that could do harm, and good ones among them.
    fn names() -> impl Strategy<Value = String> {
        let segment = prop_oneof![
            Just("home".to_owned()),
            Just("..".to_owned()),
            Just(".peerctl-x".to_owned()),
            "[ab]",
            "[a./\\\\~:\u{0}\n\u{202e}é]{0,3}",
        ];
        let name = prop::collection::vec(segment, 0..4).prop_map(|segments| segments.join("/"));
        prop_oneof![name.clone(), name.prop_map(|name| format!("home/{name}"))]
    }

    fn sizes() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            (0_u64..100).prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
        ]
    }

    proptest! {
        /// Whatever is taken can be written below the directory of the site, and nowhere else.
        #[test]
        fn a_list_that_is_taken_does_no_harm(
            entries in prop::collection::vec((names(), sizes()), 0..5),
            limit in prop_oneof![0_u64..300, Just(u64::MAX)],
            cut in prop::option::weighted(0.1, 0_usize..200),
        ) {
            let entry = |(name, size)| serde_json::json!({"filename": name, "hash": HASH, "size": size});
            let files: Vec<_> = entries.into_iter().map(entry).collect();
            let json = serde_json::json!({"files": files}).to_string();
            let json = cut.and_then(|cut| json.as_bytes().get(..cut)).unwrap_or(json.as_bytes());
            if let Ok(manifest) = Manifest::read(json, "home", limit) {
                let mut names = HashSet::new();
                for file in &manifest.files {
                    let path = std::path::Path::new(file.name.as_str());
                    prop_assert!(path.starts_with("home") && path != std::path::Path::new("home"));
                    prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                    prop_assert!(!file.name.as_str().contains(char::is_control));
                    // As paths: two texts must not be one file.
                    prop_assert!(names.insert(path));
                }
                let is_below = |path: &std::path::Path| path.ancestors().skip(1).any(|above| names.contains(above));
                prop_assert!(!names.iter().any(|path| is_below(path)));
                prop_assert_eq!(manifest.files.iter().map(|file| file.size).sum::<u64>(), manifest.total_bytes);
                prop_assert!(manifest.total_bytes <= limit);
            }
        }

        #[test]
        fn any_bytes_may_come(bytes: Vec<u8>) {
            // So many random bytes are a list once in the life of a universe.
            prop_assert!(Manifest::read(&bytes, "home", 100).is_err());
        }
    }
}
