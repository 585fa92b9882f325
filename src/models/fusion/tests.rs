use gcnrec_graphs::{Interactions, UserId};

use super::*;
use crate::models::linear::popularity;

/// Item `i` has as many users as `counts` says.
fn popular(counts: &[u32]) -> Box<dyn Scorer> {
    let pairs = (0..).zip(counts).flat_map(|(item, &n)| (0..n).map(move |user| (UserId(user), ItemId(item))));
    let train = Interactions::from_pairs(9, counts.len(), pairs).unwrap();
    Box::new(popularity::fit(&train))
}

const ANYBODY: Query<'static> = Query { user: None, history: &[] };

fn scores(scorer: &dyn Scorer) -> Vec<f32> {
    scorer.scores(&[ANYBODY]).unwrap().into_iter().collect()
}

#[test]
fn scores_are_standardised_over_all_items_and_added_with_weights() {
    // 1, 3, 5, 7: mean 4, deviation sqrt 5; 2, 2, 0, 0: mean 1, deviation 1.
    let fusion = Fusion::new(vec![popular(&[1, 3, 5, 7]), popular(&[2, 2, 0, 0])], vec![0.75, 0.25]).unwrap();
    let z = 1.0 / 5f32.sqrt();
    let expected = [-3.0 * z * 0.75 + 0.25, -z * 0.75 + 0.25, z * 0.75 - 0.25, 3.0 * z * 0.75 - 0.25];
    assert!(scores(&fusion).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", scores(&fusion));
    assert_eq!(scores(&fusion.reweighted(&[0.0, 1.0])), [1.0, 1.0, -1.0, -1.0]);
}

#[test]
fn equal_scores_say_nothing_and_never_stays_never() {
    let fusion = Fusion::new(vec![popular(&[4, 4, 4]), popular(&[0, 1, 2])], vec![0.5, 0.5]).unwrap();
    let ranked = scores(&fusion);
    assert!(ranked[0] < ranked[1] && ranked[1] == 0.0 && ranked[1] < ranked[2], "{ranked:?}");
    // Without the second score 1 and 3 remain: mean 2, deviation 1.
    let mut never = [1.0, f32::NEG_INFINITY, 3.0];
    standardise(&mut never);
    assert_eq!(never, [-1.0, f32::NEG_INFINITY, 1.0]);
}

#[test]
fn members_live_in_the_checkpoint_and_a_part_that_is_missing_is_refused() {
    let fusion = Fusion::new(vec![popular(&[1, 3]), popular(&[2, 0])], vec![0.5, 0.5]).unwrap();
    let state = fusion.state();
    let nodes = Nodes { n_users: 9, n_items: 2 };
    let loaded = load(&Device::Cpu, &state, nodes).unwrap();
    assert_eq!((loaded.state(), scores(&*loaded)), (state.clone(), scores(&fusion)));
    let mut cut = state.clone();
    cut.tensors.remove("members.1.counts");
    assert!(load(&Device::Cpu, &cut, nodes).is_err());
    let mut nested = state;
    nested.put_fact("members", vec!["popularity", "fusion"]);
    assert!(load(&Device::Cpu, &nested, nodes).err().unwrap().to_string().contains("a fusion stands within a fusion"));
    assert!(Fusion::new(vec![popular(&[1, 3]), popular(&[2])], vec![0.5, 0.5]).is_err());
    assert!(Fusion::new(vec![], vec![]).is_err());
}

#[test]
fn members_are_checked_like_models_of_their_own() {
    let refused = |text: &str| toml::from_str::<Config>(text).unwrap().validate().unwrap_err().to_string();
    assert!(Config::default().validate().is_ok());
    assert!(refused("members = []").starts_with("model.fusion.members: found 0, expected a list of two"));
    assert!(refused("members = [{}, { model.fusion = {} }]").contains("a model that is no fusion"));
    assert!(refused("members = [{}, { model.ease.l2 = 0 }]").starts_with("model.ease.l2: found 0"));
    assert!(refused("members = [{}, { model.ease = {}, objective.bpr = {} }]").contains("the loss bpr of ease"));
    assert!(refused("members = [{}, { batch_size = 0 }]").contains("members.batch_size: found 0"));
    assert!(toml::from_str::<Config>("members = [{ modl = 1 }]").is_err());
}
