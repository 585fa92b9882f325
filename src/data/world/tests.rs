use super::*;

fn world() -> World {
    World::generate(&Config::default(), 0.1, Seed(2020)).unwrap()
}

#[test]
fn equal_seeds_make_equal_worlds() {
    let (one, two) = (world(), world());
    assert_eq!(one.split, two.split);
    let other = World::generate(&Config::default(), 0.1, Seed(2021)).unwrap();
    assert_ne!(one.split.fingerprint, other.split.fingerprint);
}

#[test]
fn the_world_has_the_promised_size_and_names() {
    let split = world().split;
    let n = split.train.len() + split.valid.len() + split.test.len();
    assert!((40_000..=60_000).contains(&n), "{n}");
    assert!((4_000..=6_000).contains(&split.uniform.len()), "{}", split.uniform.len());
    assert_eq!((split.n_users(), split.n_items(), split.n_overlap), (1000, 600, 0));
    assert_eq!(
        (split.users.key(0), split.items.key(0), split.title(ItemId(599))),
        ("user-0001", "Jazz 001", "Reggae 075")
    );
    let n_liked = split.uniform.ratings.iter().filter(|&&label| label == 1.0).count() as f64;
    assert!((0.05..0.4).contains(&(n_liked / split.uniform.len() as f64)), "{n_liked}");
}

#[test]
fn test_rows_are_each_user_s_latest() {
    let split = world().split;
    let mut first_test = vec![i64::MAX; split.n_users()];
    for (&user, &time) in split.test.users.iter().zip(&split.test.times) {
        first_test[user as usize] = first_test[user as usize].min(time);
    }
    for log in [&split.train, &split.valid] {
        assert!(log.users.iter().zip(&log.times).all(|(&user, &time)| time < first_test[user as usize]));
    }
}

#[test]
fn preferences_are_probabilities_and_follow_the_community() {
    let world = world();
    let mut own = (0.0, 0.0);
    let mut other = (0.0, 0.0);
    for user in 0..200u32 {
        let affinity = &world.users[user as usize].affinity;
        for item in 0..600u32 {
            let preference = world.true_preference(UserId(user), ItemId(item));
            assert!(preference > 0.0 && preference < 1.0);
            let sum = if affinity[world.items[item as usize].community] == 1.0 { &mut own } else { &mut other };
            *sum = (sum.0 + preference, sum.1 + 1.0);
        }
    }
    assert!(own.0 / own.1 > 3.0 * other.0 / other.1);
}

#[test]
fn values_outside_their_range_are_refused() {
    let config = Config { interactions_per_user: 121, ..Config::default() };
    let error = World::generate(&config, 0.1, Seed(1)).unwrap_err().to_string();
    assert_eq!(error, "data.demo.interactions_per_user: found 121, expected a whole number from 5 to 120");
}
