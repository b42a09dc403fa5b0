//! What one store or remove event needs to know of its names before the first change: where its path stands already, their
//! hashes, whether one of them repeats, and which nodes have them. Scratch of the index, used again by each event.
//!
//! Why so: names are random, so each look-up is a cache miss. They are asked for in batches, all of a batch's lines first and only
//! then what stands in them: loads that no branch waits for overlap, so a batch costs little more than one miss.
//! Cost: 12 bytes a name and a set of 8 to 16 bytes a name, which stay in the processor's near caches for usual events.

use std::hint::black_box;

use crate::nodes::Nodes;
use crate::table::{Table, mix};

/// Lines asked for at a time: about what a core can wait for.
const BATCH: usize = 32;
/// Up to here comparing all pairs is the quickest.
const FEW: usize = 16;

pub(crate) fn name_hash(name: u64) -> u64 {
    mix(name)
}

#[derive(Default)]
pub(crate) struct Event {
    pub hashes: Vec<u64>,
    /// Where a store found its path: first place and length of each stretch, in one group each.
    pub stretches: Vec<(u32, u32)>,
    /// The node whose `name` column this is, or `NONE`; as of the look-up.
    pub found: Vec<u32>,
    seen: Vec<u32>,
    sorted: Vec<u64>,
}

impl Event {
    pub fn hash(&mut self, names: &[u64]) {
        self.hashes.clear();
        self.hashes.extend(names.iter().map(|&name| name_hash(name)));
    }

    /// Hashes the names of a store. Whether one repeats, or is the parent's.
    pub fn is_invalid(&mut self, parent: Option<u64>, names: &[u64]) -> bool {
        self.hash(names);
        parent.is_some_and(|parent| names.contains(&parent)) || self.repeats(names)
    }

    /// Finds the nodes of names that were hashed: those from the `from`th on.
    pub fn look_up(&mut self, names: &[u64], from: usize, table: &Table, nodes: &Nodes) {
        self.found.clear();
        for (names, hashes) in names.chunks(BATCH).zip(self.hashes[from..].chunks(BATCH)) {
            black_box(hashes.iter().fold(0, |warm, &hash| warm ^ table.touch(hash)));
            let found = names.iter().zip(hashes).map(|(&name, &hash)| table.find(hash, |id| nodes.name(id) == name));
            self.found.extend(found);
        }
    }

    /// Whether a name that was hashed is there twice. Exact: where a set of 32-bit fingerprints has doubts, sorting decides.
    pub fn repeats(&mut self, names: &[u64]) -> bool {
        if names.len() <= FEW {
            let again = |(i, name): (usize, &u64)| names[..i].iter().fold(false, |any, other| any | (other == name));
            return names.iter().enumerate().fold(false, |any, one| any | again(one));
        }
        if self.clearly_distinct() {
            return false;
        }
        self.sorted.clear();
        self.sorted.extend_from_slice(names);
        self.sorted.sort_unstable();
        self.sorted.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// False when two fingerprints are equal, or crowd so much that sorting is cheaper.
    fn clearly_distinct(&mut self) -> bool {
        let places = (2 * self.hashes.len()).next_power_of_two();
        self.seen.clear();
        self.seen.resize(places, 0);
        let mut patience = 8 * self.hashes.len();
        for &hash in &self.hashes {
            let print = (hash >> 32) as u32 | 1;
            let mut at = hash as usize & (places - 1);
            while self.seen[at] != 0 {
                if self.seen[at] == print || patience == 0 {
                    return false;
                }
                patience -= 1;
                at = (at + 1) & (places - 1);
            }
            self.seen[at] = print;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(names: &[u64]) -> bool {
        let mut event = Event::default();
        event.hash(names);
        event.repeats(names)
    }

    #[test]
    fn finds_the_one_name_that_repeats_wherever_it_stands() {
        for length in [2, 16, 17, 100, 1000] {
            let names: Vec<u64> = (0..length).map(|i| mix(i + 5)).collect();
            assert!(!repeats(&names));
            for (a, b) in [(0, length - 1), (length / 2, length / 2 - 1), (length - 2, length - 1)] {
                let mut names = names.clone();
                names[a as usize] = names[b as usize];
                assert_eq!(repeats(&names), a != b, "{a} {b} of {length}");
            }
        }
    }

    #[test]
    fn equal_fingerprints_and_crowds_only_cost_time() {
        let mut event = Event::default();
        let names: Vec<u64> = (0..1000).collect();
        for shift in [0, 40] {
            event.hashes = names.iter().map(|name| name << shift).collect();
            assert!(!event.repeats(&names));
        }
        event.hashes = vec![7; 1000];
        assert!(!event.repeats(&names));
        event.hashes[999] = 7 << 40;
        let mut twice = names.clone();
        twice[999] = 3;
        assert!(event.repeats(&twice));
    }
}
