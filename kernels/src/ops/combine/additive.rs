//! Additive attention over a row's layers.
//!
//! `s_ik = q . tanh(W e_ik + b)`, `l_ik = theta_k + bound tanh(s_ik / bound)` (`theta_k + s_ik`
//! without a bound), `a_i = softmax_k(l_ik / T)`, `pooled_i = sum_k a_ik e_ik`. `q = 0` gives
//! global weights, `theta = 0` as well uniform ones.
//!
//! Backward, with `p_ik = <g_i, e_ik>`, `m_i = sum_k a_ik p_ik`, `zeta_ik = a_ik (p_ik - m_i) / T`
//! and `d s_ik = zeta_ik (1 - tanh^2(s_ik / bound))`: `d theta_k = sum_i zeta_ik`,
//! `d q = sum d s_ik h_ik`, `delta_ik = d s_ik q (1 - h_ik^2)`, `d b = sum delta_ik`,
//! `d W = sum delta_ik e_ik^T`, `direct_ik = a_ik g_i + W^T delta_ik`. `h = tanh(W e + b)` is
//! worked out again.
//!
//! Tangent: `s_dot = q_dot . h + q . ((1 - h^2) (W e_dot + W_dot e + b_dot))`,
//! `l_dot = theta_dot + (1 - tanh^2(s / bound)) s_dot`, `a_dot = a (l_dot - <a, l_dot>) / T`,
//! `pooled_dot = sum_k a_dot_k e_k + a_k e_dot_k`. The weights are worked out again.
//!
//! # Source
//! Bahdanau et al., *Neural machine translation by jointly learning to align and translate*, ICLR
//! 2015, for the score; layers take the place of words.

use std::ops::Range;

use super::attention::Attention;

#[cfg(feature = "gpu")]
mod gpu;
mod passes;
mod reference;

/// Sizes and constants of additive attention. Its parameters are `[theta | W | b | q]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdditiveShape {
    /// Columns of a row.
    pub dim: usize,
    /// Rows of `W`.
    pub hidden: usize,
    /// K: layers above layer 0, 0..=8.
    pub layers: usize,
    /// T, above 0.
    pub temperature: f32,
    /// Farthest that a row's logit may be from `theta`; 0 means no bound.
    pub bound: f32,
}

impl AdditiveShape {
    /// Where `W` is: `[hidden, dim]`, row-major.
    pub fn weight(&self) -> Range<usize> {
        let from = self.theta().end;
        from..from + self.hidden * self.dim
    }

    /// Where `b` is: `[hidden]`.
    pub fn bias(&self) -> Range<usize> {
        let from = self.weight().end;
        from..from + self.hidden
    }

    /// Where `q` is: `[hidden]`.
    pub fn query(&self) -> Range<usize> {
        let from = self.bias().end;
        from..from + self.hidden
    }
}

impl Attention for AdditiveShape {
    fn dim(&self) -> usize {
        self.dim
    }

    fn layers(&self) -> usize {
        self.layers
    }

    fn n_parameters(&self) -> usize {
        self.query().end
    }
}
