//! Where a file of another peer goes on our disk.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::manifest::RemoteFile;
use crate::digest::ContentDigest;
use crate::site::PART_PREFIX;

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
        let part = builder.tempfile_in(&self.folder)?;
        // Held until it is put or given up, and let go by the system when the process dies. Where there are no locks, nobody is
        // told that it is in use.
        let _ = part.as_file().try_lock();
        Ok(part)
    }

    fn clear_parts(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let is_part = entry.file_name().as_encoded_bytes().starts_with(PART_PREFIX.as_bytes());
            if is_part && entry.file_type()?.is_file() && File::open(entry.path())?.try_lock().is_ok() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Gives a part that is complete its name, in place of what had it.
    pub(super) fn put(&self, part: NamedTempFile) -> io::Result<()> {
        part.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

/// Takes away the parts that a fetch has left which was killed, in all directories below `out` that these files go to. Those of a
/// fetch that runs are locked, and stay.
pub(super) fn clear_parts(out: &Path, files: &[RemoteFile]) {
    let folder = |file: &RemoteFile| file.name.as_str().rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let mut seen = HashSet::new();
    for file in files.iter().filter(|file| folder(file).is_some_and(|folder| seen.insert(folder))) {
        // Whatever is wrong here is found again, and said, when the files themselves are fetched.
        if let Ok(place) = Place::below(out, file) {
            let _ = place.clear_parts();
        }
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
    fn parts_that_nobody_writes_any_more_are_taken_away_and_others_stay() {
        let out = tempfile::tempdir().unwrap();
        let file = file("home/a", b"content");
        let place = Place::below(out.path(), &file).unwrap();
        let (_, left) = place.part().unwrap().keep().unwrap();
        let used = place.part().unwrap();
        fs::write(out.path().join("home/other"), "").unwrap();
        clear_parts(out.path(), &[file]);
        assert!(!left.exists());
        assert!(used.path().exists());
        assert!(out.path().join("home/other").exists());
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
