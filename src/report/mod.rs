//! Reports: `report.json`, tables for a terminal, and pages for a browser.

mod chart;
mod comparison;
mod comparison_page;
mod document;
mod html;
mod insight_page;
mod page;
mod plots;
mod table;
mod weights_page;

pub use comparison::Comparison;
pub(crate) use comparison::{
    BothTest, Compared, Cost, Difference, Run, SeedTest, Summary, Trial, Tuned, Tuning, UserTest,
};
pub use document::Report;
pub(crate) use document::{Changed, CurvePoint, DataFile, DatasetFacts, Origin, ProtocolFacts, Stage, Timing};
pub use table::{Cell, Format, Table};
