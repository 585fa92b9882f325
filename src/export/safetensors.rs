//! Safetensors: one tensor, `vectors`; what it is of in the metadata, names in a file beside it.
//!
//! Written some rows at a time, as the format lays them out: the length of the header in 64 bits,
//! the header as JSON, padded with blanks to a multiple of 8 bytes, the numbers row by row.

use serde_json::json;

use super::{Format, Shape, little_endian};
use crate::report::Table;

/// One tensor of numbers.
pub(super) struct Safetensors;

impl Format for Safetensors {
    fn name(&self) -> &'static str {
        "safetensors"
    }

    fn rows(&self, _table: &Table, _is_first: bool) -> Option<String> {
        None
    }

    fn head(&self, shape: &Shape) -> Vec<u8> {
        let Shape { names, model, n_rows, width } = shape;
        let header = json!({
            "__metadata__": {"model": model, "rows": names, "ids": "one a line, in the file of this name with .ids.txt"},
            "vectors": {"dtype": "F32", "shape": [n_rows, width], "data_offsets": [0, 4 * n_rows * width]},
        });
        let mut header = header.to_string();
        header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
    }

    fn vectors(&self, _shape: &Shape, _names: &[String], values: &[f32]) -> Vec<u8> {
        little_endian(values)
    }

    fn has_names_beside(&self) -> bool {
        true
    }

    fn python(&self, file: &str, shape: &Shape) -> String {
        format!(
            "from safetensors.numpy import load_file\n\
             vectors = load_file({file:?})[\"vectors\"]\n\
             ids = open({:?}, encoding=\"utf-8\").read().split(\"\\n\")[:-1]  # {}s, as the data name them",
            format!("{file}.ids.txt"),
            shape.names
        )
    }
}
