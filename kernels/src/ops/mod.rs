//! The numeric operations, one file each. Rows are `dim` wide and row-major everywhere.

pub mod adam;
pub mod adjacency;
pub mod dots;
pub mod gather;
pub mod normalize;
pub mod propagate;
pub mod row_set;
pub mod rows;
pub mod scatter;
mod select;
pub mod top_k;
