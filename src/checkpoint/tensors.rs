//! Named tensors as `safetensors` files.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensorError, SafeTensors, View};

use crate::models::state::Tensor;

/// The file's bytes. Tensors are ordered by type and name, so the same tensors give the same bytes.
pub(super) fn encode(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, SafeTensorError> {
    safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), Stored(tensor))), None)
}

/// The tensors of a file. The library checks offsets and shapes against the file's length before
/// anything is allocated.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn decode(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    file.iter()
        .map(|(name, view)| Ok((name.to_string(), tensor(name, view.dtype(), view.shape(), view.data())?)))
        .collect()
}

fn tensor(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Result<Tensor, String> {
    let (words, rest) = data.as_chunks::<4>();
    let shape = shape.to_vec();
    match dtype {
        Dtype::F32 if rest.is_empty() => {
            Ok(Tensor::F32 { shape, values: words.iter().map(|&w| f32::from_le_bytes(w)).collect() })
        }
        Dtype::U32 if rest.is_empty() => {
            Ok(Tensor::U32 { shape, values: words.iter().map(|&w| u32::from_le_bytes(w)).collect() })
        }
        other => {
            Err(format!("tensor \"{name}\" holds {other:?} in {} bytes, expected whole F32 or U32 values", data.len()))
        }
    }
}

struct Stored<'a>(&'a Tensor);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.0 {
            Tensor::F32 { .. } => Dtype::F32,
            Tensor::U32 { .. } => Dtype::U32,
        }
    }

    fn shape(&self) -> &[usize] {
        match self.0 {
            Tensor::F32 { shape, .. } | Tensor::U32 { shape, .. } => shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self.0 {
            Tensor::F32 { values, .. } => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Tensor::U32 { values, .. } => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        4 * match self.0 {
            Tensor::F32 { values, .. } => values.len(),
            Tensor::U32 { values, .. } => values.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> BTreeMap<String, Tensor> {
        BTreeMap::from([
            ("base".into(), Tensor::F32 { shape: vec![2, 2], values: vec![1.0, -0.0, f32::MIN_POSITIVE, 3.5] }),
            ("empty".into(), Tensor::F32 { shape: vec![0, 7], values: vec![] }),
            ("ptr".into(), Tensor::U32 { shape: vec![3], values: vec![0, 1, u32::MAX] }),
            ("scalar".into(), Tensor::F32 { shape: vec![], values: vec![2.0] }),
        ])
    }

    #[test]
    fn tensors_come_back_with_their_bits() {
        assert_eq!(decode(&encode(&tensors()).unwrap()).unwrap(), tensors());
        assert_eq!(decode(&encode(&BTreeMap::new()).unwrap()).unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_header_that_claims_more_than_the_file_holds_is_refused() {
        // Bytes 0..8 are the header's length: here 2^63, far beyond the file.
        let mut bytes = encode(&tensors()).unwrap();
        bytes[7] = 0x80;
        assert!(decode(&bytes).is_err());
        let huge = br#"{"base":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"#;
        let bytes = [&(huge.len() as u64).to_le_bytes()[..], huge].concat();
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn a_tensor_of_another_type_is_refused_by_name() {
        let header = br#"{"base":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
        assert!(decode(&bytes).unwrap_err().contains("tensor \"base\" holds I64"));
    }
}
