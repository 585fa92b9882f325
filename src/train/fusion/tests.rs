use super::*;

#[test]
fn one_share_moves_and_the_others_keep_their_proportions() {
    assert_eq!(with_share(&[0.5, 0.25, 0.25], 0, 0.2), [0.2, 0.4, 0.4]);
    assert_eq!(with_share(&[0.2, 0.6, 0.2], 1, 0.0), [0.5, 0.0, 0.5]);
    assert_eq!(with_share(&[1.0, 0.0, 0.0], 0, 0.5), [0.5, 0.25, 0.25]);
}

#[test]
fn shares_are_multiples_of_the_step_near_the_best() {
    assert_eq!(shares(0.5, 0.1, 1.0).len(), 11);
    assert_eq!(shares(0.1, 0.02, 0.1), [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2]);
    assert_eq!(shares(1.0, 0.02, 0.1).len(), 6);
}
