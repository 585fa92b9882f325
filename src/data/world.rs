//! The built-in demo world: made-up listeners and records, so that the first command works without
//! any data.
//!
//! Every user has one favourite community of items, a second one, and a taste of their own; every
//! item has a community and an appeal. Together they give a true probability that a user likes an
//! item. An earlier recommender decided what people got to see: popular items and items of the
//! user's communities more often. What they saw and liked is the log; it comes in sessions, each
//! around one community. A small second log was collected by showing items at random: its labels
//! say what people like without that bias.

use gcnrec_graphs::{ItemId, Purpose, Seed, UserId};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::config::{Config as DataConfig, Order, ValidRows};
use super::load::finish;
use super::split::split;
use super::{Clock, Log, Split};
use crate::error::{RecError, Result};
use crate::settings::{between, settings};

/// Width of the taste vectors.
const TASTES: usize = 4;
/// Most items in a session.
const SESSION: usize = 6;
/// Seconds: the first of January 2020, a year, an hour.
const START: i64 = 1_577_836_800;
const YEAR: f64 = 365.0 * 86_400.0;
const HOUR: f64 = 3_600.0;
const COMMUNITIES: [&str; 16] = [
    "Jazz", "Folk", "Techno", "Opera", "Blues", "Metal", "Soul", "Reggae", "Baroque", "Country", "Ambient", "Punk",
    "Samba", "Gospel", "Disco", "Chanson",
];

settings! {
    /// `[data.demo]`.
    pub struct Config {
        /// Demo world: users.
        n_users: usize = 1000, in between(10.0, 1e6);
        /// Demo world: items.
        n_items: usize = 600, in between(50.0, 1e5);
        /// Demo world: communities of items.
        n_communities: usize = 8, in between(1.0, 50.0);
        /// Demo world: interactions of a user on average.
        interactions_per_user: usize = 50, takes "5 to 1000, at most a fifth of the items", in between(5.0, 1000.0);
        /// Demo world: how strongly the earlier recommender preferred popular items and items of
        /// the user's communities; 0 is uniform exposure.
        exposure_bias: f64 = 1.0, in between(0.0, 4.0);
        /// Demo world: share of the users who were shown random items.
        uniform_users: f64 = 0.5, in between(0.0, 1.0);
        /// Demo world: random items shown to each of them.
        uniform_per_user: usize = 10, in between(0.0, 50.0);
    }
}

impl Config {
    /// Refuses values outside their ranges. `key` is the table's name, for the message.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self, key: &str) -> Result<()> {
        self.check_ranges(key)?;
        let most = (self.n_items / 5).min(1000);
        if self.interactions_per_user <= most {
            return Ok(());
        }
        let expected = format!("a whole number from 5 to {most}");
        Err(RecError::range(format!("{key}.interactions_per_user"), self.interactions_per_user, expected))
    }
}

/// The demo world: its data, and the truth behind them.
///
/// ```
/// use gcnrec::{ItemId, Seed, UserId, World, configs};
///
/// let world = World::generate(&configs::Demo::default(), 0.1, Seed(1))?;
/// assert_eq!(world.split.n_users(), 1000);
/// // What no real data set can tell: how much a user would like an item that was never shown.
/// assert!((0.0..=1.0).contains(&world.true_preference(UserId(0), ItemId(0))));
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone)]
pub struct World {
    /// The data: for each user the first 80 % in time is training (of which the validation part was
    /// carved), the rest test; `uniform` has the labels of the randomly shown items.
    pub split: Split,
    users: Vec<Person>,
    items: Vec<Record>,
}

#[derive(Debug, Clone)]
struct Person {
    /// How much the user likes each community, 0 to 1.
    affinity: Vec<f64>,
    taste: [f64; TASTES],
}

#[derive(Debug, Clone)]
struct Record {
    community: usize,
    appeal: f64,
    /// Logarithm of how much the earlier recommender pushed the item.
    push: f64,
    taste: [f64; TASTES],
}

impl World {
    /// Makes a world. Equal arguments make equal worlds.
    ///
    /// # Errors
    /// [`RecError::Config`] when a value is outside its range.
    pub fn generate(config: &Config, valid_fraction: f64, seed: Seed) -> Result<World> {
        config.validate("data.demo")?;
        let items = records(config, seed);
        let users: Vec<Person> = (0..config.n_users).map(|user| person(config, seed, user)).collect();
        let mut world = World { split: Split::default(), users, items };
        let (log, uniform) = world.logs(config, seed);
        let by_time = DataConfig { ratios: [0.8, 0.0, 0.2], order: Some(Order::Time), ..DataConfig::default() };
        let [train, valid, test] = split(&log, &by_time, seed)?;
        let titles: Vec<String> = (0..config.n_items).map(|item| title(config, item)).collect();
        world.split = Split {
            users: (1..=config.n_users).map(|number| format!("user-{number:04}")).collect(),
            items: titles.iter().collect(),
            train,
            valid,
            test,
            uniform,
            titles,
            clock: Clock::Seconds,
            ..Split::default()
        };
        finish(&mut world.split, valid_fraction, ValidRows::Random, seed);
        Ok(world)
    }

    /// The probability that the user likes the item when it is shown to them.
    pub fn true_preference(&self, user: UserId, item: ItemId) -> f64 {
        let (user, item) = (&self.users[user.index()], &self.items[item.index()]);
        let taste: f64 = user.taste.iter().zip(&item.taste).map(|(a, b)| a * b).sum();
        let logit = -3.2 + 3.6 * user.affinity[item.community] + 0.5 * item.appeal + 0.6 * taste;
        1.0 / (1.0 + (-logit).exp())
    }

    /// The biased log in time order, and the log of randomly shown items.
    fn logs(&self, config: &Config, seed: Seed) -> (Log, Log) {
        let (mut events, mut uniform) = (Vec::new(), Log::default());
        for user in 0..config.n_users {
            let mut rng = seed.stream(Purpose::World, 2, user as u64);
            let liked = self.liked(config, user, &mut rng);
            let times = times(liked.len(), &mut rng);
            events.extend(
                self.sessions(liked, &mut rng).into_iter().zip(times).map(|(item, time)| (time, user as u32, item)),
            );
            if rng.random::<f64>() < config.uniform_users {
                self.show_at_random(config, user as u32, &mut rng, &mut uniform);
            }
        }
        events.sort_by_key(|&(time, ..)| time);
        let log = Log {
            users: events.iter().map(|&(_, user, _)| user).collect(),
            items: events.iter().map(|&(.., item)| item).collect(),
            ratings: Vec::new(),
            times: events.iter().map(|&(time, ..)| time).collect(),
        };
        (log, uniform)
    }

    /// The items a user has seen and liked: a draw without replacement, in proportion to exposure
    /// times preference (Gumbel's trick: the largest of `ln weight + noise`).
    fn liked(&self, config: &Config, user: usize, rng: &mut impl Rng) -> Vec<u32> {
        let spread = (0.6 * normal(rng) - 0.18).exp();
        let most = config.n_items / 2;
        let n = ((config.interactions_per_user as f64 * spread) as usize).clamp(5, most);
        let affinity = &self.users[user].affinity;
        let mut keys: Vec<(f64, u32)> = (0..config.n_items)
            .map(|item| {
                let record = &self.items[item];
                let exposure = config.exposure_bias * (record.push + affinity[record.community]);
                let preference = self.true_preference(UserId(user as u32), ItemId(item as u32));
                (exposure + preference.ln() + gumbel(rng), item as u32)
            })
            .collect();
        keys.select_nth_unstable_by(n - 1, |a, b| b.0.total_cmp(&a.0));
        keys.truncate(n);
        let mut items: Vec<u32> = keys.into_iter().map(|(_, item)| item).collect();
        items.sort_unstable();
        items
    }

    /// Puts items into sessions of one community each, and the sessions into a random order.
    /// Shuffling matters: sessions are drawn from what is left, so the last ones drawn would be
    /// those of the communities that the user likes least.
    fn sessions(&self, mut items: Vec<u32>, rng: &mut impl Rng) -> Vec<u32> {
        items.shuffle(rng);
        let mut sessions: Vec<Vec<u32>> = Vec::new();
        while let Some(first) = items.pop() {
            let community = self.items[first as usize].community;
            let length = rng.random_range(1..=SESSION);
            let mut session = vec![first];
            items.retain(|&item| {
                let taken = session.len() < length && self.items[item as usize].community == community;
                if taken {
                    session.push(item);
                }
                !taken
            });
            sessions.push(session);
        }
        sessions.shuffle(rng);
        sessions.concat()
    }

    fn show_at_random(&self, config: &Config, user: u32, rng: &mut impl Rng, uniform: &mut Log) {
        let mut shown = Vec::with_capacity(config.uniform_per_user);
        while shown.len() < config.uniform_per_user {
            let item = rng.random_range(0..config.n_items as u32);
            if !shown.contains(&item) {
                shown.push(item);
                let likes = rng.random::<f64>() < self.true_preference(UserId(user), ItemId(item));
                uniform.users.push(user);
                uniform.items.push(item);
                uniform.ratings.push(if likes { 1.0 } else { -1.0 });
            }
        }
    }
}

fn records(config: &Config, seed: Seed) -> Vec<Record> {
    let mut rng = seed.stream(Purpose::World, 0, 0);
    let record = |item: usize| {
        let appeal = normal(&mut rng);
        // A long tail that appeal explains in part.
        let push = 0.3 * appeal + 0.5 * normal(&mut rng);
        let taste = std::array::from_fn(|_| normal(&mut rng));
        Record { community: item % config.n_communities, appeal, push, taste }
    };
    (0..config.n_items).map(record).collect()
}

fn person(config: &Config, seed: Seed, user: usize) -> Person {
    let mut rng = seed.stream(Purpose::World, 1, user as u64);
    let mut affinity: Vec<f64> = (0..config.n_communities).map(|_| 0.2 * rng.random::<f64>()).collect();
    let second = rng.random_range(0..config.n_communities);
    affinity[second] = 0.6;
    let favourite = rng.random_range(0..config.n_communities);
    affinity[favourite] = 1.0;
    Person { affinity, taste: std::array::from_fn(|_| normal(&mut rng)) }
}

fn title(config: &Config, item: usize) -> String {
    let (community, number) = (item % config.n_communities, item / config.n_communities + 1);
    match COMMUNITIES.get(community) {
        Some(name) => format!("{name} {number:03}"),
        None => format!("Genre {} {number:03}", community + 1),
    }
}

/// Growing times: a first moment within the year, then gaps of minutes to weeks.
fn times(n: usize, rng: &mut impl Rng) -> Vec<i64> {
    let mut time = rng.random::<f64>() * YEAR;
    (0..n)
        .map(|_| {
            time += 60.0 - 30.0 * HOUR * (1.0 - rng.random::<f64>()).ln();
            START + time as i64
        })
        .collect()
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// A standard Gumbel number: `-ln(-ln u)`.
fn gumbel(rng: &mut impl Rng) -> f64 {
    let uniform = rng.random::<f64>().max(f64::MIN_POSITIVE);
    -(-uniform.ln()).max(f64::MIN_POSITIVE).ln()
}

#[cfg(test)]
mod tests;
