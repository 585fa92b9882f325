//! The numeric operations, one file each. Rows are `dim` wide and row-major everywhere.

pub mod adjacency;
pub mod propagate;
pub mod row_set;
