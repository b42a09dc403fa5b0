//! Who can hold a block: an *owner* is what one slot has in one storage tier, a dense small number inside the index.
//!
//! Why: sets of owners stay short while only the device tier is used, and an owner can be retired in one step. Clearing a
//! slot retires its owners: from then on nobody asks for them, so every answer is exact at once; the nodes that still
//! name them are swept a few at a time by later calls (`sweep`), and only then is the number given to somebody else.
//!
//! Invariants: a live owner has exactly one (slot, tier); a retired one has none and stands in `dead` until it was swept.
//! Cost: every question is one array read. 16 bytes a slot, 16 an owner.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::table::NONE;

/// Device, host, disk, external: the order in which a match goes on (StorageTier of fleet.proto).
pub const TIERS: u32 = 4;
pub const DEVICE: u32 = 0;

#[derive(Clone, Copy)]
struct Owner {
    /// `slot * TIERS + tier`, or `NONE` when nobody's.
    key: u32,
    blocks: u32,
    /// The last block that it stored: most often the parent of its next.
    last: u32,
}

#[derive(Default)]
pub struct Owners {
    by_key: Vec<u32>,
    owners: Vec<Owner>,
    /// The smallest goes first, which keeps sets short.
    unused: BinaryHeap<Reverse<u32>>,
    retired: Vec<u32>,
    /// A bit for each retired owner.
    dead: Vec<u64>,
    held: u64,
    lower: u32,
}

impl Owners {
    /// The owner of a slot's blocks in a tier, or `NONE`.
    #[inline(always)]
    pub fn of(&self, slot: u32, tier: u32) -> u32 {
        self.by_key.get((slot * TIERS + tier) as usize).copied().unwrap_or(NONE)
    }

    pub fn of_or_new(&mut self, slot: u32, tier: u32) -> u32 {
        let known = self.of(slot, tier);
        if known != NONE {
            return known;
        }
        let key = slot * TIERS + tier;
        if self.by_key.len() <= key as usize {
            self.by_key.resize((key / TIERS + 1) as usize * TIERS as usize, NONE);
        }
        let fresh = Owner { key, blocks: 0, last: NONE };
        let owner = match self.unused.pop() {
            Some(Reverse(owner)) => {
                self.owners[owner as usize] = fresh;
                owner
            }
            None => {
                self.owners.push(fresh);
                self.owners.len() as u32 - 1
            }
        };
        self.by_key[key as usize] = owner;
        self.lower += u32::from(tier != DEVICE);
        owner
    }

    /// Nobody's any more, as of now. Returns whether it held anything.
    pub fn retire(&mut self, owner: u32) {
        let Owner { key, blocks, .. } = self.owners[owner as usize];
        self.owners[owner as usize].key = NONE;
        self.by_key[key as usize] = NONE;
        self.held -= u64::from(blocks);
        self.lower -= u32::from(key % TIERS != DEVICE);
        self.retired.push(owner);
        let word = owner as usize / 64;
        if self.dead.len() <= word {
            self.dead.resize(word + 1, 0);
        }
        self.dead[word] |= 1 << (owner % 64);
    }

    /// The owners retired since this was last asked.
    pub fn take_retired(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.retired)
    }

    /// A retired owner is in no set any more.
    pub fn swept(&mut self, owner: u32) {
        self.dead[owner as usize / 64] &= !(1 << (owner % 64));
        self.unused.push(Reverse(owner));
        while self.dead.last() == Some(&0) {
            self.dead.pop();
        }
    }

    /// A bit for each owner that was retired and may still stand in sets.
    #[inline(always)]
    pub fn dead(&self) -> &[u64] {
        &self.dead
    }

    #[inline(always)]
    pub fn slot(&self, owner: u32) -> u32 {
        self.owners[owner as usize].key / TIERS
    }

    #[inline(always)]
    pub fn is_live(&self, owner: u32) -> bool {
        self.owners[owner as usize].key != NONE
    }

    pub fn blocks(&self, owner: u32) -> u32 {
        self.owners.get(owner as usize).map_or(0, |owner| owner.blocks)
    }

    #[inline(always)]
    pub fn gain(&mut self, owner: u32, blocks: u32) {
        self.owners[owner as usize].blocks += blocks;
        self.held += u64::from(blocks);
    }

    #[inline(always)]
    pub fn lose(&mut self, owner: u32) {
        let entry = &mut self.owners[owner as usize];
        entry.blocks -= 1;
        self.held -= u64::from(entry.key != NONE);
    }

    #[inline(always)]
    pub fn last(&self, owner: u32) -> u32 {
        self.owners[owner as usize].last
    }

    #[inline(always)]
    pub fn set_last(&mut self, owner: u32, node: u32) {
        self.owners[owner as usize].last = node;
    }

    /// Whether no live owner holds anything.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Whether anyone owns something in a lower tier than the device.
    #[inline(always)]
    pub fn has_lower(&self) -> bool {
        self.lower != 0
    }

    pub fn bytes(&self) -> usize {
        self.by_key.capacity() * 4
            + self.owners.capacity() * size_of::<Owner>()
            + self.unused.capacity() * 4
            + self.retired.capacity() * 4
            + self.dead.capacity() * 8
    }

    /// Upper bound of the bytes that the owners in use need.
    pub fn cost_bytes(&self) -> usize {
        self.by_key.len() * 8 + self.owners.len() * (2 * size_of::<Owner>() + 17)
    }
}
