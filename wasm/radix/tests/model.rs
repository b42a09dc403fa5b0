//! The index against the plainest model of semantics §3.2, after every step of random histories over tiny alphabets.

use std::collections::{BTreeMap, BTreeSet};

use stator_radix::index::{Index, Stored};
use stator_radix::table::mix;

type Path = Vec<u64>;

/// Per slot: external hash → the path of token hashes that it names.
#[derive(Default)]
struct Model {
    slots: BTreeMap<u32, BTreeMap<u64, Path>>,
}

impl Model {
    fn store(&mut self, slot: u32, parent: Option<u64>, names: &[u64], tokens: &[u64]) -> Stored {
        let distinct: BTreeSet<_> = names.iter().collect();
        if names.is_empty() || distinct.len() < names.len() || parent.is_some_and(|p| names.contains(&p)) {
            return Stored::Invalid;
        }
        let held = self.slots.entry(slot).or_default();
        let mut path = match parent {
            None => Vec::new(),
            Some(p) => match held.get(&p) {
                None => return Stored::ParentNotFound,
                Some(path) => path.clone(),
            },
        };
        let mut changed = false;
        for (name, token) in names.iter().zip(tokens) {
            path.push(*token);
            changed |= held.insert(*name, path.clone()).as_ref() != Some(&path);
        }
        if changed { Stored::New } else { Stored::Duplicate }
    }

    fn remove(&mut self, slot: u32, names: &[u64]) -> u32 {
        let held = self.slots.entry(slot).or_default();
        names.iter().filter(|name| held.remove(name).is_none()).count() as u32
    }

    fn find(&self, query: &[u64]) -> BTreeMap<u32, u32> {
        let mut scores = BTreeMap::new();
        for (slot, held) in &self.slots {
            let paths: BTreeSet<&[u64]> = held.values().map(Vec::as_slice).collect();
            let depth = (1..=query.len()).take_while(|n| paths.contains(&query[..*n])).count();
            if depth > 0 {
                scores.insert(*slot, depth as u32);
            }
        }
        scores
    }

    fn blocks(&self) -> usize {
        self.slots.values().flat_map(BTreeMap::values).collect::<BTreeSet<_>>().len()
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = mix(self.0.wrapping_add(0x9E37_79B9_7F4A_7C15));
        self.0 % n
    }
}

fn history(seed: u64, slots: &[u32], names: u64, tokens: u64, agree: bool, steps: usize) {
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut index = Index::new(64 << 20);
    let mut pairs = Vec::new();
    for step in 0..steps {
        let slot = slots[random.below(slots.len() as u64) as usize];
        match random.below(20) {
            0..12 => {
                let count = random.below(6) as usize;
                let parent = (random.below(3) > 0).then(|| random.below(names));
                let token: Vec<u64> = (0..count).map(|_| random.below(tokens)).collect();
                let name: Vec<u64> = if agree {
                    // Engines that agree: the name is a function of the path.
                    let mut path = parent.unwrap_or(99);
                    token.iter().map(|t| { path = mix(path * 31 + t) % names; path }).collect()
                } else {
                    (0..count).map(|_| random.below(names)).collect()
                };
                assert_eq!(index.store(slot, parent, &name, &token), model.store(slot, parent, &name, &token), "step {step}");
            }
            12..19 => {
                let name: Vec<u64> = (0..random.below(4)).map(|_| random.below(names)).collect();
                assert_eq!(index.remove(slot, &name), model.remove(slot, &name), "step {step}");
            }
            _ => {
                index.clear(slot);
                model.slots.remove(&slot);
            }
        }
        for _ in 0..6 {
            let query: Vec<u64> = (0..random.below(8)).map(|_| random.below(tokens)).collect();
            index.find(&query, &mut pairs);
            let got: BTreeMap<u32, u32> = pairs.chunks(2).map(|p| (p[0], p[1])).collect();
            assert_eq!(got.len() * 2, pairs.len(), "a slot twice at step {step}");
            assert_eq!(got, model.find(&query), "seed {seed} step {step} query {query:?}");
        }
        assert_eq!(index.blocks() as usize, model.blocks(), "seed {seed} step {step}");
        for slot in slots {
            let held = model.slots.get(slot).map_or(0, |held| held.values().collect::<BTreeSet<_>>().len());
            assert_eq!(index.slot_blocks(*slot) as usize, held, "seed {seed} step {step}");
        }
    }
    reload(&mut index, &model, slots, tokens, &mut random);
    for slot in slots {
        index.clear(*slot);
    }
    assert_eq!(index.blocks(), 0);
}

/// What a dump in small pieces rebuilds is found like the original.
fn reload(index: &mut Index, model: &Model, slots: &[u32], tokens: u64, random: &mut Random) {
    let mut copy = Index::new(64 << 20);
    let (mut words, mut pairs) = (Vec::new(), Vec::new());
    for slot in slots {
        let mut cursor = 0;
        loop {
            let written = index.dump(*slot, cursor, 1 + random.below(5) as u32, &mut words);
            assert_eq!(copy.load(*slot, &words), written);
            cursor = index.dump_cursor();
            if cursor == stator_radix::dump::DONE {
                break;
            }
        }
    }
    for _ in 0..200 {
        let query: Vec<u64> = (0..random.below(9)).map(|_| random.below(tokens)).collect();
        copy.find(&query, &mut pairs);
        let got: BTreeMap<u32, u32> = pairs.chunks(2).map(|p| (p[0], p[1])).collect();
        assert_eq!(got, model.find(&query));
    }
}

#[test]
fn engines_that_do_not_agree_on_names() {
    for seed in 0..300 {
        history(seed, &[0, 1, 2], 12, 3, false, 120);
    }
}

#[test]
fn engines_that_agree_on_names() {
    for seed in 0..200 {
        history(1000 + seed, &[0, 1, 2, 3], 40, 3, true, 150);
    }
}

#[test]
fn more_than_64_slots() {
    for seed in 0..60 {
        history(2000 + seed, &[0, 1, 63, 64, 65, 127, 128, 1000, 16_383], 30, 3, seed % 2 == 0, 150);
    }
}

#[test]
fn long_histories_stay_exact() {
    history(7, &[0, 1, 2, 3, 4, 5], 400, 4, false, 6000);
    history(8, &[0, 1, 2, 3, 4, 5], 4000, 4, true, 6000);
}

/// Stores of whole prompts with names that differ from everyone's, removals of their ends, pieces, and wholes, as engines
/// send them: the paths that are filled in by column, over many groups and freed places.
fn long_paths(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut index = Index::new(64 << 20);
    let mut pairs = Vec::new();
    let mut stored: Vec<(u32, Vec<u64>, Vec<u64>)> = Vec::new();
    for step in 0..steps {
        let slot = random.below(3) as u32;
        if stored.is_empty() || random.below(5) < 3 {
            let (mut parent, mut tokens, mut names) = (None, Vec::new(), Vec::new());
            if let Some((_, path, known)) = stored.get(random.below(stored.len() as u64 + 2) as usize) {
                let kept = random.below(path.len() as u64 + 1) as usize;
                (tokens, names) = (path[..kept].to_vec(), known[..kept].to_vec());
            }
            let kept = tokens.len();
            for _ in 0..random.below(150) {
                tokens.push(random.below(1 << 40));
                names.push(mix(names.last().unwrap_or(&seed) ^ tokens[tokens.len() - 1]));
            }
            let from = if random.below(2) == 0 { 0 } else { kept };
            if from > 0 {
                parent = Some(names[from - 1]);
            }
            let (below, under) = (&names[from..], &tokens[from..]);
            assert_eq!(index.store(slot, parent, below, under), model.store(slot, parent, below, under), "{seed} {step}");
            if !tokens.is_empty() {
                stored.push((slot, tokens, names));
            }
        } else {
            let (slot, _, names) = &stored[random.below(stored.len() as u64) as usize];
            let from = random.below(2) as usize * random.below(names.len() as u64) as usize;
            let mut gone = names[from..].to_vec();
            match random.below(3) {
                0 => gone.reverse(),
                1 => gone.truncate(1 + random.below(20) as usize),
                _ => {}
            }
            assert_eq!(index.remove(*slot, &gone), model.remove(*slot, &gone), "{seed} {step}");
        }
        for (_, path, _) in stored.iter().rev().take(4) {
            index.find(path, &mut pairs);
            let got: BTreeMap<u32, u32> = pairs.chunks(2).map(|p| (p[0], p[1])).collect();
            assert_eq!(got, model.find(path), "{seed} {step}");
        }
        let held: usize = model.slots.values().map(BTreeMap::len).sum();
        let counted: u32 = (0..3).map(|slot| index.slot_blocks(slot)).sum();
        assert_eq!((index.blocks() as usize, counted as usize), (model.blocks(), held), "{seed} {step}");
    }
    for slot in 0..3 {
        let names: Vec<u64> = model.slots.entry(slot).or_default().keys().copied().collect();
        assert_eq!(index.remove(slot, &names), 0);
    }
    assert_eq!(index.blocks(), 0);
}

#[test]
fn whole_prompts_come_and_go() {
    for seed in 0..12 {
        long_paths(seed, 60);
    }
}

#[test]
fn the_budget_holds_under_endless_unique_prompts() {
    let capacity = 1 << 20;
    let mut index = Index::new(capacity);
    let hot: Vec<u64> = (0..32).map(|i| mix(1 << 50 | i)).collect();
    index.store(0, None, &hot, &hot);
    let mut pairs = Vec::new();
    for prompt in 0..20_000u64 {
        let blocks: Vec<u64> = (0..16).map(|i| mix(prompt << 8 | i)).collect();
        assert_eq!(index.store((prompt % 9) as u32, None, &blocks, &blocks), Stored::New);
        assert!(index.bytes() <= capacity, "{} at {prompt}", index.bytes());
        if prompt % 50 == 0 {
            assert_eq!(index.find(&hot, &mut pairs), 1, "what is matched stays");
            assert_eq!(pairs, [0, 32]);
        }
    }
    assert!(index.evicted() > 200_000 && index.blocks() > 15_000, "{} {}", index.evicted(), index.blocks());
    let total: u32 = (0..9).map(|slot| index.slot_blocks(slot)).sum();
    assert_eq!(total, index.blocks());
}

#[test]
fn the_budget_holds_when_names_differ_and_prefixes_are_shared() {
    let capacity = 1 << 20;
    let mut index = Index::new(capacity);
    for prompt in 0..6_000u64 {
        let tokens: Vec<u64> = (0..20).map(|i| mix(if i < 8 { i | (prompt % 50) << 8 } else { prompt << 8 | i })).collect();
        for slot in 0..3 {
            let names: Vec<u64> = tokens.iter().map(|t| mix(t ^ u64::from(slot + 1) << 60)).collect();
            assert_eq!(index.store(slot, None, &names, &tokens), Stored::New);
            assert!(index.bytes() <= capacity, "{} at {prompt}", index.bytes());
        }
    }
    assert!(index.evicted() > 0);
}
