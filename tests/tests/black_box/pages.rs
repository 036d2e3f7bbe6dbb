//! The pages for people, in a real browser.

mod browser;
mod dashboard;
mod docs;
mod network;
