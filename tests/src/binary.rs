//! Where the programs under test are.

use std::env;
use std::path::{Path, PathBuf};

/// A folder that holds the binaries, for runs against a build that is not beside the tests.
const FOLDER_VARIABLE: &str = "BLACK_BOX_BIN_DIR";

/// A program of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// The HTTP service.
    Tracker,
    /// The UDP service.
    Matchmaker,
    /// Both in one process.
    Standalone,
    /// The command line of a peer, which listens nowhere.
    Peerctl,
}

impl Binary {
    /// All that serve.
    pub const ALL: [Self; 3] = [Self::Tracker, Self::Matchmaker, Self::Standalone];

    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracker => "tracker",
            Self::Matchmaker => "matchmaker",
            Self::Standalone => "standalone",
            Self::Peerctl => "peerctl",
        }
    }

    /// The settings that name a listener of this program, each with the service that its log line names.
    pub fn listeners(self) -> &'static [(&'static str, &'static str)] {
        const TRACKER: [(&str, &str); 2] =
            [("TRACKER_LISTEN", "tracker"), ("TRACKER_ADMIN_LISTEN", "tracker-admin")];
        const MATCHMAKER: [(&str, &str); 2] =
            [("MATCHMAKER_LISTEN", "matchmaker"), ("MATCHMAKER_ADMIN_LISTEN", "matchmaker-admin")];
        const BOTH: [(&str, &str); 4] = [TRACKER[0], TRACKER[1], MATCHMAKER[0], MATCHMAKER[1]];
        match self {
            Self::Tracker => &TRACKER,
            Self::Matchmaker => &MATCHMAKER,
            Self::Standalone => &BOTH,
            Self::Peerctl => &[],
        }
    }

    /// The file. Panics, and says what to do, when it has not been built.
    pub fn path(self) -> PathBuf {
        let folder = env::var_os(FOLDER_VARIABLE).map_or_else(beside_the_test, PathBuf::from);
        let path = folder.join(self.name());
        assert!(
            path.is_file(),
            "{} is missing: build first: cargo build --bins, or use tests/run",
            path.display()
        );
        path
    }
}

/// `target/<profile>`, from `target/<profile>/deps/<test>`.
fn beside_the_test() -> PathBuf {
    let test = env::current_exe().expect("the test knows its own file");
    let folder = test.parent().expect("a file is in a folder");
    if folder.ends_with("deps") { folder.parent().map(Path::to_path_buf) } else { Some(folder.to_path_buf()) }
        .expect("deps is inside the folder of the profile")
}
