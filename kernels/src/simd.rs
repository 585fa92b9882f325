//! Run-time choice of the instruction set: one source, compiled once per set, picked at the first
//! call.
//!
//! Sums over the embedding dimension are sums of 16-column blocks, added in order; inside a block
//! lanes are added by one fixed tree. With that, AVX-512 and AVX2 give the same bits (both fuse
//! multiply and add); the portable path does not fuse, and says so by its name.

use std::sync::OnceLock;

/// The widest instruction set that this processor and our code share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, BW, DQ, VL with FMA.
    Avx512,
    /// AVX2 with FMA and F16C, which no processor with AVX2 lacks.
    Avx2,
    /// What every processor of this architecture has.
    Portable,
}

impl Isa {
    /// As written to manifests. `fma` and `portable` differ in the last bits of a sum.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "x86-64 avx512 fma",
            Isa::Avx2 => "x86-64 avx2 fma",
            Isa::Portable if cfg!(target_arch = "aarch64") => "aarch64 neon fma",
            Isa::Portable => "portable",
        }
    }
}

/// The instruction set in use.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    #[cfg(test)]
    if tests::AVX2_AT_MOST.load(std::sync::atomic::Ordering::Relaxed) && *ISA.get_or_init(detect) == Isa::Avx512 {
        return Isa::Avx2;
    }
    *ISA.get_or_init(detect)
}

fn detect() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        if has!("avx512f")
            && has!("avx512bw")
            && has!("avx512dq")
            && has!("avx512vl")
            && has!("avx2")
            && has!("fma")
            && has!("f16c")
        {
            return Isa::Avx512;
        }
        if has!("avx2") && has!("fma") && has!("f16c") {
            return Isa::Avx2;
        }
    }
    Isa::Portable
}

/// `a * b + c`: fused where `FUSED` says that the caller is compiled for a set that has the
/// instruction.
#[inline(always)]
pub fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Columns of an embedding that are added as one block.
pub const BLOCK: usize = 16;

/// Sum of sixteen lanes by one fixed tree: the upper half is added to the lower, four times.
#[inline(always)]
pub fn block_sum(lanes: &[f32; BLOCK]) -> f32 {
    let mut eight = [0.0; 8];
    for (k, sum) in eight.iter_mut().enumerate() {
        *sum = lanes[k] + lanes[k + 8];
    }
    let mut four = [0.0; 4];
    for (k, sum) in four.iter_mut().enumerate() {
        *sum = eight[k] + eight[k + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Replaces every number by the first of the two that come of it, and sums the second: 16 lanes,
/// then one tree.
#[inline(always)]
pub(crate) fn replace_and_sum(values: &mut [f32], new: impl Fn(usize, f32) -> (f32, f32)) -> f32 {
    let mut lanes = [0.0; BLOCK];
    let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
    let n_blocks = blocks.len();
    for (block, values) in blocks.iter_mut().enumerate() {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            let term;
            (values[lane], term) = new(block * BLOCK + lane, values[lane]);
            *sum += term;
        }
    }
    for (lane, value) in rest.iter_mut().enumerate() {
        let term;
        (*value, term) = new(n_blocks * BLOCK + lane, *value);
        lanes[lane] += term;
    }
    block_sum(&lanes)
}

/// The largest number, minus infinity where there is none.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; BLOCK];
    let (blocks, rest) = values.as_chunks::<BLOCK>();
    for block in blocks.iter().map(|block| &block[..]).chain([rest]) {
        lanes.iter_mut().zip(block).for_each(|(lane, &value)| *lane = if value > *lane { value } else { *lane });
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// Dot product of two rows of one length: `sum over blocks of block_sum(left * right)`, blocks
/// added in order. Where `FUSED` says that the caller is compiled for it, in vector instructions.
///
/// Products are rounded before they are added, so every instruction set gives the same bits, and so
/// does a row that is cut into pieces at multiples of [`BLOCK`] columns. A last block with fewer
/// columns is filled up with zeros.
#[inline(always)]
pub fn dot_blocks<const FUSED: bool>(left: &[f32], right: &[f32]) -> f32 {
    let (left_blocks, left_rest) = left.as_chunks::<BLOCK>();
    let (right_blocks, right_rest) = right.as_chunks::<BLOCK>();
    let mut sum = 0.0;
    for (left, right) in left_blocks.iter().zip(right_blocks) {
        sum += block_dot::<FUSED>(left, right);
    }
    if !left_rest.is_empty() {
        let mut products = [0.0; BLOCK];
        for ((product, left), right) in products.iter_mut().zip(left_rest).zip(right_rest) {
            *product = left * right;
        }
        sum += block_sum(&products);
    }
    sum
}

/// [`block_sum`] of the products.
#[inline(always)]
fn block_dot<const FUSED: bool>(left: &[f32; BLOCK], right: &[f32; BLOCK]) -> f32 {
    // Written out: the compiler cuts the tree into pairs of lanes, four times slower.
    #[cfg(target_arch = "x86_64")]
    if FUSED {
        use std::arch::x86_64::{
            _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
            _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_mul_ps,
        };
        let (left, right) = (left.as_ptr(), right.as_ptr());
        // SAFETY: on this architecture only AVX2 and AVX-512 fuse; 16 numbers are read, unaligned,
        // where arrays of that size lie.
        return unsafe {
            let low = _mm256_mul_ps(_mm256_loadu_ps(left), _mm256_loadu_ps(right));
            let high = _mm256_mul_ps(_mm256_loadu_ps(left.add(8)), _mm256_loadu_ps(right.add(8)));
            let eight = _mm256_add_ps(low, high);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        };
    }
    let mut products = [0.0; BLOCK];
    for (product, (left, right)) in products.iter_mut().zip(left.iter().zip(right)) {
        *product = left * right;
    }
    block_sum(&products)
}

/// [`Isa`] as a constant of a function: what it is compiled for.
pub const AVX512: u8 = 2;
/// As [`AVX512`].
pub const AVX2: u8 = 1;
/// As [`AVX512`].
pub const PORTABLE: u8 = 0;

/// True where a product and a sum are rounded once.
pub const fn fused(isa: u8) -> bool {
    isa != PORTABLE || cfg!(target_arch = "aarch64")
}

/// Asks the processor to fetch `len` values from `start` on; does nothing where there is no such
/// instruction. Any `start` is allowed.
#[inline(always)]
pub fn prefetch<T>(values: &[T], start: usize, len: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let cache_line = 64 / size_of::<T>();
        let mut column = 0;
        while column < len {
            // SAFETY: a prefetch is a hint: it reads nothing into the program and never faults,
            // whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(start + column).cast()) };
            column += cache_line;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, start, len);
}

/// As [`prefetch`], for memory that is about to be overwritten.
#[inline(always)]
pub fn prefetch_to_write<T>(values: *const T, len: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        for element in (0..len).step_by(64 / size_of::<T>()) {
            // SAFETY: as in `prefetch`: a hint writes nothing either.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(values.wrapping_add(element).cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, len);
}

/// Defines a function that runs one of three compilations of the same `#[inline(always)]` body.
///
/// `dispatch! { pub(crate) fn name(arguments) -> T = body }` calls `body::<FUSED>(arguments)`. With
/// `= isa body` it calls `body::<ISA>(arguments)`, where `ISA` is [`AVX512`], [`AVX2`] or
/// [`PORTABLE`]; there the function may have type parameters, which come first.
#[macro_export]
macro_rules! dispatch {
    (
        $(#[$meta:meta])* $vis:vis fn $name:ident $(<$($t:ident: $bound:path),+>)? ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?
        = isa $body:ident
    ) => {
        $(#[$meta])*
        $vis fn $name $(<$($t: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
                fn avx512 $(<$($t: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$($($t,)+)? { $crate::simd::AVX512 }>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2 $(<$($t: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$($($t,)+)? { $crate::simd::AVX2 }>($($arg),*)
                }
                match $crate::simd::isa() {
                    // SAFETY: `isa` answers Avx512 only where every feature named above was
                    // detected.
                    $crate::simd::Isa::Avx512 => return unsafe { avx512 $(::<$($t),+>)? ($($arg),*) },
                    // SAFETY: `isa` answers Avx2 only where all its features were detected.
                    $crate::simd::Isa::Avx2 => return unsafe { avx2 $(::<$($t),+>)? ($($arg),*) },
                    $crate::simd::Isa::Portable => {}
                }
            }
            $body::<$($($t,)+)? { $crate::simd::PORTABLE }>($($arg),*)
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                match $crate::simd::isa() {
                    // SAFETY: `isa` answers Avx512 only where every feature named above was
                    // detected.
                    $crate::simd::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `isa` answers Avx2 only where both features were detected.
                    $crate::simd::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Isa::Portable => {}
                }
            }
            $body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) static AVX2_AT_MOST: AtomicBool = AtomicBool::new(false);

    /// Runs `work` once as this machine does it and once without AVX-512.
    pub(crate) fn on_both_widths<T>(work: impl Fn() -> T) -> (T, T) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().expect("no test should fail while it holds this");
        let wide = work();
        AVX2_AT_MOST.store(true, Ordering::Relaxed);
        let narrow = work();
        AVX2_AT_MOST.store(false, Ordering::Relaxed);
        (wide, narrow)
    }

    #[test]
    fn sixteen_lanes_are_added_by_halves() {
        // With 2^24 in lane 0 and ones elsewhere a single 1 is lost when it is added to 2^24 alone,
        // a 2 is not. The tree adds lane 8 to lane 0 first (lost), then lanes 4 + 12 (a 2), then 2
        // + 6 + 10 + 14 (a 4), then the eight odd lanes: 2^24 + 0 + 2 + 4 + 8.
        let mut lanes = [1.0; BLOCK];
        lanes[0] = 16_777_216.0;
        assert_eq!(block_sum(&lanes), 16_777_230.0);
    }

    #[test]
    fn a_dot_product_cut_at_a_block_adds_up_to_the_same_bits() {
        let left: Vec<f32> = (0..63).map(|k| (k as f32 * 0.37).sin()).collect();
        let right: Vec<f32> = (0..63).map(|k| (k as f32 * 0.91).cos()).collect();
        let blocks = left.chunks(BLOCK).zip(right.chunks(BLOCK)).map(|(left, right)| dot_blocks::<false>(left, right));
        assert_eq!(
            dot_blocks::<false>(&left, &right).to_bits(),
            blocks.fold(0.0f32, |sum, block| sum + block).to_bits()
        );
    }

    dispatch! { fn dot(left: &[f32], right: &[f32]) -> f32 = dot_body }

    fn dot_body<const FUSED: bool>(left: &[f32], right: &[f32]) -> f32 {
        dot_blocks::<FUSED>(left, right)
    }

    /// 17 ones times 1..=17: the first block is 136, the padded second 17.
    #[test]
    fn a_dot_product_pads_its_last_block() {
        let a: Vec<f32> = (1..=17u8).map(f32::from).collect();
        assert_eq!((dot(&a, &[1.0; 17]), dot_blocks::<false>(&a, &[1.0; 17]), dot(&[], &[])), (153.0, 153.0, 0.0));
    }

    #[test]
    fn a_dot_product_has_the_same_bits_with_and_without_vectors() {
        for n in [1, 15, 16, 17, 32, 63, 64, 100] {
            let left: Vec<f32> = (0..n).map(|k| (k as f32 * 0.37).sin()).collect();
            let right: Vec<f32> = (0..n).map(|k| (k as f32 * 0.91).cos() * 1e3).collect();
            let (wide, narrow) = on_both_widths(|| dot(&left, &right).to_bits());
            assert_eq!((wide, narrow), (dot_blocks::<false>(&left, &right).to_bits(), wide), "{n} columns");
        }
    }
}
