//! A site on disk: the files of a directory and the names that they are published under.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use peer_core::limits::FILES_PER_PEER_MAX;
use peer_core::{FileName, Invalid};

use crate::digest::ContentDigest;
use crate::failure::Failure;

/// How the name of a file starts that a fetch has not completed: hidden, and never given out.
pub(crate) const PART_PREFIX: &str = ".peerctl-";
/// Deepest directory that is walked into, in levels below the site's.
const DEPTH_MAX: usize = 64;
/// What to try where a directory cannot be read.
const READABLE: &str = "DIR is a directory that is there and that you may read, with all in it";

/// A file of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its name for others: the site, a slash, and the way to it.
    pub name: FileName,
    /// Where it is.
    pub path: PathBuf,
}

/// A file of a site and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedFile {
    /// Its name for others.
    pub name: FileName,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub digest: ContentDigest,
    /// How much is in it, in bytes.
    pub size: u64,
}

impl LocalFile {
    /// Reads it to its end.
    pub fn hash(self) -> anyhow::Result<HashedFile> {
        let (digest, size) = File::open(&self.path)
            .and_then(ContentDigest::of_reader)
            .with_context(|| format!("{} cannot be read", self.path.display()))?;
        Ok(HashedFile { name: self.name, path: self.path, digest, size })
    }
}

/// What is in a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// What can be published, in order of names.
    pub files: Vec<LocalFile>,
    /// What cannot, and why. Hidden files are left out without a word.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Why a site has no name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSiteName {
    /// The directory is not there, or not to be reached.
    #[error("{} cannot be read: {why}", path.display())]
    NotThere {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The directory has none that is text.
    #[error("{} gives no name for a site", .0.display())]
    OfDirectory(PathBuf),
    /// It is one segment of a file name.
    #[error("a site's name has no '/': {0:?}")]
    Slash(String),
    /// It is none of those that trackers take.
    #[error("no name for a site: {name:?}: {why}")]
    Invalid {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: Invalid,
    },
}

impl From<NoSiteName> for Failure {
    fn from(error: NoSiteName) -> Self {
        match error {
            NoSiteName::NotThere { .. } => Self::failed(error, READABLE),
            NoSiteName::OfDirectory(_) => Self::usage(error, "give it one: --site NAME"),
            NoSiteName::Slash(_) | NoSiteName::Invalid { .. } => {
                Self::usage(error, "a name is one word, such as home")
            }
        }
    }
}

/// Why a directory is no site.
#[derive(Debug, thiserror::Error)]
pub enum NoSite {
    /// It is not there, not to be read, or a file.
    #[error("{} cannot be read", path.display())]
    NotRead {
        /// What, in the directory or itself.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// Something in it has no end, as it seems.
    #[error("{} is more than {DEPTH_MAX} levels deep", .0.display())]
    TooDeep(PathBuf),
    /// No tracker would take them all.
    #[error("a peer publishes at most {FILES_PER_PEER_MAX} files; there are more in {}", .0.display())]
    TooMany(PathBuf),
}

impl From<NoSite> for Failure {
    fn from(error: NoSite) -> Self {
        let hint = match error {
            NoSite::NotRead { .. } => READABLE,
            NoSite::TooDeep(_) | NoSite::TooMany(_) => "name a directory further down, with a part of it",
        };
        Self::failed(error, hint)
    }
}

/// The name of a site: one segment of a file name.
pub fn site_name(dir: &Path, given: Option<&str>) -> Result<String, NoSiteName> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => fs::canonicalize(dir)
            .map_err(|why| NoSiteName::NotThere { path: dir.to_owned(), why: why.to_string() })?
            .file_name()
            .and_then(|name| name.to_str().map(str::to_owned))
            .ok_or_else(|| NoSiteName::OfDirectory(dir.to_owned()))?,
    };
    match name.parse::<FileName>() {
        _ if name.contains('/') => Err(NoSiteName::Slash(name)),
        Err(why) => Err(NoSiteName::Invalid { name, why }),
        Ok(_) => Ok(name),
    }
}

impl Site {
    /// Walks `dir`. Links are not followed, so that nothing from outside of it is published; what starts with a dot is
    /// left out unless `hidden`.
    pub fn walk(dir: &Path, name: &str, hidden: bool) -> Result<Self, NoSite> {
        let mut site = Self::default();
        let mut open = vec![(dir.to_owned(), name.to_owned(), 0)];
        while let Some((path, name, depth)) = open.pop() {
            let entries = fs::read_dir(&path)
                .and_then(Iterator::collect::<io::Result<Vec<_>>>)
                .map_err(|why| NoSite::NotRead { path, why })?;
            for entry in entries {
                let path = entry.path();
                let file_name = entry.file_name();
                let Some(segment) = file_name.to_str() else {
                    site.left_out.push((path, "its name is not UTF-8".to_owned()));
                    continue;
                };
                if segment.starts_with(PART_PREFIX) || (segment.starts_with('.') && !hidden) {
                    continue;
                }
                let kind = match entry.file_type() {
                    Ok(kind) => kind,
                    Err(why) => return Err(NoSite::NotRead { path, why }),
                };
                let name = format!("{name}/{segment}");
                if kind.is_dir() {
                    if depth == DEPTH_MAX {
                        return Err(NoSite::TooDeep(path));
                    }
                    open.push((path, name, depth + 1));
                } else if kind.is_file() {
                    site.take(path, &name);
                } else {
                    site.left_out.push((path, "it is a link or a device and no file".to_owned()));
                }
            }
            if site.files.len() > FILES_PER_PEER_MAX {
                return Err(NoSite::TooMany(dir.to_owned()));
            }
        }
        site.files.sort_by(|one, other| one.name.cmp(&other.name));
        site.left_out.sort();
        Ok(site)
    }

    fn take(&mut self, path: PathBuf, name: &str) {
        match name.parse() {
            Ok(name) => self.files.push(LocalFile { name, path }),
            Err(why) => self.left_out.push((path, why.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    fn names(site: &Site) -> Vec<&str> {
        site.files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn files_have_the_name_of_the_site_before_their_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        for file in ["index.html", "a/b/c.css", "a/.hidden", ".git"] {
            fs::write(dir.path().join(file), file).unwrap();
        }
        let site = Site::walk(dir.path(), "home", false).unwrap();
        assert_eq!(names(&site), ["home/a/b/c.css", "home/index.html"]);
        assert_eq!(site.left_out, []);
        let all = Site::walk(dir.path(), "home", true).unwrap();
        assert_eq!(names(&all), ["home/.git", "home/a/.hidden", "home/a/b/c.css", "home/index.html"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_published_is_left_out_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        fs::write(dir.path().join("a\\b"), "").unwrap();
        fs::write(dir.path().join("a\nb"), "").unwrap();
        let site = Site::walk(dir.path(), "home", false).unwrap();
        assert_eq!(site.files, []);
        let reasons: Vec<&str> = site.left_out.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "a file name has no control characters",
                "a file name has '/' between its segments and no '\\'",
                "it is a link or a device and no file",
            ]
        );
    }

    #[test]
    fn a_site_is_called_as_its_directory_unless_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        assert_eq!(site_name(&home, None), Ok("home".to_owned()));
        assert_eq!(site_name(&home.join("."), None), Ok("home".to_owned()));
        assert_eq!(site_name(&home, Some("other")), Ok("other".to_owned()));
        for bad in ["", "..", "a/b", "a\\b"] {
            assert!(site_name(&home, Some(bad)).is_err(), "{bad:?}");
        }
        assert!(site_name(Path::new("/"), None).is_err());
    }
}
