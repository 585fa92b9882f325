//! Scaled dot-product self-attention over a row's layers.
//!
//! For a row with layers `X = [e_0; ..; e_K]`, `n = K + 1`: `Q = X W_q`, `H = X W_k`, `V = X W_v`,
//! `s = Q H^T / sqrt(key_dim)`, `l_rj = theta_j + bound tanh(s_rj / bound)` (`theta_j + s_rj`
//! without a bound), `P = softmax of each line of l`, `pooled = (1/n) 1^T P V`. With the mean
//! weights `a = (1/n) P^T 1` this is `pooled = (sum_j a_j e_j) W_v`, which is how it is worked out:
//! one product a row instead of n. `W_q = 0` gives global weights; `W_v = I` a plain mix of the
//! layers.
//!
//! Backward, with `y = W_v g`, `v_j = <e_j, y>`: `d l_rj = (1/n) P_rj (v_j - sum_i P_ri v_i)`,
//! `d theta_j = sum_r d l_rj`, `d s = d l (1 - tanh^2(s / bound)) / sqrt(key_dim)`, `d Q = d s H`,
//! `d H = d s^T Q`, `d W_q = X^T d Q`, `d W_k = X^T d H`, `d W_v = (sum_j a_j e_j) g^T`,
//! `direct = d Q W_q^T + d H W_k^T + a y^T`, parameters' shares summed over rows. `P` is worked out
//! again.
//!
//! Tangent: `Q_dot = X_dot W_q + X W_q_dot`, `H_dot` likewise,
//! `l_dot = theta_dot + (1 - tanh^2(s / bound)) (Q_dot H^T + Q H_dot^T) / sqrt(key_dim)`,
//! `P_dot = P (l_dot - its mean under P)`, `a_dot = (1/n) P_dot^T 1`,
//! `pooled_dot = (sum_j a_dot_j e_j + a_j e_dot_j) W_v + (sum_j a_j e_j) W_v_dot`.
//!
//! # Source
//! Vaswani et al., *Attention is all you need*, NIPS 2017, eq. 1, one head; layers take the place
//! of words and the lines of the result are averaged.

use std::ops::Range;

use super::attention::Attention;

#[cfg(feature = "gpu")]
mod gpu;
mod passes;
mod reference;

/// Sizes and constants of dot attention. Its parameters are `[theta | W_q | W_k | W_v]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DotShape {
    /// Columns of a row.
    pub dim: usize,
    /// Columns of a query or key, at least 1.
    pub key_dim: usize,
    /// K: layers above layer 0, 0..=8.
    pub layers: usize,
    /// Farthest that a logit may be from `theta`; 0 means no bound.
    pub bound: f32,
}

impl DotShape {
    /// Where `W_q` is: `[dim, key_dim]`, row-major.
    pub fn query(&self) -> Range<usize> {
        let from = self.theta().end;
        from..from + self.dim * self.key_dim
    }

    /// Where `W_k` is: `[dim, key_dim]`, row-major.
    pub fn key(&self) -> Range<usize> {
        let from = self.query().end;
        from..from + self.dim * self.key_dim
    }

    /// Where `W_v` is: `[dim, dim]`, row-major.
    pub fn value(&self) -> Range<usize> {
        let from = self.key().end;
        from..from + self.dim * self.dim
    }

    fn scale(&self) -> f32 {
        1.0 / (self.key_dim as f32).sqrt()
    }
}

impl Attention for DotShape {
    fn dim(&self) -> usize {
        self.dim
    }

    fn layers(&self) -> usize {
        self.layers
    }

    fn n_parameters(&self) -> usize {
        self.value().end
    }
}
