use super::*;

#[test]
fn rows_are_scaled_to_a_power_of_their_length() {
    // |(3, 4)| = 5
    assert_eq!(scaled(&[3.0, 4.0, 0.0, 0.0], 2, 0.0), [0.6, 0.8, 0.0, 0.0]);
    assert_eq!(scaled(&[3.0, 4.0], 2, 1.0), [3.0, 4.0]);
    let half = scaled(&[3.0, 4.0], 2, 0.5);
    assert!((half[0].hypot(half[1]) - 5f32.sqrt()).abs() < 1e-6);
}
