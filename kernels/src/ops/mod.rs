//! The numeric operations, one file each. Rows are `dim` wide and row-major everywhere.

pub mod combine;
pub mod pair_loss;
pub mod point_loss;
pub mod softmax;
