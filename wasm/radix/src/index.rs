//! The index of which slot holds which prefix (semantics §3.2): store, remove, clear, find.
//!
//! A node is one block under one parent. Where things are: owners in the node's interned set (`sets`), children behind the
//! parent or in the table `branches` (`nodes`), external hashes in the table `names` or in `aliases`, the order of eviction
//! in `queue` (`evict`). Everything is exact: what `find` reports are the slots' contiguous prefixes, never an estimate.
//!
//! Choices where semantics §3.2 is silent:
//! - A block hash that a slot stores at a second place *moves* there: the slot's claim on the old place ends.
//! - A slot that knows one block by two names owns it until both are removed.
//! - An invalid store (no blocks, a block hash twice, the parent among its own blocks, slot out of range) changes nothing.
//!
//! Cost of `store` and `remove`: one cache line of `names` a block; all of an event's look-ups run before its first change,
//! so that their memory latencies overlap. `find`: one table look-up for each place where the path is not contiguous, and a
//! scan in between. `clear`: a scan of all nodes.

use std::collections::VecDeque;

use crate::aliases::{ALIAS_COST_BYTES, Aliases};
use crate::dump::DumpState;
use crate::nodes::{ALIASED, NAMED, NODE_COST_BYTES, Nodes, QUEUED, SET_MASK, TOUCHED};
use crate::sets::{EMPTY, Running, Sets};
use crate::table::{ENTRY_COST_BYTES, NONE, Table, mix};

/// Slots are below this: a set of all of them is 2 KiB.
pub const MAX_SLOTS: u32 = 16_384;
/// What an empty index may occupy beyond its budget: empty shards and the first chunk.
pub const FLOOR_BYTES: usize = 64 * 1024;

/// The smallest budget: about 4,000 blocks.
pub const MIN_CAPACITY_BYTES: usize = 4 * FLOOR_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stored {
    New = 0,
    Duplicate = 1,
    ParentNotFound = 2,
    Invalid = 3,
}

#[derive(Default)]
pub struct Index {
    pub(crate) nodes: Nodes,
    pub(crate) sets: Sets,
    pub(crate) names: Table,
    pub(crate) branches: Table,
    pub(crate) aliases: Aliases,
    pub(crate) queue: VecDeque<u32>,
    pub(crate) slot_blocks: Vec<u32>,
    pub(crate) blocks: u32,
    pub(crate) capacity_bytes: usize,
    pub(crate) evicted: u64,
    pub(crate) dump: DumpState,
    running: Running,
    found: Vec<u32>,
    sorted: Vec<u64>,
}

pub(crate) fn name_hash(name: u64) -> u64 {
    mix(name)
}

pub(crate) fn branch_hash(parent: u32, tokens: u64) -> u64 {
    mix(tokens ^ (u64::from(parent) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

impl Index {
    pub fn new(capacity_bytes: usize) -> Self {
        Self { capacity_bytes: capacity_bytes.max(MIN_CAPACITY_BYTES), ..Self::default() }
    }

    /// Blocks that at least one slot holds.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    pub fn slot_blocks(&self, slot: u32) -> u32 {
        self.slot_blocks.get(slot as usize).copied().unwrap_or(0)
    }

    /// Where the last `dump` stopped; `dump::DONE` after its last piece.
    pub fn dump_cursor(&self) -> u32 {
        self.dump.cursor()
    }

    /// Blocks evicted for the budget since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Bytes allocated for the structure, slack included; the scratch buffers of calls are not.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.nodes.bytes()
            + self.sets.bytes()
            + self.names.bytes()
            + self.branches.bytes()
            + self.aliases.bytes()
            + self.queue.capacity() * 4
            + self.slot_blocks.capacity() * 4
            + self.dump.bytes()
    }

    /// Upper bound of the bytes that the present contents need. It never exceeds the budget after a store, so neither do
    /// the allocations, which only grow when the contents reach a new high.
    pub(crate) fn cost_bytes(&self) -> usize {
        self.nodes.live() as usize * NODE_COST_BYTES
            + (self.names.len() + self.branches.len()) * ENTRY_COST_BYTES
            + self.aliases.len() * ALIAS_COST_BYTES
            + self.sets.cost_bytes()
            + self.queue.len() * 8
            + self.slot_blocks.len() * 8
            + FLOOR_BYTES
    }

    /// `slot` now holds `names[i]`, whose tokens hash to `tokens[i]`, as a path below `parent` (or the root).
    pub fn store(&mut self, slot: u32, parent: Option<u64>, names: &[u64], tokens: &[u64]) -> Stored {
        if slot >= MAX_SLOTS || names.is_empty() || names.len() != tokens.len() || self.repeats(parent, names) {
            return Stored::Invalid;
        }
        let mut at = match parent {
            None => NONE,
            Some(name) => match self.lookup(slot, name) {
                NONE => return Stored::ParentNotFound,
                node => node,
            },
        };
        if self.slot_blocks.len() <= slot as usize {
            self.slot_blocks.resize(slot as usize + 1, 0);
        }
        let found = self.find_names(names);
        let mut fresh = false;
        let mut changed = false;
        let before = at;
        for i in 0..names.len() {
            let mut child = if fresh { NONE } else { self.child(at, tokens[i]) };
            if child == NONE {
                fresh = true;
                child = self.grow(at, tokens[i]);
            }
            changed |= self.claim(slot, names[i], child, found[i]);
            at = child;
        }
        self.found = found;
        self.settle(before, at);
        self.evict_to_budget();
        if changed { Stored::New } else { Stored::Duplicate }
    }

    /// `slot` no longer holds these. Returns how many it did not hold.
    pub fn remove(&mut self, slot: u32, names: &[u64]) -> u32 {
        let found = self.find_names(names);
        let mut missing = 0;
        for (i, &name) in names.iter().enumerate() {
            let node = self.lookup_from(slot, name, found[i]);
            if node == NONE {
                missing += 1;
            } else {
                self.disclaim(slot, name, node);
                self.prune(node);
            }
        }
        self.found = found;
        missing
    }

    /// Ends everything that `slot` holds. A scan of all nodes: about 1 ms for a million.
    pub fn clear(&mut self, slot: u32) {
        if self.slot_blocks(slot) == 0 {
            return;
        }
        for id in 0..self.nodes.places() {
            let set = self.nodes.set(id);
            if set != EMPTY && self.sets.minus(set, slot) != set {
                if self.nodes.word(id) & ALIASED != 0 {
                    self.aliases.remove_node(slot, id);
                }
                self.drop_owner(slot, id);
                self.prune(id);
            }
        }
        if self.nodes.live() == 0 {
            let (capacity_bytes, evicted) = (self.capacity_bytes, self.evicted);
            let slots = std::mem::take(&mut self.slot_blocks);
            *self = Self { capacity_bytes, evicted, slot_blocks: slots, ..Self::default() };
        }
    }

    /// Writes (slot, depth) pairs to `out` for every slot that holds the first block: how many leading blocks of `query`
    /// it holds without a gap. A slot is written where it drops out, so depths ascend. Returns the number of pairs.
    pub fn find(&mut self, query: &[u64], out: &mut Vec<u32>) -> u32 {
        out.clear();
        let Some(&first) = query.first() else { return 0 };
        let mut at = self.child(NONE, first);
        if at == NONE || self.nodes.set(at) == EMPTY {
            return 0;
        }
        let mut running = std::mem::take(&mut self.running);
        running.start(&self.sets, self.nodes.set(at));
        let mut depth = 1;
        while depth < query.len() {
            // The contiguous stretch behind `at`, as far as its owners stay the same.
            let same = crate::nodes::CONTIGUOUS | running.set();
            let (group, place) = self.nodes.group_of(at);
            let stretch = group.tokens[place + 1..].iter().zip(&group.set[place + 1..]).zip(&query[depth..]);
            let steps = stretch
                .take_while(|((tokens, word), wanted)| {
                    *tokens == *wanted && **word & (crate::nodes::CONTIGUOUS | SET_MASK) == same
                })
                .count();
            at += steps as u32;
            depth += steps;
            if depth == query.len() {
                break;
            }
            let child = self.child(at, query[depth]);
            if child == NONE {
                break;
            }
            let set = self.nodes.set(child);
            if set != running.set() && !running.meet(&self.sets, set, depth as u32, out) {
                break;
            }
            at = child;
            depth += 1;
        }
        running.finish(depth as u32, out);
        self.running = running;
        self.nodes.flag(at, TOUCHED, 0);
        out.len() as u32 / 2
    }

    /// The child of `parent` (`NONE`: the root) with these tokens, or `NONE`.
    #[inline]
    pub(crate) fn child(&self, parent: u32, tokens: u64) -> u32 {
        if parent != NONE {
            let next = self.nodes.next(parent);
            if next != NONE && self.nodes.tokens(next) == tokens {
                return next;
            }
            if self.nodes.branches(parent) == 0 {
                return NONE;
            }
        }
        self.branches.find(branch_hash(parent, tokens), |id| {
            self.nodes.tokens(id) == tokens && self.nodes.parent(id) == parent
        })
    }

    /// The node that `slot` calls `name`, or `NONE`.
    pub(crate) fn lookup(&self, slot: u32, name: u64) -> u32 {
        self.lookup_from(slot, name, self.find_name(name))
    }

    /// The name by which `slot` holds `node`, if it does.
    pub(crate) fn name_of(&self, slot: u32, node: u32) -> Option<u64> {
        if !self.sets.has(self.nodes.set(node), slot) {
            return None;
        }
        let alias = if self.nodes.word(node) & ALIASED != 0 { self.aliases.any_name(slot, node) } else { None };
        Some(alias.unwrap_or_else(|| self.nodes.name(node)))
    }

    /// Takes a node without owners and descendants out, and then its ancestors as far as they are like it.
    pub(crate) fn prune(&mut self, mut node: u32) {
        while self.nodes.set(node) == EMPTY && self.nodes.is_leaf(node) {
            let parent = self.unhook(node);
            if parent == NONE {
                return;
            }
            if self.nodes.set(parent) != EMPTY && self.nodes.is_leaf(parent) {
                self.enqueue(parent);
                return;
            }
            node = parent;
        }
    }

    /// Frees a leaf's place and returns its parent.
    pub(crate) fn unhook(&mut self, node: u32) -> u32 {
        let parent = self.nodes.parent(node);
        if self.nodes.word(node) & crate::nodes::CONTIGUOUS == 0 {
            self.branches.remove(branch_hash(parent, self.nodes.tokens(node)), node);
            if parent != NONE {
                let count = self.nodes.branches(parent);
                self.nodes.set_branches(parent, count - 1);
            }
        }
        self.nodes.free(node);
        parent
    }

    /// Ends a slot's ownership of a node, all names of it being gone already.
    pub(crate) fn drop_owner(&mut self, slot: u32, node: u32) {
        let from = self.nodes.set(node);
        let to = self.sets.minus(from, slot);
        self.nodes.replace_set(node, to);
        self.sets.retain(to);
        self.sets.release(from);
        self.slot_blocks[slot as usize] -= 1;
        if to == EMPTY {
            self.unname(node);
            self.blocks -= 1;
        }
    }

    /// Takes the node's own name out of the table: nobody holds it by that any more.
    pub(crate) fn unname(&mut self, node: u32) {
        if self.nodes.word(node) & NAMED != 0 {
            self.names.remove(name_hash(self.nodes.name(node)), node);
            self.nodes.flag(node, 0, NAMED);
        }
    }

    pub(crate) fn enqueue(&mut self, node: u32) {
        if self.nodes.word(node) & QUEUED == 0 {
            self.nodes.flag(node, QUEUED, 0);
            self.queue.push_back(node);
        }
    }

    fn repeats(&mut self, parent: Option<u64>, names: &[u64]) -> bool {
        if parent.is_some_and(|parent| names.contains(&parent)) {
            return true;
        }
        if names.len() <= 24 {
            return names.iter().enumerate().any(|(i, name)| names[..i].contains(name));
        }
        self.sorted.clear();
        self.sorted.extend_from_slice(names);
        self.sorted.sort_unstable();
        self.sorted.windows(2).any(|pair| pair[0] == pair[1])
    }

    fn find_name(&self, name: u64) -> u32 {
        self.names.find(name_hash(name), |id| self.nodes.name(id) == name)
    }

    /// All look-ups of an event at once: independent loads, so the cache misses overlap.
    fn find_names(&mut self, names: &[u64]) -> Vec<u32> {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        found.extend(names.iter().map(|&name| self.find_name(name)));
        found
    }

    /// `lookup` with the answer of `find_name` at hand; checked, because changes since may have freed that node.
    #[inline]
    fn lookup_from(&self, slot: u32, name: u64, found: u32) -> u32 {
        let alias = self.aliases.node(slot, name);
        if alias != NONE {
            return alias;
        }
        if found == NONE {
            return NONE;
        }
        let word = self.nodes.word(found);
        let node = if word & NAMED != 0 && self.nodes.name(found) == name { found } else { self.find_name(name) };
        if node == NONE {
            return NONE;
        }
        let word = self.nodes.word(node);
        if !self.sets.has(word & SET_MASK, slot) {
            return NONE;
        }
        let by_alias = word & ALIASED != 0 && self.aliases.any_name(slot, node).is_some();
        if by_alias { NONE } else { node }
    }

    /// Adds a child that does not exist yet.
    fn grow(&mut self, parent: u32, tokens: u64) -> u32 {
        let (id, reused) = self.nodes.take(parent, tokens);
        if reused {
            // Its old place in the queue is too early for it: a second chance puts it right.
            self.nodes.flag(id, TOUCHED, 0);
        }
        if self.nodes.word(id) & crate::nodes::CONTIGUOUS == 0 {
            if parent != NONE {
                let count = self.nodes.branches(parent);
                self.nodes.set_branches(parent, count + 1);
            }
            let nodes = &self.nodes;
            self.branches.insert(branch_hash(parent, tokens), id, |id| branch_hash(nodes.parent(id), nodes.tokens(id)));
        }
        id
    }

    /// Makes `slot` hold `node` by `name`, and no other node by it. Returns whether anything changed.
    #[inline]
    fn claim(&mut self, slot: u32, name: u64, node: u32, found: u32) -> bool {
        let old = if found == NONE && self.aliases.is_empty() { NONE } else { self.lookup_from(slot, name, found) };
        if old == node {
            return false;
        }
        let word = self.nodes.word(node);
        let from = word & SET_MASK;
        let to = self.sets.plus(from, slot);
        if to == from {
            // It holds the block already, by another name.
            if self.aliases.any_name(slot, node).is_none() {
                self.aliases.add(slot, self.nodes.name(node), node);
                self.nodes.flag(node, ALIASED, 0);
            }
            self.drop_name(slot, name, old);
            self.aliases.add(slot, name, node);
        } else {
            self.drop_name(slot, name, old);
            self.name(slot, name, node, found);
            self.nodes.replace_set(node, to);
            self.sets.retain(to);
            self.sets.release(from);
            self.slot_blocks[slot as usize] += 1;
            self.blocks += u32::from(from == EMPTY);
        }
        if old != NONE {
            self.after_drop(slot, old);
        }
        true
    }

    /// Records the first name of a node for a slot: in the node where that is possible, otherwise as an alias.
    #[inline]
    fn name(&mut self, slot: u32, name: u64, node: u32, found: u32) {
        if self.nodes.word(node) & NAMED != 0 {
            if self.nodes.name(node) == name {
                return;
            }
        } else if found == NONE || self.find_name(name) == NONE {
            self.nodes.set_name(node, name);
            self.nodes.flag(node, NAMED, 0);
            let nodes = &self.nodes;
            self.names.insert(name_hash(name), node, |id| name_hash(nodes.name(id)));
            return;
        }
        self.aliases.add(slot, name, node);
        self.nodes.flag(node, ALIASED, 0);
    }

    /// Forgets that `slot` calls `old` by `name`; `after_drop` then ends the ownership if that was the last name.
    fn drop_name(&mut self, slot: u32, name: u64, old: u32) {
        if old != NONE {
            self.aliases.remove(slot, name);
        }
    }

    fn after_drop(&mut self, slot: u32, old: u32) {
        let held = self.nodes.word(old) & ALIASED != 0 && self.aliases.any_name(slot, old).is_some();
        if !held {
            self.drop_owner(slot, old);
            self.prune(old);
        }
    }

    fn disclaim(&mut self, slot: u32, name: u64, node: u32) {
        self.aliases.remove(slot, name);
        let held = self.nodes.word(node) & ALIASED != 0 && self.aliases.any_name(slot, node).is_some();
        if !held {
            self.drop_owner(slot, node);
        }
    }

    /// Puts the last block of a store at the end of the eviction queue, in place of the leaf that it extended; where it
    /// stands there already, or has descendants, it counts as matched.
    fn settle(&mut self, before: u32, last: u32) {
        if self.nodes.word(last) & QUEUED != 0 || !self.nodes.is_leaf(last) {
            self.nodes.flag(last, TOUCHED, 0);
            return;
        }
        if before != NONE && self.queue.back() == Some(&before) && self.nodes.is_live(before) {
            self.queue.pop_back();
            self.nodes.flag(before, 0, QUEUED);
        }
        self.enqueue(last);
    }
}
