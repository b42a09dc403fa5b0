//! Clearing a slot, in steps: what it had ends at once (`owners`), its traces in the nodes go a few at a time.
//!
//! A pass goes over all places once, `QUANTUM` of them with each call that changes the index, and takes the retired owners
//! out of the sets that it meets. Owners retired during a pass wait for the next one. When nobody is left who holds anything,
//! the whole structure is dropped instead. So no clear costs more than a store, however many blocks it ends.

use crate::index::Index;
use crate::nodes::ALIASED;
use crate::owners::TIERS;
use crate::sets::EMPTY;
use crate::table::NONE;

/// Places looked at with each change: a pass over a million blocks takes 2,000 changes, each some 50 µs longer at most.
const QUANTUM: u32 = 512;

#[derive(Default)]
pub(crate) struct Sweep {
    owners: Vec<u32>,
    cursor: u32,
    end: u32,
}

impl Index {
    /// Ends all that `slot` has in all tiers.
    pub fn clear(&mut self, slot: u32) {
        for tier in 0..TIERS {
            self.clear_tier(slot, tier);
        }
    }

    /// Ends all that `slot` has in one tier.
    pub fn clear_tier(&mut self, slot: u32, tier: u32) {
        if slot >= crate::index::MAX_SLOTS || tier >= TIERS {
            return;
        }
        let owner = self.owners.of(slot, tier);
        if owner == NONE || self.owners.blocks(owner) == 0 {
            return;
        }
        self.owners.retire(owner);
        self.sets.mask_changed();
        if self.owners.is_empty() {
            let (capacity_bytes, evicted) = (self.capacity_bytes, self.evicted);
            *self = Self { capacity_bytes, evicted, ..Self::default() };
        } else {
            self.sweep();
        }
    }

    /// Whether retired owners are still named somewhere: the memory of what was cleared is not all free yet.
    pub fn is_sweeping(&self) -> bool {
        !self.owners.dead().is_empty()
    }

    /// A step of the pass, if there is anything to sweep.
    #[inline]
    pub fn sweep(&mut self) {
        if self.is_sweeping() {
            self.sweep_places(QUANTUM);
        }
    }

    #[cold]
    fn sweep_places(&mut self, places: u32) {
        if self.sweep.owners.is_empty() {
            self.sweep = Sweep { owners: self.owners.take_retired(), cursor: 0, end: self.nodes.places() };
        }
        let to = (self.sweep.cursor + places).min(self.sweep.end);
        for id in self.sweep.cursor..to {
            let set = self.nodes.set(id);
            if set == EMPTY {
                continue;
            }
            let rest = self.sets.without(set, self.owners.dead());
            if rest != set {
                self.take_dead_out(id, set, rest);
            }
        }
        self.sweep.cursor = to;
        if to == self.sweep.end {
            for owner in std::mem::take(&mut self.sweep.owners) {
                self.owners.swept(owner);
            }
            self.sets.mask_changed();
        }
    }

    fn take_dead_out(&mut self, node: u32, set: u32, rest: u32) {
        if self.nodes.word(node) & ALIASED != 0 {
            let (words, owners) = (self.sets.members(set), &self.owners);
            for owner in words.into_iter().filter(|owner| !owners.is_live(*owner)) {
                self.aliases.remove_node(owner, node);
            }
        }
        self.nodes.replace_set(node, rest);
        self.sets.retain(rest);
        self.sets.release(set);
        if rest == EMPTY {
            self.unname(node);
            self.blocks -= 1;
            let leaf = self.prune(node);
            self.enqueue_leaf(leaf);
        }
    }
}
