//! NumPy's `.npy`, version 1.0: a header that names type and shape, then the numbers row by row.
//!
//! # Source
//! `numpy.lib.format`: the magic `\x93NUMPY`, the version, the length of the header in 16 bits, the
//! header as a Python dictionary, padded with blanks and a line end to a multiple of 64 bytes.

use super::{Format, Shape, little_endian};
use crate::report::Table;

/// One array of numbers.
pub(super) struct Npy;

impl Format for Npy {
    fn name(&self) -> &'static str {
        "npy"
    }

    fn rows(&self, _table: &Table, _is_first: bool) -> Option<String> {
        None
    }

    fn head(&self, shape: &Shape) -> Vec<u8> {
        let Shape { n_rows, width, .. } = shape;
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n_rows}, {width}), }}");
        // Magic, version and length take 10 bytes, the line end one.
        let padding = (64 - (10 + header.len() + 1) % 64) % 64;
        header += &" ".repeat(padding);
        header.push('\n');
        let length = u16::try_from(header.len()).expect("two numbers should fit a header of 64 KB");
        [&b"\x93NUMPY\x01\x00"[..], &length.to_le_bytes(), header.as_bytes()].concat()
    }

    fn vectors(&self, _shape: &Shape, _names: &[String], values: &[f32]) -> Vec<u8> {
        little_endian(values)
    }

    fn has_names_beside(&self) -> bool {
        true
    }

    fn python(&self, file: &str, shape: &Shape) -> String {
        format!(
            "import numpy as np\n\
             vectors = np.load({file:?})                         # or mmap_mode=\"r\"\n\
             ids = open({:?}, encoding=\"utf-8\").read().split(\"\\n\")[:-1]  # {}s, as the data name them",
            format!("{file}.ids.txt"),
            shape.names
        )
    }
}
