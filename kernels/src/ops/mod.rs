//! The numeric operations, one file each. Rows are `dim` wide and row-major everywhere.
