//! Run-time choice of the instruction set: one source, compiled once per set, picked at the first call.
//!
//! Sums over the embedding dimension are sums of 16-column blocks, added in order; inside a block lanes are added by one fixed tree. With that,
//! AVX-512 and AVX2 give the same bits (both fuse multiply and add); the portable path does not fuse, and says so by its name.

use std::sync::OnceLock;

/// The widest instruction set that this processor and our code share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, BW, DQ, VL with FMA.
    Avx512,
    /// AVX2 with FMA.
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
    *ISA.get_or_init(detect)
}

fn detect() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("avx2") && has!("fma") {
            return Isa::Avx512;
        }
        if has!("avx2") && has!("fma") {
            return Isa::Avx2;
        }
    }
    Isa::Portable
}

/// `a * b + c`: fused where `FUSED` says that the caller is compiled for a set that has the instruction.
#[inline(always)]
pub fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Defines a function that runs one of three compilations of the same `#[inline(always)]` body.
///
/// `dispatch! { pub(crate) fn name(arguments) -> T = body }` calls `body::<FUSED>(arguments)`.
#[macro_export]
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                match $crate::simd::isa() {
                    // SAFETY: `isa` answers Avx512 only where every feature named above was detected.
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
