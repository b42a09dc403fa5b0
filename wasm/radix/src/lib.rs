//! stator-radix: which worker holds which prefix (`RadixIndex`) and what is in flight (`ActiveSequences`).
//!
//! This file only binds the cores to JavaScript. Workers are dense slots, `(worker, dp_rank) → slot` is the caller's map.
//! 64-bit hashes never become JavaScript bigints: `input(n)` makes room for n little-endian words in wasm memory and
//! returns its byte offset, the caller writes them there with one `set()`, results are read at `output()`. An offset is valid
//! until the next call of the same object; views must be taken again after any call, because the memory may have grown.
//!
//! The structure, in short (each file says more): a path-compressed tree without edges. A node is a block, 28 bytes in a
//! columnar arena; a child stands right behind its parent when that place is free, so a stored path is a dense scan; other
//! children are found in a hash table. An owner is what one slot has in one tier; a node names an interned set of owners
//! (4 bytes a node, members looked at only where the set changes), so all tiers of all slots are matched on one path.
//! External hashes live in the node and in one table for all workers (8 to 12 bytes a node), differing ones in a side table.
//! Eviction is a queue with a second chance (one bit a match). A clear retires an owner at once and is swept in steps.
//!
//! What it costs, for n blocks in an event or prompt (cache misses count, instructions hardly):
//! - bytes per block: 37 to 42 with one or many owners; 40 more for each further name of a block;
//! - store: blocks that are known by these names are a scan of 20 bytes each; every new one is one overlapped miss in the table;
//! - find: two misses and a scan of 12 bytes a block for each stretch, once more at each branch; allocates nothing with the
//!   device tier alone, and with lower tiers a few operations more for each slot and change of owners;
//! - remove: one overlapped miss a block; clear: as a store, then 512 places looked at with each change, until all were;
//! - eviction: as many blocks as a store adds, each like a removal.
//!
//! No operation is longer than its event asks for, apart from growth: a 64th of a table, or the queue of leaves (4 bytes each).
//! Nothing here panics on any input; impossible requests have a status or a count as their answer.

pub mod aliases;
pub mod dump;
mod event;
mod evict;
mod find;
pub mod index;
pub mod nodes;
pub mod owners;
pub mod runs;
pub mod sequences;
pub mod sets;
mod store;
mod sweep;
pub mod table;

use wasm_bindgen::prelude::wasm_bindgen;

/// The most words that one call may bring or fetch: 32 MiB.
const MAX_WORDS: usize = 1 << 22;

fn room(words: &mut Vec<u64>, n: usize) -> usize {
    let n = n.min(MAX_WORDS);
    if words.len() < n {
        words.resize(n, 0);
    }
    words.as_ptr() as usize
}

#[wasm_bindgen]
pub struct RadixIndex {
    core: index::Index,
    words: Vec<u64>,
    pairs: Vec<u32>,
    lower: Vec<u32>,
}

#[wasm_bindgen]
impl RadixIndex {
    #[wasm_bindgen(constructor)]
    pub fn new(capacity_bytes: f64) -> Self {
        Self { core: index::Index::new(capacity_bytes.max(0.0) as usize), words: Vec::new(), pairs: Vec::new(), lower: Vec::new() }
    }

    /// Byte offset of room for `n` words (at most 4,194,304).
    pub fn input(&mut self, n: usize) -> usize {
        room(&mut self.words, n)
    }

    /// Byte offset of the result of the last `find` (u32 pairs).
    pub fn output(&self) -> usize {
        self.pairs.as_ptr() as usize
    }

    /// Input `[parent block hash?] [block hash × n] [tokens hash × n]`. 0 stored, 1 duplicate, 2 parent not found, 3 invalid.
    pub fn store(&mut self, slot: u32, tier: u32, has_parent: bool, n: usize) -> u32 {
        let parents = usize::from(has_parent);
        let words = &self.words;
        if n > MAX_WORDS || words.len() < parents + 2 * n {
            return index::Stored::Invalid as u32;
        }
        let (parent, blocks) = words.split_at(parents);
        let parent = parent.first().copied();
        self.core.store(slot, tier, parent, &blocks[..n], &blocks[n..2 * n]) as u32
    }

    /// Input: block hashes. Returns how many the slot did not hold.
    pub fn remove(&mut self, slot: u32, tier: u32, n: usize) -> u32 {
        self.core.remove(slot, tier, &self.words[..n.min(self.words.len())])
    }

    /// All tiers of a slot.
    pub fn clear(&mut self, slot: u32) {
        self.core.clear(slot);
    }

    pub fn clear_tier(&mut self, slot: u32, tier: u32) {
        self.core.clear_tier(slot, tier);
    }

    /// A step of freeing what was cleared. Returns whether there is more to do.
    pub fn sweep(&mut self) -> bool {
        self.core.sweep();
        self.core.is_sweeping()
    }

    /// Input: tokens hashes of a prompt's blocks. Returns the number of (slot, depth) pairs at `output()`.
    pub fn find(&mut self, n: usize) -> u32 {
        let n = n.min(self.words.len());
        self.core.find(&self.words[..n], &mut self.pairs, &mut self.lower)
    }

    /// How many (slot, tier, blocks) triples the last `find` left at `lower_output()`.
    pub fn lower(&self) -> u32 {
        self.lower.len() as u32 / 3
    }

    pub fn lower_output(&self) -> usize {
        self.lower.as_ptr() as usize
    }

    /// Writes stores of at most `max_blocks` blocks to `input(0)`, see dump.rs. Returns the number of words.
    pub fn dump(&mut self, slot: u32, tier: u32, cursor: u32, max_blocks: u32) -> usize {
        self.core.dump(slot, tier, cursor, max_blocks.min(MAX_WORDS as u32 / 4), &mut self.words);
        self.words.len()
    }

    /// The cursor for the next piece; 4294967295 after the last.
    pub fn dump_cursor(&self) -> u32 {
        self.core.dump_cursor()
    }

    /// Input: n words of a dump. Returns the number of blocks accepted.
    pub fn load(&mut self, slot: u32, tier: u32, n: usize) -> u32 {
        let n = n.min(self.words.len());
        self.core.load(slot, tier, &self.words[..n])
    }

    pub fn blocks(&self) -> u32 {
        self.core.blocks()
    }

    pub fn slot_blocks(&self, slot: u32, tier: u32) -> u32 {
        self.core.slot_blocks(slot, tier)
    }

    pub fn bytes(&self) -> f64 {
        self.core.bytes() as f64
    }

    pub fn evicted(&self) -> f64 {
        self.core.evicted() as f64
    }
}

#[wasm_bindgen]
#[derive(Default)]
pub struct ActiveSequences {
    core: sequences::Sequences,
    words: Vec<u64>,
    pairs: Vec<u32>,
}

#[wasm_bindgen]
impl ActiveSequences {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Byte offset of room for `n` words (at most 4,194,304).
    pub fn input(&mut self, n: usize) -> usize {
        room(&mut self.words, n)
    }

    /// Byte offset of the result of the last `potential` (u32 pairs).
    pub fn output(&self) -> usize {
        self.pairs.as_ptr() as usize
    }

    /// Input: local hashes. Returns the number of newly active blocks; 4294967295 when the request is known already.
    pub fn add(&mut self, request: u32, slot: u32, n: usize, salt: u32) -> u32 {
        let n = n.min(self.words.len());
        self.core.add(request, slot, &self.words[..n], salt).unwrap_or(u32::MAX)
    }

    /// Input: local hashes. Returns the number of (slot, depth) pairs at `output()`.
    pub fn potential(&mut self, n: usize) -> u32 {
        let n = n.min(self.words.len());
        self.core.potential(&self.words[..n], &mut self.pairs)
    }

    pub fn grow(&mut self, request: u32, blocks: u32) -> bool {
        self.core.grow(request, blocks)
    }

    pub fn free_request(&mut self, request: u32) -> bool {
        self.core.free(request)
    }

    pub fn drop_slot(&mut self, slot: u32) -> u32 {
        self.core.drop_slot(slot)
    }

    pub fn active_blocks(&self, slot: u32) -> u32 {
        self.core.active_blocks(slot)
    }

    pub fn requests(&self) -> u32 {
        self.core.requests()
    }
}
