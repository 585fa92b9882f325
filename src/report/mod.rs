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

pub use comparison::{
    BothTest, Compared, Comparison, Cost, Difference, Run, SeedTest, Summary, Trial, Tuned, Tuning, UserTest,
};
pub use document::{Changed, CurvePoint, DataFile, DatasetFacts, Origin, ProtocolFacts, Report, Stage, Timing};
pub use table::{Cell, Format, Table};
