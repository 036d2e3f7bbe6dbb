//! Where a file of another peer goes on our disk.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::manifest::RemoteFile;
use crate::digest::ContentDigest;

/// How the name of a file starts that is not complete: hidden, so that nobody publishes it.
const PART_PREFIX: &str = ".peerctl-";

/// The place of a file below a directory of ours.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory that the file is in.
    folder: PathBuf,
    /// The file.
    path: PathBuf,
}

impl Place {
    /// The place of `file` below `out`; makes the directories to it. A link on the way is refused, since it could lead out.
    pub(super) fn below(out: &Path, file: &RemoteFile) -> io::Result<Self> {
        let mut segments: Vec<&str> = file.name.as_str().split('/').collect();
        let last = segments.pop().unwrap_or_default();
        let mut folder = out.to_owned();
        for segment in segments {
            folder.push(segment);
            match fs::symlink_metadata(&folder) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(in_the_way(&folder)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::create_dir(&folder) {
                    // Another file's task made it in between.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                    made => made?,
                },
                Err(error) => return Err(error),
            }
        }
        Ok(Self { path: folder.join(last), folder })
    }

    /// Whether the right content is there already.
    pub(super) fn holds(&self, file: &RemoteFile) -> io::Result<bool> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if !found.is_file() => Err(in_the_way(&self.path)),
            Ok(found) if found.len() != file.size => Ok(false),
            Ok(_) => {
                let (digest, _) = ContentDigest::of_reader(File::open(&self.path)?)?;
                Ok(digest == file.digest)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A new file beside it, to be filled and then [put](Self::put). It goes away when it is dropped before that.
    pub(super) fn part(&self) -> io::Result<NamedTempFile> {
        let mut builder = Builder::new();
        builder.prefix(PART_PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        builder.tempfile_in(&self.folder)
    }

    /// Gives a part that is complete its name, in place of what had it.
    pub(super) fn put(&self, part: NamedTempFile) -> io::Result<()> {
        part.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

fn in_the_way(path: &Path) -> io::Error {
    let kind = |found: Metadata| if found.is_symlink() { "a link" } else { "something else" };
    let what = fs::symlink_metadata(path).map_or("something", kind);
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{what} is in the way at {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use std::io::Write as _;

    use super::*;

    fn file(name: &str, content: &[u8]) -> RemoteFile {
        let (digest, size) = ContentDigest::of_reader(content).unwrap();
        RemoteFile { name: name.parse().unwrap(), digest, size }
    }

    #[test]
    fn a_file_has_its_name_when_it_is_complete_and_not_before() {
        let out = tempfile::tempdir().unwrap();
        let file = file("home/a/b", b"content");
        let place = Place::below(out.path(), &file).unwrap();
        let mut part = place.part().unwrap();
        part.write_all(b"content").unwrap();
        assert!(!place.holds(&file).unwrap());
        place.put(part).unwrap();
        assert!(place.holds(&file).unwrap());
        assert_eq!(fs::read(out.path().join("home/a/b")).unwrap(), b"content");
    }

    #[test]
    fn a_part_that_is_given_up_leaves_nothing() {
        let out = tempfile::tempdir().unwrap();
        let place = Place::below(out.path(), &file("home/a", b"content")).unwrap();
        drop(place.part().unwrap());
        assert_eq!(fs::read_dir(out.path().join("home")).unwrap().count(), 0);
    }

    #[test]
    fn other_content_of_the_same_size_does_not_count() {
        let out = tempfile::tempdir().unwrap();
        let file = file("home/a", b"content");
        let place = Place::below(out.path(), &file).unwrap();
        fs::write(out.path().join("home/a"), "CONTENT").unwrap();
        assert!(!place.holds(&file).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let (out, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), out.path().join("home")).unwrap();
        assert!(Place::below(out.path(), &file("home/a", b"content")).is_err());
        fs::create_dir(out.path().join("other")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", out.path().join("other/a")).unwrap();
        let file = file("other/a", b"content");
        assert!(Place::below(out.path(), &file).unwrap().holds(&file).is_err());
    }
}
