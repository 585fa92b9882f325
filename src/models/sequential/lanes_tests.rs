//! Sessions side by side: what a step computes, what a checkpoint keeps, what is learned.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, ItemId, Seed, UserId};
use gcnrec_kernels::Device;
use gcnrec_kernels::burn_bridge::{Flex, Sequences};

use super::super::tests::{N_ITEMS, OnCpu, conduct_is_right, digest, right_of_rule, small_gru4rec, train, users};
use super::super::{Input, Loss};
use super::*;

fn small() -> Config {
    Config { batches: super::super::gru4rec::Batches::SessionsInParallel, ..small_gru4rec() }
}

fn setup(n_users: u32) -> Setup {
    Setup {
        histories: users(n_users),
        n_items: N_ITEMS as usize,
        batch_size: Some(32),
        learning_rate: Some(3e-3),
        seed: Seed(2020),
        device: Device::Cpu,
    }
}

fn learner(model: &Config, n_users: u32) -> LaneLearner<OnCpu> {
    LaneLearner::<OnCpu>::new(model.clone(), setup(n_users)).unwrap()
}

/// Two layers without noise, and their weights.
fn two_layers() -> (Config, Weights<Flex>) {
    let model = Config { layers: 2, dropout: 0.0, dim: 5, hidden: 7, ..small() };
    let parameters = Parameters::new(&Device::Cpu, model.parameters(11), Seed(4));
    let mut state = State::default();
    parameters.save(&mut state, false);
    let layout = model.parameters(11);
    let values = layout.iter().map(|p| (p.name.as_str(), p.shape, state.f32(&p.name, &p.shape).unwrap().to_vec()));
    let weights = Weights::frozen(values);
    (model, weights)
}

#[test]
fn steps_that_pass_their_states_on_say_what_whole_sequences_say() {
    let (model, weights) = two_layers();
    let sessions = [[3, 9, 0, 9, 5], [10, 1, 2, 2, 4], [7, 6, 8, 3, 3]];
    let (items, rows) = (sessions.concat(), Sequences::new(vec![0, 5, 10, 15]));
    let whole = model.encode(&weights, &Input { items: &items, sequences: &rows }, &mut Noise::none());
    let whole: Vec<f32> = whole.into_data().into_vec().unwrap();
    let mut states = vec![Tensor::zeros([3, 7], &Default::default()); 2];
    for at in 0..5 {
        let (hidden, after) =
            run_step(&model, &weights, &sessions.map(|session| session[at]), states, &mut Noise::none());
        states = after;
        let hidden: Vec<f32> = hidden.into_data().into_vec().unwrap();
        for lane in 0..3 {
            for column in 0..5 {
                let (found, expected) = (hidden[lane * 5 + column], whole[(lane * 5 + at) * 5 + column]);
                // Other orders of some 32-bit sums of about 1.
                assert!((found - expected).abs() < 1e-5, "step {at}, lane {lane}: {found} {expected}");
            }
        }
    }
}

/// No gradient reaches the item before the last one: the states keep of it what they keep by
/// themselves. It takes more units, more sessions and fewer looks at each than with whole
/// sequences; what is learned by heart afterwards spoils pairs that no session has.
#[test]
fn sessions_in_parallel_learn_a_rule_of_second_order() {
    let wide = Config { hidden: 128, dropout: 0.5, ..small() };
    let drawn = Config { loss: Loss::SampledSoftmax, n_negatives: 10, sample_alpha: 0.5, ..wide.clone() };
    for model in [wide, drawn] {
        let setup = Setup { batch_size: Some(64), ..setup(2000) };
        let (right, asked) = right_of_rule(&mut LaneLearner::<OnCpu>::new(model.clone(), setup).unwrap(), 2, 2);
        assert!(right * 100 >= asked * 95, "{:?}: {right} of {asked}", model.loss);
    }
}

#[test]
fn sessions_in_parallel_depend_on_nothing_but_seed_and_data() {
    for loss in [Loss::CrossEntropy, Loss::BprMax] {
        let model = Config { layers: 2, loss, item_dropout: 0.1, hidden_dropout: 0.1, ..small() };
        conduct_is_right(&|| Box::new(learner(&model, 70)), "gru4rec", model.max_len);
    }
    let hidasi = Config { dense: false, hidden: 32, optimizer: super::super::gru4rec::Optimizer::Adagrad, ..small() };
    conduct_is_right(&|| Box::new(learner(&hidasi, 70)), "gru4rec", hidasi.max_len);
}

#[test]
fn where_the_lanes_stand_belongs_to_a_checkpoint() {
    let (mut whole, mut resumed) = (learner(&small(), 70), learner(&small(), 70));
    let n = whole.steps_per_epoch();
    // 700 positions in 32 lanes.
    assert_eq!(n, 22);
    whole.steps(0, 0..5).unwrap();
    let mut state = whole.state();
    whole.steps(0, 5..n).unwrap();
    let zeros = vec![0.0; state.f32(STATES, &[1, 32, 48]).unwrap().len()];
    state.put_f32(STATES, &[1, 32, 48], zeros);
    resumed.restore(&state).unwrap();
    resumed.steps(0, 5..n).unwrap();
    assert_ne!(digest(&whole.state()), digest(&resumed.state()), "a state without them goes on otherwise");
    state.tensors.remove(STATES);
    assert_eq!(resumed.restore(&state).unwrap_err().exit_code(), 6);
}

#[test]
fn each_epoch_starts_from_nothing() {
    let mut first = learner(&small(), 70);
    train(&mut first, 0..1);
    let mut state = first.state();
    let mut second = learner(&small(), 70);
    state.put_f32(STATES, &[1, 32, 48], vec![0.0; 32 * 48]);
    second.restore(&state).unwrap();
    first.steps(1, 0..1).unwrap();
    second.steps(1, 0..1).unwrap();
    assert_eq!(digest(&first.state()), digest(&second.state()));
}

#[test]
fn a_learner_that_starts_from_a_frozen_model_is_that_model_at_step_0() {
    let (mut first, mut second) = (learner(&small(), 70), learner(&small(), 70));
    train(&mut first, 0..1);
    let frozen = first.freeze().unwrap().state();
    second.start_from(&frozen).unwrap();
    assert_eq!(digest(&second.freeze().unwrap().state()), digest(&frozen));
    let state = second.state();
    let moments = state.f32("adam.m.dense.bias", &[1, 32]).unwrap();
    assert!(moments.iter().all(|&moment| moment == 0.0) && state.fact::<u64>("step").unwrap() == 0);
    assert_eq!(second.start_from(&State::default()).unwrap_err().exit_code(), 6);
}

#[test]
fn lanes_without_any_order_are_refused() {
    let histories = Arc::new(vec![vec![ItemId(0)], vec![], vec![ItemId(1)]]);
    let setup =
        Setup { histories, n_items: 2, batch_size: None, learning_rate: None, seed: Seed(1), device: Device::Cpu };
    let refused = LaneLearner::<OnCpu>::new(small(), setup).err().unwrap();
    assert_eq!(refused.exit_code(), 3);
}

#[test]
fn a_pair_counts_in_a_lane_as_much_as_it_weighs() {
    let (model, n_users) = (small(), 40);
    let histories = users(n_users);
    let of_user =
        |(user, items): (u32, &Vec<ItemId>)| items.iter().map(move |&item| (UserId(user), item)).collect::<Vec<_>>();
    let all = (0..).zip(histories.iter()).flat_map(of_user);
    let pairs = Arc::new(Interactions::from_pairs(n_users as usize, N_ITEMS as usize, all).unwrap());
    let after = |weight: Option<f32>| {
        let mut learner = learner(&model, n_users);
        if let Some(weight) = weight {
            let weights = vec![weight; pairs.n_edges()];
            learner.weigh_pairs(PairWeights { pairs: pairs.clone(), weights }).unwrap();
        }
        let report = learner.steps(0, 0..2).unwrap();
        (report.loss, digest(&learner.freeze().unwrap().state()))
    };
    let (loss, unweighed) = after(None);
    assert_eq!(after(Some(1.0)), (loss, unweighed.clone()));
    let start = digest(&learner(&model, n_users).freeze().unwrap().state());
    assert_eq!(after(Some(0.0)), (0.0, start.clone()));
    assert_ne!(unweighed, start);
}
