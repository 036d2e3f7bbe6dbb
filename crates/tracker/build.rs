//! Takes what `/docs` needs of Swagger UI out of the archive that a crate brings.

use std::io::{Cursor, Read as _};
use std::path::Path;
use std::{env, fs};

/// Files of the archive, without its top folder, and the names under which `src/pages.rs` finds them.
const FILES: [(&str, &str); 4] = [
    ("dist/swagger-ui-bundle.js", "swagger-ui-bundle.js"),
    ("dist/swagger-ui.css", "swagger-ui.css"),
    ("LICENSE", "swagger-ui-license.txt"),
    ("NOTICE", "swagger-ui-notice.txt"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    let mut archive = zip::ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED))?;
    let top = archive.by_index(0)?.name()?.split('/').next().unwrap_or_default().to_owned();
    for (file, name) in FILES {
        let mut content = Vec::new();
        archive.by_name(&format!("{top}/{file}"))?.read_to_end(&mut content)?;
        fs::write(Path::new(&out).join(name), content)?;
    }
    Ok(())
}
