//! The numeric operations, one file each. Rows are `dim` wide and row-major everywhere.

pub mod adam;
pub mod adam_tangent;
pub mod adjacency;
pub mod all_pairs;
pub mod coefficients;
pub mod combine;
pub mod dots;
pub mod gather;
pub mod loss_sum;
pub mod loss_weights;
pub mod normalize;
pub mod pair_loss;
pub mod place;
pub mod point_loss;
pub mod pool_rows;
pub mod propagate;
pub mod propagate_adam;
pub mod row_set;
pub mod rows;
pub mod scatter;
mod select;
pub mod shares;
pub mod softmax;
pub mod table;
pub mod top_k;
