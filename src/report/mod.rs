//! What a run tells about itself: `report.json`, tables for a terminal, and a page for a browser.

mod chart;
mod document;
mod html;
mod table;

pub use document::{CurvePoint, DatasetFacts, ProtocolFacts, Report, Stage, Timing};
pub use table::{Cell, Format, Table};
