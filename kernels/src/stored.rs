//! Numbers in 16 bits: how they are kept in memory, widened to f32 for sums, and rounded back.
//!
//! Both conversions round to nearest, ties to even, and give the same bits on every instruction
//! set.

use crate::dispatch;
use crate::element::{Element, sealed};
use crate::simd::{AVX2, AVX512, BLOCK};

/// How numbers lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits with 11 bits of mantissa, for numbers below 65504; smaller than 6e-5 they lose bits.
    F16,
    /// 16 bits with 8 bits of mantissa and the range of f32.
    Bf16,
}

/// IEEE half precision: 11 bits of mantissa, from 6e-8 to 65504.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(u16);

/// The upper half of an f32: 8 bits of mantissa, the range of f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(u16);

impl sealed::Sealed for F16 {}
impl sealed::Sealed for Bf16 {}
impl Element for F16 {}
impl Element for Bf16 {}

/// A number as it lies in memory; sums are always taken in f32.
pub(crate) trait Stored: Element {
    /// The stored number, exactly.
    fn to_f32(self) -> f32;

    /// The nearest number that can be stored.
    fn from_f32(value: f32) -> Self;

    /// Sixteen stored numbers, exactly. `ISA` is the set that the caller is compiled for.
    fn widen<const ISA: u8>(stored: &[Self; BLOCK]) -> [f32; BLOCK];

    /// Sixteen times [`Stored::from_f32`].
    fn narrow<const ISA: u8>(values: &[f32; BLOCK], stored: &mut [Self; BLOCK]);
}

impl Stored for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn widen<const ISA: u8>(stored: &[f32; BLOCK]) -> [f32; BLOCK] {
        *stored
    }

    #[inline(always)]
    fn narrow<const ISA: u8>(values: &[f32; BLOCK], stored: &mut [f32; BLOCK]) {
        *stored = *values;
    }
}

impl Stored for Bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Bf16 {
        Bf16(Bf16::upper_half(value.to_bits()) as u16)
    }

    #[inline(always)]
    fn widen<const ISA: u8>(stored: &[Bf16; BLOCK]) -> [f32; BLOCK] {
        let mut wide = [0.0; BLOCK];
        for (wide, stored) in wide.iter_mut().zip(stored) {
            *wide = stored.to_f32();
        }
        wide
    }

    #[inline(always)]
    fn narrow<const ISA: u8>(values: &[f32; BLOCK], stored: &mut [Bf16; BLOCK]) {
        // In two loops, so that each becomes vector code: 32 bits in and out, then the halving.
        let mut upper = [0u32; BLOCK];
        for (upper, value) in upper.iter_mut().zip(values) {
            *upper = Bf16::upper_half(value.to_bits());
        }
        for (stored, upper) in stored.iter_mut().zip(upper) {
            *stored = Bf16(upper as u16);
        }
    }
}

impl Bf16 {
    #[inline(always)]
    fn upper_half(bits: u32) -> u32 {
        // Half of the last kept bit, or just below it where the kept part is even. A NaN stays one:
        // it must not be rounded up to infinity.
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        let nan = bits >> 16 | 0x40;
        if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded }
    }
}

impl Stored for F16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        let (sign, rest) = (u32::from(self.0 & 0x8000) << 16, u32::from(self.0 & 0x7fff));
        // Exponents of the two formats differ by 112; a product with 2^112 is exact, and right for
        // subnormal numbers too.
        let finite = f32::from_bits(rest << 13) * f32::from_bits((127 + 112) << 23);
        let magnitude = if rest < 0x7c00 { finite.to_bits() } else { 0x7f80_0000 | rest << 13 };
        f32::from_bits(sign | magnitude)
    }

    #[inline(always)]
    fn from_f32(value: f32) -> F16 {
        let (sign, rest) = (value.to_bits() >> 16 & 0x8000, value.to_bits() & 0x7fff_ffff);
        let magnitude = if rest > 0x7f80_0000 {
            0x7e00
        } else if rest >= 0x477f_f000 {
            0x7c00 // 65520 and above round to infinity
        } else if rest < 0x3880_0000 {
            // Below 2^-14 the steps are 2^-24, and so are those of f32 from 0.5 on: the sum rounds
            // to them.
            (f32::from_bits(rest) + 0.5).to_bits() - 0.5f32.to_bits()
        } else {
            ((rest + 0xfff + (rest >> 13 & 1)) >> 13) - (112 << 10)
        };
        F16((sign | magnitude) as u16)
    }

    #[inline(always)]
    fn widen<const ISA: u8>(stored: &[F16; BLOCK]) -> [f32; BLOCK] {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{
                __m128i, __m256i, _mm_loadu_si128, _mm256_cvtph_ps, _mm256_loadu_si256, _mm256_storeu_ps,
                _mm512_cvtph_ps, _mm512_storeu_ps,
            };
            let mut wide = [0.0; BLOCK];
            if ISA == AVX512 {
                // SAFETY: the caller is compiled for AVX-512; 32 bytes are read and 64 written,
                // unaligned, where arrays of that size lie.
                unsafe {
                    let half: __m256i = _mm256_loadu_si256(stored.as_ptr().cast());
                    _mm512_storeu_ps(wide.as_mut_ptr(), _mm512_cvtph_ps(half));
                }
                return wide;
            }
            if ISA == AVX2 {
                for (stored, wide) in stored.chunks_exact(8).zip(wide.chunks_exact_mut(8)) {
                    // SAFETY: the caller is compiled for AVX2 and F16C; 16 bytes are read and 32
                    // written, unaligned, where 8 elements lie.
                    unsafe {
                        let half: __m128i = _mm_loadu_si128(stored.as_ptr().cast());
                        _mm256_storeu_ps(wide.as_mut_ptr(), _mm256_cvtph_ps(half));
                    }
                }
                return wide;
            }
        }
        let mut wide = [0.0; BLOCK];
        for (wide, stored) in wide.iter_mut().zip(stored) {
            *wide = stored.to_f32();
        }
        wide
    }

    #[inline(always)]
    fn narrow<const ISA: u8>(values: &[f32; BLOCK], stored: &mut [F16; BLOCK]) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{
                _mm_storeu_si128, _mm256_cvtps_ph, _mm256_loadu_ps, _mm256_storeu_si256, _mm512_cvtps_ph,
                _mm512_loadu_ps,
            };
            const NEAREST: i32 = 0;
            if ISA == AVX512 {
                // SAFETY: the caller is compiled for AVX-512; 64 bytes are read and 32 written,
                // unaligned, where arrays of that size lie.
                unsafe {
                    let half = _mm512_cvtps_ph::<NEAREST>(_mm512_loadu_ps(values.as_ptr()));
                    _mm256_storeu_si256(stored.as_mut_ptr().cast(), half);
                }
                return;
            }
            if ISA == AVX2 {
                for (values, stored) in values.chunks_exact(8).zip(stored.chunks_exact_mut(8)) {
                    // SAFETY: the caller is compiled for AVX2 and F16C; 32 bytes are read and 16
                    // written, unaligned, where 8 elements lie.
                    unsafe {
                        let half = _mm256_cvtps_ph::<NEAREST>(_mm256_loadu_ps(values.as_ptr()));
                        _mm_storeu_si128(stored.as_mut_ptr().cast(), half);
                    }
                }
                return;
            }
        }
        for (stored, &value) in stored.iter_mut().zip(values) {
            *stored = F16::from_f32(value);
        }
    }
}

dispatch! {
    /// Rounds every number to the stored format.
    pub(crate) fn narrow_all<E: Stored>(values: &[f32], stored: &mut [E]) = isa narrow_all_body
}

#[inline(always)]
fn narrow_all_body<E: Stored, const ISA: u8>(values: &[f32], stored: &mut [E]) {
    let ((blocks, rest), (to, to_rest)) = (values.as_chunks::<BLOCK>(), stored.as_chunks_mut::<BLOCK>());
    for (block, to) in blocks.iter().zip(to) {
        E::narrow::<ISA>(block, to);
    }
    for (&value, to) in rest.iter().zip(to_rest) {
        *to = E::from_f32(value);
    }
}

dispatch! {
    /// Widens every stored number.
    pub(crate) fn widen_all<E: Stored>(stored: &[E], values: &mut [f32]) = isa widen_all_body
}

#[inline(always)]
fn widen_all_body<E: Stored, const ISA: u8>(stored: &[E], values: &mut [f32]) {
    let ((blocks, rest), (to, to_rest)) = (stored.as_chunks::<BLOCK>(), values.as_chunks_mut::<BLOCK>());
    for (block, to) in blocks.iter().zip(to) {
        *to = E::widen::<ISA>(block);
    }
    for (stored, to) in rest.iter().zip(to_rest) {
        *to = stored.to_f32();
    }
}

#[cfg(test)]
mod tests;
