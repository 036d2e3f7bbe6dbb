//! The registry inside the process: in memory for reads, on disk for crashes.
//!
//! `table` knows who has what (with `peers`, `files` and `contents` for its indexes, which are made of `numbered`, `index`
//! and `dense`), `reads` and `moving` are what is asked of it, and `reports` (with `hidden` and `standing`) who must not be
//! shown to whom; `reporting` brings the two together. `tokens` knows which signatures served. `journal` collects the changes
//! in a thread of its own, `groups` writes them, `disk` is the engine below with `records` for the bytes, `takeover` reads what an earlier version wrote, and `store` is
//! the registry over them. A read never waits for the disk, and a write only for a slow one.

mod contents;
mod dense;
mod departure;
mod disk;
mod files;
mod groups;
mod hidden;
mod index;
mod journal;
mod moving;
mod numbered;
mod peers;
mod reads;
mod records;
mod reporting;
mod reports;
mod standing;
mod store;
mod table;
mod takeover;
mod tokens;

pub use store::EmbeddedRegistry;
