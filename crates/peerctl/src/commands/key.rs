use crate::cli::KeyCommand;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::output::{note, say};

pub(super) fn run(command: &KeyCommand) -> Result<(), Failure> {
    let identity = if command.show {
        Identity::read(&command.file)?
    } else {
        let identity = Identity::generate()?;
        identity.write_new(&command.file)?;
        note(format_args!("a new key is in {}; this is its id:", command.file.display()));
        identity
    };
    say(identity.id())?;
    Ok(())
}
