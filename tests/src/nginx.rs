//! A real nginx, with the settings that a page of the documentation gives.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::deadline::{PATIENCE, eventually};
use crate::ports::free_port;

/// Where Debian has it, which is not in everybody's path.
const PROGRAM: &str = "/usr/sbin/nginx";

/// The name in the certificate.
pub const NAME: &str = "tracker.example.org";

/// A running nginx. It ends when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    /// Where it takes HTTP, IPv4 and IPv6.
    pub http: u16,
    /// Where it takes HTTPS.
    pub https: u16,
    folder: TempDir,
    child: Child,
}

impl Nginx {
    /// With the `site` of a page, which listens on 80 and 443, speaks to `127.0.0.1:8000` and has its certificate in
    /// `/etc/ssl/tracker.example.org`: those become free ports, `tracker`, and a certificate of our own. `None`, where the
    /// machine has no nginx.
    pub fn start(site: &str, tracker: SocketAddr) -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            return None;
        }
        let folder =
            tempfile::Builder::new().prefix("black-box-nginx-").tempdir().expect("a temporary folder");
        let path = folder.path().display().to_string();
        certificate(folder.path());
        let (http, https) = (free_port(), free_port());
        let mut site = site.to_owned();
        for (from, to) in [
            ("listen 80;", format!("listen 127.0.0.1:{http};")),
            ("listen [::]:80;", format!("listen [::1]:{http};")),
            ("listen 443 ssl;", format!("listen 127.0.0.1:{https} ssl;")),
            ("listen [::]:443 ssl;", format!("listen [::1]:{https} ssl;")),
            ("127.0.0.1:8000", tracker.to_string()),
            ("/etc/ssl/tracker.example.org", path.clone()),
        ] {
            assert!(site.contains(from), "the site has no {from}");
            site = site.replace(from, &to);
        }
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .concat();
        // Whoever runs the tests may have no rights to change users, and no user nginx.
        let all = format!(
            "user root;\npid {path}/pid;\nerror_log {path}/errors;\nworker_processes 1;\nevents {{}}\n\
             http {{\naccess_log {path}/accesses;\n{temporary}{site}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), all).expect("the folder is writable");
        let child = Command::new(PROGRAM)
            .args(["-p", &path, "-e", &format!("{path}/errors"), "-c", &format!("{path}/nginx.conf")])
            .args(["-g", "daemon off;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let mut nginx = Self { http, https, folder, child };
        eventually(PATIENCE, "nginx listens", || {
            let ended = nginx.child.try_wait().expect("our child");
            assert!(ended.is_none(), "nginx ended with {ended:?}:\n{}", nginx.errors());
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, https)).ok()
        });
        Some(nginx)
    }

    /// What it complained of.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default()
    }

    /// The certificate that it shows.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("fullchain.pem")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, and not a kill, which would leave its workers.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}

fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={NAME}"), "-addext", &format!("subjectAltName=DNS:{NAME}")])
        .args(["-keyout", "privkey.pem", "-out", "fullchain.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl is installed: tests/run does that");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
