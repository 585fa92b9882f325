use super::*;
use crate::simd::tests::on_both_widths;
use crate::testing::bits;

#[test]
fn known_numbers_have_their_known_bits() {
    // 1 = 0 01111 0…; -2 = 1 10000 0…; the largest half is 65504; the smallest is 2^-24; 65520
    // is the first that rounds to infinity.
    let half = [(1.0, 0x3c00), (-2.0, 0xc000), (65504.0, 0x7bff), (5.960_464_5e-8, 1), (65520.0, 0x7c00), (0.0, 0)];
    for (value, bits) in half {
        assert_eq!(F16::from_f32(value).0, bits, "{value}");
    }
    // 1 + 2^-11 lies between 1 and the next half and goes to the even one, as 1 + 2^-8 does
    // between 1 and the next bf16.
    assert_eq!(F16::from_f32(1.0 + 2f32.powi(-11)).0, 0x3c00);
    assert_eq!(F16::from_f32(1.0 + 3.0 * 2f32.powi(-11)).0, 0x3c02);
    assert_eq!(Bf16::from_f32(1.0 + 2f32.powi(-8)).0, 0x3f80);
    assert_eq!(Bf16::from_f32(1.0 + 3.0 * 2f32.powi(-8)).0, 0x3f82);
    assert_eq!(Bf16::from_f32(f32::MAX).to_f32(), f32::INFINITY);
    assert!(F16::from_f32(f32::NAN).to_f32().is_nan() && Bf16::from_f32(f32::NAN).to_f32().is_nan());
    assert!(Bf16::from_f32(f32::from_bits(0x7f80_0001)).to_f32().is_nan());
}

#[test]
fn every_stored_number_comes_back_and_every_instruction_set_agrees() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let halves: Vec<F16> = all.iter().map(|&bits| F16(bits)).filter(|half| !half.to_f32().is_nan()).collect();
    let plain: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
    let (wide, narrow) = on_both_widths(|| {
        let (mut values, mut back) = (vec![0.0; halves.len()], vec![F16::default(); halves.len()]);
        widen_all(&halves, &mut values);
        narrow_all(&values, &mut back);
        (values, back)
    });
    assert!(bits(&wide.0) == bits(&plain) && bits(&narrow.0) == bits(&plain));
    assert!(wide.1 == halves && narrow.1 == halves);
    assert!(plain.iter().zip(&halves).all(|(&value, &half)| F16::from_f32(value) == half));
    let brains: Vec<Bf16> = all.iter().map(|&bits| Bf16(bits)).filter(|half| !half.to_f32().is_nan()).collect();
    assert!(brains.iter().all(|&half| Bf16::from_f32(half.to_f32()) == half));
}

#[test]
fn rounding_is_the_same_in_software_and_on_every_instruction_set() {
    // A step of 65,537 bit patterns walks through all exponents, signs and remainders.
    let values: Vec<f32> = (0..=u32::MAX).step_by(65_537).map(f32::from_bits).filter(|value| !value.is_nan()).collect();
    let plain: Vec<F16> = values.iter().map(|&value| F16::from_f32(value)).collect();
    let (wide, narrow) = on_both_widths(|| {
        let mut stored = vec![F16::default(); values.len()];
        narrow_all(&values, &mut stored);
        stored
    });
    assert!(wide == plain && narrow == plain);
}
