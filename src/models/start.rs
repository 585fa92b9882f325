//! The item vectors of one model as the start of another.
//!
//! Directions and relative lengths are kept, the scale is not: one factor gives all vectors the
//! root mean square that the new model's own start has. The vectors of a trained graph model are
//! many times longer: added to the vectors of positions they would outweigh them, and a softmax
//! over their inner products would start with probabilities near 0 and 1, where it learns slowly.

use gcnrec_graphs::ItemId;

use super::Model;
use crate::error::{RecError, Result};
use crate::settings::{Family, Row};

/// Item vectors to start from.
#[derive(Debug, Clone, PartialEq)]
pub struct StartItems {
    /// Width of a vector.
    pub dim: usize,
    /// The items, each at most once.
    pub items: Vec<ItemId>,
    /// `[items.len(), dim]`
    pub vectors: Vec<f32>,
}

impl StartItems {
    /// Refuses a model whose item vectors have another width.
    ///
    /// # Errors
    /// [`RecError::Config`] with both widths.
    pub fn check(&self, model: &str, dim: usize) -> Result<()> {
        if self.dim == dim {
            return Ok(());
        }
        let expected = format!("{}, the width of the item vectors to start from", self.dim);
        let todo = format!("set --dim {}, or train the other run with --dim {dim}", self.dim);
        Err(RecError::range(format!("model.{model}.dim"), dim, expected).with_todo(todo))
    }

    /// What a model without a vector for each item says.
    pub fn nowhere(model: &str) -> RecError {
        let fits = |row: &&Row<dyn Model>| (row.default)().item_dim().is_some();
        let names: Vec<&str> = <dyn Model>::rows().iter().copied().filter(fits).map(|row| row.name).collect();
        RecError::usage(
            format!("train.init_items_from does not fit {model}"),
            format!("it fits models that read a history with one vector for each item: {}", names.join(", ")),
        )
    }

    /// Puts the vectors into a table `[n_items, dim]` of random ones, scaled to the standard
    /// deviation `std` of those. Other items keep theirs.
    pub(super) fn put(&self, std: f32, table: &mut [f32]) {
        let squares: f64 = self.vectors.iter().map(|&value| f64::from(value).powi(2)).sum();
        let size = (squares / self.vectors.len().max(1) as f64).sqrt();
        // Vectors of zeros have no scale.
        let factor = if size > 0.0 { (f64::from(std) / size) as f32 } else { 1.0 };
        for (item, vector) in self.items.iter().zip(self.vectors.chunks_exact(self.dim)) {
            let row = &mut table[item.index() * self.dim..(item.index() + 1) * self.dim];
            row.iter_mut().zip(vector).for_each(|(value, vector)| *value = factor * vector);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_items_start_from_their_vectors_at_the_scale_of_the_model_and_others_keep_theirs() {
        // The squares are 9, 16, 0 and 25: their mean is 12.5, so the factor is .25 / sqrt(12.5) =
        // .0707107.
        let start = StartItems { dim: 2, items: vec![ItemId(2), ItemId(0)], vectors: vec![3.0, 4.0, 0.0, -5.0] };
        let mut table = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        start.put(0.25, &mut table);
        let expected = [0.0, -0.3535534, 3.0, 4.0, 0.212132, 0.2828427];
        assert!(table.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{table:?}");
        let none = StartItems { dim: 2, items: vec![ItemId(1)], vectors: vec![0.0, 0.0] };
        none.put(0.5, &mut table);
        assert_eq!(table[2..4], [0.0, 0.0]);
    }

    #[test]
    fn two_widths_are_both_named() {
        let start = StartItems { dim: 32, items: Vec::new(), vectors: Vec::new() };
        assert!(start.check("sasrec", 32).is_ok());
        assert_eq!(
            start.check("sasrec", 64).unwrap_err().to_string(),
            "model.sasrec.dim: found 64, expected 32, the width of the item vectors to start from; set --dim 32, or train the other run with --dim 64"
        );
    }
}
