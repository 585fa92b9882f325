//! The numeric operations, one file each. Rows are `dim` wide and row-major everywhere.

pub mod adam;
pub mod adam_tangent;
pub mod adjacency;
pub mod all_pairs;
pub mod combine;
pub mod copy_rows;
pub mod gather;
pub mod half_table;
pub mod loss_sum;
pub mod loss_weights;
pub mod normalize;
pub mod pair_dots;
pub mod pair_loss;
pub mod point_loss;
pub mod pool_rows;
pub mod propagate;
pub mod propagate_adam;
pub mod row_set;
pub mod scale_rows;
pub mod segments;
mod select;
pub mod shares;
pub mod signed_coefficients;
pub mod softmax;
pub mod top_k;
