//! What is in flight against the plainest model: every request's paths in a multiset, after every step of random histories.

use std::collections::{BTreeMap, BTreeSet};

use stator_radix::sequences::Sequences;
use stator_radix::table::mix;

type Path = (u32, Vec<u64>);

#[derive(Default)]
struct Model {
    flights: BTreeMap<u32, (u32, Path, u32)>,
}

impl Model {
    fn active(&self, slot: u32) -> BTreeSet<Path> {
        let flights = self.flights.values().filter(|flight| flight.0 == slot);
        flights.flat_map(|(_, (salt, path), _)| (1..=path.len()).map(|n| (*salt, path[..n].to_vec()))).collect()
    }

    fn add(&mut self, request: u32, slot: u32, path: &[u64], salt: u32) -> Option<u32> {
        if self.flights.contains_key(&request) {
            return None;
        }
        let before = self.active(slot).len();
        self.flights.insert(request, (slot, (salt, path.to_vec()), 0));
        Some((self.active(slot).len() - before) as u32)
    }

    fn potential(&self, path: &[u64]) -> BTreeMap<u32, u32> {
        let slots: BTreeSet<u32> = self.flights.values().map(|flight| flight.0).collect();
        let depth = |slot| {
            let active = self.active(slot);
            (1..=path.len()).take_while(|n| active.contains(&(0, path[..*n].to_vec()))).count() as u32
        };
        slots.into_iter().map(|slot| (slot, depth(slot))).filter(|(_, depth)| *depth > 0).collect()
    }

    fn active_blocks(&self, slot: u32) -> u32 {
        let private: u32 = self.flights.values().filter(|flight| flight.0 == slot).map(|flight| flight.2).sum();
        self.active(slot).len() as u32 + private
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = mix(self.0.wrapping_add(0x9E37_79B9_7F4A_7C15));
        self.0 % n
    }

    /// Few hashes and many lengths: prompts that are prefixes of one another, diverge, or are the same.
    fn path(&mut self, stretch: u64) -> Vec<u64> {
        let length = self.below(5) * stretch + self.below(3);
        let kinks: Vec<u64> = (0..3).map(|_| self.below(6 * stretch)).collect();
        (0..length).map(|i| i / 7 + 100 * u64::from(kinks.contains(&i))).collect()
    }
}

fn history(seed: u64, requests: u64, slots: &[u32], stretch: u64, steps: u64) {
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut active = Sequences::new();
    let mut pairs = Vec::new();
    for step in 0..steps {
        let request = random.below(requests) as u32;
        let slot = slots[random.below(slots.len() as u64) as usize];
        match random.below(20) {
            0..10 => {
                let path = random.path(stretch);
                let salt = if random.below(5) == 0 { 1 + random.below(2) as u32 } else { 0 };
                assert_eq!(active.add(request, slot, &path, salt), model.add(request, slot, &path, salt), "{seed} {step}");
            }
            10..13 => {
                let known = model.flights.get_mut(&request).map(|flight| flight.2 += 2).is_some();
                assert_eq!(active.grow(request, 2), known);
            }
            13..19 => assert_eq!(active.free(request), model.flights.remove(&request).is_some()),
            _ => {
                let before = model.flights.len();
                model.flights.retain(|_, flight| flight.0 != slot);
                assert_eq!(active.drop_slot(slot) as usize, before - model.flights.len());
            }
        }
        let query = random.path(stretch);
        active.potential(&query, &mut pairs);
        let got: BTreeMap<u32, u32> = pairs.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        assert_eq!(got.len() * 2, pairs.len(), "a slot twice at step {step}");
        assert_eq!(got, model.potential(&query), "seed {seed} step {step}");
        for slot in slots {
            assert_eq!(active.active_blocks(*slot), model.active_blocks(*slot), "seed {seed} step {step}");
        }
        assert_eq!(active.requests() as usize, model.flights.len());
        assert!(active.runs() <= 2 * model.flights.len(), "{} runs of {} requests", active.runs(), model.flights.len());
    }
    for request in 0..requests as u32 {
        active.free(request);
    }
    assert_eq!((active.runs(), active.requests()), (0, 0));
    assert!(slots.iter().all(|slot| active.active_blocks(*slot) == 0));
}

#[test]
fn short_prompts_that_share_prefixes() {
    for seed in 0..200 {
        history(seed, 8, &[0, 1, 70], 2, 150);
    }
}

#[test]
fn long_prompts_that_share_prefixes() {
    for seed in 0..30 {
        history(500 + seed, 12, &[0, 1, 63, 64, 16_383], 20, 150);
    }
}

#[test]
fn ten_thousand_requests_in_flight_on_many_slots() {
    let mut random = Random(3);
    let mut active = Sequences::new();
    let mut expected: BTreeMap<u32, BTreeSet<Vec<u64>>> = BTreeMap::new();
    for request in 0..10_000 {
        let slot = random.below(200) as u32;
        let path = random.path(10);
        let held = expected.entry(slot).or_default();
        let before = held.len();
        held.extend((1..=path.len()).map(|n| path[..n].to_vec()));
        assert_eq!(active.add(request, slot, &path, 0), Some((held.len() - before) as u32));
    }
    for (slot, held) in &expected {
        assert_eq!(active.active_blocks(*slot) as usize, held.len());
    }
    for request in (0..10_000).rev() {
        assert!(active.free(request));
    }
    assert_eq!(active.runs(), 0);
}

#[test]
fn output_blocks_without_end_do_not_overflow() {
    let mut active = Sequences::new();
    active.add(1, 5, &[1, 2], 0);
    assert!(active.grow(1, u32::MAX) && active.grow(1, 7));
    assert_eq!(active.add(2, 5, &[1, 2, 3], 0), Some(1));
    assert_eq!(active.active_blocks(5), u32::MAX);
    active.free(1);
    assert_eq!(active.active_blocks(5), 3);
}
