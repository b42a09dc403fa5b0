//! The index against the plainest model of semantics §3.2, after every step of random histories over tiny alphabets.

use std::collections::{BTreeMap, BTreeSet};

use stator_radix::index::{Index, Stored};
use stator_radix::table::mix;

type Path = Vec<u64>;
const TIERS: u32 = 4;

/// Per slot and tier: external hash → the path of token hashes that it names.
#[derive(Default)]
struct Model {
    held: BTreeMap<(u32, u32), BTreeMap<u64, Path>>,
}

impl Model {
    fn store(&mut self, (slot, tier): (u32, u32), parent: Option<u64>, names: &[u64], tokens: &[u64]) -> Stored {
        let distinct: BTreeSet<_> = names.iter().collect();
        if names.is_empty() || distinct.len() < names.len() || parent.is_some_and(|p| names.contains(&p)) {
            return Stored::Invalid;
        }
        let mut path = match parent {
            None => Vec::new(),
            Some(p) => match std::iter::once(tier).chain(0..TIERS).find_map(|t| self.held.get(&(slot, t))?.get(&p)) {
                None => return Stored::ParentNotFound,
                Some(path) => path.clone(),
            },
        };
        let held = self.held.entry((slot, tier)).or_default();
        let mut changed = false;
        for (name, token) in names.iter().zip(tokens) {
            path.push(*token);
            changed |= held.insert(*name, path.clone()).as_ref() != Some(&path);
        }
        if changed { Stored::New } else { Stored::Duplicate }
    }

    fn remove(&mut self, key: (u32, u32), names: &[u64]) -> u32 {
        let held = self.held.entry(key).or_default();
        names.iter().filter(|name| held.remove(name).is_none()).count() as u32
    }

    fn paths(&self, key: (u32, u32)) -> BTreeSet<&[u64]> {
        self.held.get(&key).into_iter().flat_map(|held| held.values().map(Vec::as_slice)).collect()
    }

    /// (slot, tier) → blocks, where there are any.
    fn find(&self, query: &[u64]) -> BTreeMap<(u32, u32), u32> {
        let mut found = BTreeMap::new();
        for slot in self.held.keys().map(|key| key.0).collect::<BTreeSet<_>>() {
            let mut at = 0;
            for tier in 0..TIERS {
                let paths = self.paths((slot, tier));
                let blocks = (at + 1..=query.len()).take_while(|n| paths.contains(&query[..*n])).count();
                if blocks > 0 {
                    found.insert((slot, tier), blocks as u32);
                }
                at += blocks;
            }
        }
        found
    }

    fn blocks(&self) -> usize {
        self.held.values().flat_map(BTreeMap::values).collect::<BTreeSet<_>>().len()
    }
}

#[derive(Default)]
struct Found {
    pairs: Vec<u32>,
    lower: Vec<u32>,
}

impl Found {
    /// What the index finds, as the model says it; nobody twice.
    fn by(&mut self, index: &mut Index, query: &[u64]) -> BTreeMap<(u32, u32), u32> {
        let count = index.find(query, &mut self.pairs, &mut self.lower) as usize;
        let device = self.pairs.chunks(2).map(|p| ((p[0], 0), p[1]));
        let lower = self.lower.chunks(3).map(|p| ((p[0], p[1]), p[2]));
        let found: BTreeMap<_, _> = device.chain(lower).collect();
        assert_eq!(found.len(), count + self.lower.len() / 3, "a slot twice");
        found
    }
}

/// How many histories each kind runs, as a share of a full run's: STATOR_FUZZ_SEQUENCES says how many all have together.
fn histories(of_ten_thousand: u64) -> u64 {
    let all: u64 = std::env::var("STATOR_FUZZ_SEQUENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000);
    (all * of_ten_thousand).div_ceil(10_000)
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = mix(self.0.wrapping_add(0x9E37_79B9_7F4A_7C15));
        self.0 % n
    }
}

struct Alphabet {
    slots: &'static [u32],
    tiers: u32,
    names: u64,
    tokens: u64,
    /// Engines that agree: the name is a function of the path.
    agree: bool,
}

fn history(seed: u64, alphabet: &Alphabet, steps: usize) {
    let Alphabet { slots, tiers, names, tokens, agree } = *alphabet;
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut index = Index::new(64 << 20);
    let mut found = Found::default();
    for step in 0..steps {
        let slot = slots[random.below(slots.len() as u64) as usize];
        let tier = random.below(u64::from(tiers)) as u32;
        let key = (slot, tier);
        match random.below(20) {
            0..12 => {
                let count = random.below(6) as usize;
                let parent = (random.below(3) > 0).then(|| random.below(names));
                let token: Vec<u64> = (0..count).map(|_| random.below(tokens)).collect();
                let name: Vec<u64> = if agree {
                    let mut path = parent.unwrap_or(99);
                    token.iter().map(|t| { path = mix(path * 31 + t) % names; path }).collect()
                } else {
                    (0..count).map(|_| random.below(names)).collect()
                };
                let stored = index.store(slot, tier, parent, &name, &token);
                assert_eq!(stored, model.store(key, parent, &name, &token), "seed {seed} step {step}");
            }
            12..19 => {
                let name: Vec<u64> = (0..random.below(4)).map(|_| random.below(names)).collect();
                assert_eq!(index.remove(slot, tier, &name), model.remove(key, &name), "seed {seed} step {step}");
            }
            _ if random.below(2) == 0 => {
                index.clear_tier(slot, tier);
                model.held.remove(&key);
            }
            _ => {
                index.clear(slot);
                model.held.retain(|key, _| key.0 != slot);
            }
        }
        for _ in 0..6 {
            let query: Vec<u64> = (0..random.below(8)).map(|_| random.below(tokens)).collect();
            assert_eq!(found.by(&mut index, &query), model.find(&query), "seed {seed} step {step} query {query:?}");
        }
        assert_eq!(index.blocks() as usize, model.blocks(), "seed {seed} step {step}");
        for slot in slots {
            for tier in 0..tiers {
                let held = model.paths((*slot, tier)).len();
                assert_eq!(index.slot_blocks(*slot, tier) as usize, held, "seed {seed} step {step}");
            }
        }
    }
    if tiers == 1 {
        reload(&mut index, &model, slots, tokens, &mut random);
    }
    for slot in slots {
        index.clear(*slot);
    }
    assert_eq!((index.blocks(), index.is_sweeping()), (0, false));
}

/// What a dump in small pieces rebuilds is found like the original.
fn reload(index: &mut Index, model: &Model, slots: &[u32], tokens: u64, random: &mut Random) {
    let mut copy = Index::new(64 << 20);
    let mut words = Vec::new();
    for slot in slots {
        let mut cursor = 0;
        loop {
            let written = index.dump(*slot, 0, cursor, 1 + random.below(5) as u32, &mut words);
            assert_eq!(copy.load(*slot, 0, &words), written);
            cursor = index.dump_cursor();
            if cursor == stator_radix::dump::DONE {
                break;
            }
        }
    }
    let mut found = Found::default();
    for _ in 0..200 {
        let query: Vec<u64> = (0..random.below(9)).map(|_| random.below(tokens)).collect();
        assert_eq!(found.by(&mut copy, &query), model.find(&query));
    }
}

#[test]
fn engines_that_do_not_agree_on_names() {
    let alphabet = Alphabet { slots: &[0, 1, 2], tiers: 1, names: 12, tokens: 3, agree: false };
    (0..histories(2_500)).for_each(|seed| history(seed, &alphabet, 120));
}

#[test]
fn engines_that_agree_on_names() {
    let alphabet = Alphabet { slots: &[0, 1, 2, 3], tiers: 1, names: 40, tokens: 3, agree: true };
    (0..histories(2_000)).for_each(|seed| history(100_000 + seed, &alphabet, 150));
}

#[test]
fn tiers_of_engines_that_do_not_agree_on_names() {
    let alphabet = Alphabet { slots: &[0, 1, 2], tiers: TIERS, names: 12, tokens: 3, agree: false };
    (0..histories(2_500)).for_each(|seed| history(200_000 + seed, &alphabet, 120));
}

#[test]
fn tiers_of_engines_that_agree_on_names() {
    let alphabet = Alphabet { slots: &[0, 1, 5], tiers: TIERS, names: 40, tokens: 2, agree: true };
    (0..histories(2_400)).for_each(|seed| history(300_000 + seed, &alphabet, 150));
}

#[test]
fn more_than_64_slots() {
    let slots = &[0, 1, 63, 64, 65, 127, 128, 1000, 16_383];
    for seed in 0..histories(600) {
        let alphabet = Alphabet { slots, tiers: 1 + seed as u32 % TIERS, names: 30, tokens: 3, agree: seed % 2 == 0 };
        history(400_000 + seed, &alphabet, 150);
    }
}

#[test]
fn long_histories_stay_exact() {
    let slots = &[0, 1, 2, 3, 4, 5];
    history(7, &Alphabet { slots, tiers: 1, names: 400, tokens: 4, agree: false }, 6000);
    history(8, &Alphabet { slots, tiers: 1, names: 4000, tokens: 4, agree: true }, 6000);
    history(9, &Alphabet { slots, tiers: TIERS, names: 4000, tokens: 4, agree: true }, 4000);
}

/// Stores of whole prompts with names that differ from everyone's, removals of their ends, pieces, and wholes, as engines
/// send them: the paths that are filled in by column, over many groups and freed places.
fn long_paths(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut index = Index::new(64 << 20);
    let mut found = Found::default();
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
            assert_eq!(index.store(slot, 0, parent, below, under), model.store((slot, 0), parent, below, under), "{seed} {step}");
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
            assert_eq!(index.remove(*slot, 0, &gone), model.remove((*slot, 0), &gone), "{seed} {step}");
        }
        for (_, path, _) in stored.iter().rev().take(4) {
            assert_eq!(found.by(&mut index, path), model.find(path), "{seed} {step}");
        }
        let held: usize = model.held.values().map(BTreeMap::len).sum();
        let counted: u32 = (0..3).map(|slot| index.slot_blocks(slot, 0)).sum();
        assert_eq!((index.blocks() as usize, counted as usize), (model.blocks(), held), "{seed} {step}");
    }
    for slot in 0..3 {
        let names: Vec<u64> = model.held.entry((slot, 0)).or_default().keys().copied().collect();
        assert_eq!(index.remove(slot, 0, &names), 0);
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
    index.store(0, 0, None, &hot, &hot);
    let mut found = Found::default();
    for prompt in 0..20_000u64 {
        let blocks: Vec<u64> = (0..16).map(|i| mix(prompt << 8 | i)).collect();
        assert_eq!(index.store((prompt % 9) as u32, 0, None, &blocks, &blocks), Stored::New);
        assert!(index.bytes() <= capacity, "{} at {prompt}", index.bytes());
        if prompt % 50 == 0 {
            assert_eq!(found.by(&mut index, &hot), BTreeMap::from([((0, 0), 32)]), "what is matched stays");
        }
    }
    assert!(index.evicted() > 200_000 && index.blocks() > 15_000, "{} {}", index.evicted(), index.blocks());
    let total: u32 = (0..9).map(|slot| index.slot_blocks(slot, 0)).sum();
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
            assert_eq!(index.store(slot, 0, None, &names, &tokens), Stored::New);
            assert!(index.bytes() <= capacity, "{} at {prompt}", index.bytes());
        }
    }
    assert!(index.evicted() > 0);
}

/// Stores and removes of others go on while what a slot had is swept; a new claim of the cleared slot is a new one.
#[test]
fn a_clear_is_exact_at_once_and_swept_by_what_follows() {
    let mut index = Index::new(64 << 20);
    let mut found = Found::default();
    let path = |prompt: u64| -> Vec<u64> { (0..40).map(|i| mix(if i < 20 { i } else { prompt << 8 | i })).collect() };
    for prompt in 0..400 {
        index.store((prompt % 4) as u32, 0, None, &path(prompt), &path(prompt));
    }
    let bytes = index.bytes();
    index.clear(2);
    assert!(index.is_sweeping());
    assert_eq!((index.slot_blocks(2, 0), index.blocks()), (0, 20 + 300 * 20));
    assert_eq!(found.by(&mut index, &path(2)), BTreeMap::from([((0, 0), 20), ((1, 0), 20), ((3, 0), 20)]));
    assert_eq!(index.store(2, 0, Some(path(2)[20]), &[1], &[1]), Stored::ParentNotFound);
    assert_eq!(index.store(2, 0, None, &path(6)[..30], &path(6)[..30]), Stored::New);
    assert_eq!(found.by(&mut index, &path(6))[&(2, 0)], 30);
    for _ in 0..100 {
        assert_eq!(index.remove(0, 0, &[1]), 1);
    }
    assert!(!index.is_sweeping());
    assert_eq!((index.slot_blocks(2, 0), index.blocks()), (30, 20 + 300 * 20 + 10));
    for prompt in (2..400).step_by(4) {
        index.store(1, 0, None, &path(prompt), &path(prompt));
    }
    assert!(index.bytes() <= bytes + 4096, "the places of what was cleared are used again");
}
