//! The list of a site's files as another peer gives it: nothing in it is believed before it was looked at.

use std::collections::HashSet;

use peer_core::limits::{FILE_SIZE_MAX, FILES_PER_PEER_MAX};
use peer_core::{FileName, Invalid};

use super::wire::ManifestBody;
use crate::digest::ContentDigest;

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
            if !names.insert(name.clone()) {
                return Err(BadManifest::Twice(entry.filename));
            }
            total_bytes = total_bytes.saturating_add(entry.size.min(FILE_SIZE_MAX));
            if total_bytes > limit {
                return Err(BadManifest::TooLarge { limit });
            }
            files.push(RemoteFile { name, digest: entry.hash, size: entry.size });
        }
        Ok(Self { files, total_bytes })
    }
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
            Err(BadManifest::TooLarge { .. })
        ));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "[]", "{}", r#"{"files":[{"filename":"home/a","hash":"abc","size":1}]}"#] {
            assert!(matches!(Manifest::read(text.as_bytes(), "home", 100), Err(BadManifest::Form(_))));
        }
    }

    proptest! {
        #[test]
        fn a_name_that_was_taken_is_below_the_site(name in "(home|\\.\\.|[a./\\\\]{1,3})(/[a./\\\\]{0,4}){0,3}") {
            if let Ok(manifest) = read(&[&name], 100) {
                let path = std::path::Path::new(manifest.files[0].name.as_str());
                prop_assert!(path.starts_with("home"));
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            }
        }
    }
}
