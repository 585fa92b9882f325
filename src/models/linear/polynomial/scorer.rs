//! A fitted polynomial filter: answers by history, blocks of users side by side.

use std::borrow::Cow;

use gcnrec_graphs::{ItemId, UserId};
use gcnrec_kernels::ops::top_k::score_block;
use gcnrec_kernels::{Buffer, Device};
use ndarray::Array2;
use rayon::prelude::*;

use super::super::user_items::check_item;
use super::product::{Product, add};
use super::{Basis, Filter, SETTINGS, WIDTH};
use crate::error::Result;
use crate::models::ranking::{most_similar, score_matrix};
use crate::models::state::State;
use crate::models::{Query, Scorer};

/// A filter with the data that it runs over.
pub(in super::super) struct PolynomialScorer {
    name: &'static str,
    settings: serde_json::Value,
    basis: Basis,
    /// `p` and `q`, as long as each other.
    coefficients: Vec<(f32, f32)>,
    product: Product,
    /// `[n_items]`: the degree to the power of `-s` and of `s`
    enter: Vec<f32>,
    leave: Vec<f32>,
    /// `[n_items]`: the degree to the power of `-e`
    project: Vec<f32>,
    factors: usize,
    /// `V`: `[n_items, factors]`
    vectors: Vec<f32>,
    /// `D_I^(e-s) V`: `[n_items, factors]`
    table: Buffer<f32>,
}

impl PolynomialScorer {
    pub(super) fn new(
        (name, settings): (&'static str, serde_json::Value),
        filter: &Filter,
        product: Product,
        vectors: Vec<f32>,
    ) -> Self {
        let rounded = |exponent| product.degrees_to(exponent).map(|value| value as f32).collect::<Vec<f32>>();
        let (enter, leave) = (rounded(-filter.degree_power), rounded(filter.degree_power));
        let project = rounded(-filter.ideal_power);
        let factors = vectors.len().checked_div(enter.len()).unwrap_or(0);
        let scale = product.degrees_to(filter.ideal_power - filter.degree_power);
        let rows = vectors.chunks_exact(factors.max(1)).zip(scale);
        let table = rows.flat_map(|(row, scale)| row.iter().map(move |&value| (scale * f64::from(value)) as f32));
        let table = Device::Cpu.upload(&table.collect::<Vec<f32>>());
        let ideal = if factors > 0 { &filter.ideal[..] } else { &[] };
        let at = |list: &[f64], k: usize| list.get(k).copied().unwrap_or(0.0) as f32;
        let length = filter.history.len().max(ideal.len());
        let coefficients = (0..length).map(|k| (at(&filter.history, k), at(ideal, k))).collect();
        let basis = filter.basis;
        PolynomialScorer {
            name,
            settings,
            basis,
            coefficients,
            product,
            enter,
            leave,
            project,
            factors,
            vectors,
            table,
        }
    }

    /// `r D_I^-e V`: `[factors]`.
    fn projected(&self, items: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.factors];
        for &item in items {
            let start = item as usize * self.factors;
            let row = &self.vectors[start..start + self.factors];
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += self.project[item as usize] * value);
        }
        sum
    }

    /// Turns the ideal part of up to `W` users, a row each, into their scores. Each user's sums run
    /// in the same order whoever stands beside them.
    fn filter<const W: usize>(&self, work: &mut Work<W>, items: &[Cow<'_, [u32]>], rows: &mut [f32]) {
        let n_items = self.enter.len();
        work.resize(self.product.n_users(), n_items);
        if self.factors > 0 {
            work.ideal.iter_mut().for_each(|values| *values = [0.0; W]);
            for (lane, row) in rows.chunks_exact(n_items).enumerate() {
                work.ideal.iter_mut().zip(row).for_each(|(values, value)| values[lane] = *value);
            }
        }
        work.current.fill([0.0; W]);
        work.older.fill([0.0; W]);
        self.add_term(work, items, self.coefficients.len() - 1);
        for k in (0..self.coefficients.len() - 1).rev() {
            self.product.apply(&work.current, &mut work.reached, &mut work.product);
            let twice = if k == 0 { 1.0 } else { 2.0 };
            let all = work.older.iter_mut().zip(&work.current).zip(&work.product);
            match self.basis {
                Basis::Powers => work.older.copy_from_slice(&work.product),
                Basis::Chebyshev => all.for_each(|((older, current), product)| {
                    for lane in 0..W {
                        older[lane] = twice * (current[lane] - 2.0 * product[lane]) - older[lane];
                    }
                }),
            }
            std::mem::swap(&mut work.older, &mut work.current);
            self.add_term(work, items, k);
        }
        for (lane, row) in rows.chunks_exact_mut(n_items).enumerate() {
            let scores = row.iter_mut().zip(&work.current).zip(&self.leave);
            scores.for_each(|((score, values), scale)| *score = scale * values[lane]);
        }
    }

    /// Adds the users and their ideal part, times the coefficients of degree `k`.
    fn add_term<const W: usize>(&self, work: &mut Work<W>, items: &[Cow<'_, [u32]>], k: usize) {
        let (history, ideal) = self.coefficients[k];
        if ideal != 0.0 {
            work.current.iter_mut().zip(&work.ideal).for_each(|(sum, values)| add(sum, values, ideal));
        }
        for (lane, items) in items.iter().enumerate() {
            for &item in items.iter() {
                work.current[item as usize][lane] += history * self.enter[item as usize];
            }
        }
    }
}

/// What a thread needs to filter `W` users.
struct Work<const W: usize> {
    current: Vec<[f32; W]>,
    older: Vec<[f32; W]>,
    product: Vec<[f32; W]>,
    ideal: Vec<[f32; W]>,
    reached: Vec<[f32; W]>,
}

impl<const W: usize> Work<W> {
    fn new() -> Self {
        Work { current: Vec::new(), older: Vec::new(), product: Vec::new(), ideal: Vec::new(), reached: Vec::new() }
    }

    fn resize(&mut self, n_users: usize, n_items: usize) {
        for list in [&mut self.current, &mut self.older, &mut self.product, &mut self.ideal] {
            list.resize(n_items, [0.0; W]);
        }
        self.reached.resize(n_users, [0.0; W]);
    }
}

impl Scorer for PolynomialScorer {
    fn model(&self) -> &'static str {
        self.name
    }

    fn n_items(&self) -> usize {
        self.enter.len()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let n_items = self.n_items();
        let items = queries.iter().map(|query| self.product.users.of(self.name, query)).collect::<Result<Vec<_>>>()?;
        let mut out = Vec::new();
        if self.factors > 0 {
            let projected: Vec<f32> = items.par_iter().flat_map_iter(|items| self.projected(items)).collect();
            score_block(&Device::Cpu, self.factors, &Device::Cpu.upload(&projected), &self.table, &mut out)?;
        }
        out.resize(queries.len() * n_items, 0.0);
        if let ([items], true) = (&items[..], n_items > 0) {
            self.filter::<1>(&mut Work::new(), std::slice::from_ref(items), &mut out);
        } else if n_items > 0 {
            let blocks = out.par_chunks_mut(WIDTH * n_items).zip(items.par_chunks(WIDTH));
            blocks.for_each_init(Work::<WIDTH>::new, |work, (rows, items)| self.filter(work, items, rows));
        }
        Ok(score_matrix(queries.len(), n_items, out))
    }

    /// Ranks by what a history of this one item is scored.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        check_item(self.name, "item", item, self.n_items())?;
        let scores = self.scores(&[Query { user: None::<UserId>, history: &[item] }])?;
        most_similar(scores.as_slice().expect("scores should be in the standard layout"), item, k)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        state.put_f32("vectors", &[self.n_items(), self.factors], self.vectors.clone());
        state.put_fact(SETTINGS, self.settings.clone());
        self.product.users.put(&mut state);
        if let Some(weights) = &self.product.weights {
            weights.put(&mut state);
        }
        state
    }
}
