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
//! Cost of `store` and `remove`: one cache line of `names` a block; all of an event's look-ups run before its first change
//! and overlap (`event`). What a store adds behind the last known block is filled in by column (`append`). `find`: one table look-up for each place where the path is not contiguous, and a
//! scan in between. `clear`: a scan of all nodes.

use std::collections::VecDeque;

use crate::aliases::{ALIAS_COST_BYTES, Aliases};
use crate::dump::DumpState;
use crate::event::{Event, name_hash};
use crate::nodes::{ALIASED, CONTIGUOUS, NAMED, NODE_COST_BYTES, Nodes, QUEUED, SET_MASK, TOUCHED};
use crate::sets::{EMPTY, Running, Sets};
use crate::table::{ENTRY_COST_BYTES, MAX_IDS, NONE, Table, mix};

/// Slots are below this: a set of all of them is 2 KiB.
pub const MAX_SLOTS: u32 = 16_384;
/// What an empty index may occupy beyond its budget: empty shards and the first chunk.
pub const FLOOR_BYTES: usize = 64 * 1024;

/// The smallest budget: about 4,000 blocks.
pub const MIN_CAPACITY_BYTES: usize = 4 * FLOOR_BYTES;
/// The largest budget: as many blocks as the tables can number, about 35 million.
pub const MAX_CAPACITY_BYTES: usize = 3 << 29;

// The places of a full index, and of the largest event on top of it, have ids.
const _: () = assert!(MAX_CAPACITY_BYTES / NODE_COST_BYTES + (1 << 22) < MAX_IDS as usize);

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
    event: Event,
}

pub(crate) fn branch_hash(parent: u32, tokens: u64) -> u64 {
    mix(tokens ^ (u64::from(parent) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

impl Index {
    pub fn new(capacity_bytes: usize) -> Self {
        Self { capacity_bytes: capacity_bytes.clamp(MIN_CAPACITY_BYTES, MAX_CAPACITY_BYTES), ..Self::default() }
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
        if slot >= MAX_SLOTS || names.is_empty() || names.len() != tokens.len() {
            return Stored::Invalid;
        }
        let mut event = std::mem::take(&mut self.event);
        event.hash(names);
        let stored = if parent.is_some_and(|parent| names.contains(&parent)) || event.repeats(names) {
            Stored::Invalid
        } else {
            self.store_valid(slot, parent, names, tokens, &mut event)
        };
        self.event = event;
        stored
    }

    fn store_valid(&mut self, slot: u32, parent: Option<u64>, names: &[u64], tokens: &[u64], event: &mut Event) -> Stored {
        let before = match parent {
            None => NONE,
            Some(name) => match self.lookup(slot, name) {
                NONE => return Stored::ParentNotFound,
                node => node,
            },
        };
        if self.slot_blocks.len() <= slot as usize {
            self.slot_blocks.resize(slot as usize + 1, 0);
        }
        event.look_up(names, &self.names, &self.nodes);
        let (mut at, mut known, mut changed) = (before, 0, false);
        while known < names.len() {
            let child = self.child(at, tokens[known]);
            if child == NONE {
                break;
            }
            changed |= self.claim(slot, names[known], child, event.found[known]);
            at = child;
            known += 1;
        }
        if self.aliases.is_empty() && event.found[known..].iter().all(|found| *found == NONE) {
            at = self.append(slot, at, &names[known..], &tokens[known..], &event.hashes[known..]);
        } else {
            for i in known..names.len() {
                at = self.grow(at, tokens[i]);
                self.claim(slot, names[i], at, event.found[i]);
            }
        }
        self.settle(before, at);
        self.evict_to_budget();
        if changed || known < names.len() { Stored::New } else { Stored::Duplicate }
    }

    /// `slot` no longer holds these. Returns how many it did not hold.
    pub fn remove(&mut self, slot: u32, names: &[u64]) -> u32 {
        let mut event = std::mem::take(&mut self.event);
        event.hash(names);
        event.look_up(names, &self.names, &self.nodes);
        let mut missing = 0;
        // A new leaf waits a step: in a path that goes from its end, the next step takes it as well.
        let mut leaf = NONE;
        for (&name, &found) in names.iter().zip(&event.found) {
            let node = self.lookup_from(slot, name, found);
            if node == NONE {
                missing += 1;
                continue;
            }
            self.disclaim(slot, name, node);
            let next = self.prune(node);
            if next != NONE {
                self.enqueue_leaf(leaf);
                leaf = next;
            }
        }
        self.enqueue_leaf(leaf);
        self.event = event;
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
                let leaf = self.prune(id);
                self.enqueue_leaf(leaf);
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
            let same = CONTIGUOUS | running.set();
            let (group, place) = self.nodes.group_of(at);
            let stretch = group.tokens[place + 1..].iter().zip(&group.set[place + 1..]).zip(&query[depth..]);
            let steps = stretch
                .take_while(|((tokens, word), wanted)| {
                    *tokens == *wanted && **word & (CONTIGUOUS | SET_MASK) == same
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

    /// Takes a node without owners and descendants out, and then its ancestors as far as they are like it. Returns the
    /// owned node that is a leaf now, for the caller to enqueue, or `NONE`.
    #[inline]
    pub(crate) fn prune(&mut self, mut node: u32) -> u32 {
        while self.nodes.set(node) == EMPTY && self.nodes.is_leaf(node) {
            node = self.unhook(node);
            if node == NONE {
                return NONE;
            }
            if self.nodes.set(node) != EMPTY {
                return if self.nodes.is_leaf(node) { node } else { NONE };
            }
        }
        NONE
    }

    /// Frees a leaf's place and returns its parent.
    #[inline]
    pub(crate) fn unhook(&mut self, node: u32) -> u32 {
        let parent = self.nodes.parent(node);
        if self.nodes.word(node) & CONTIGUOUS == 0 {
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
    #[inline]
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
    #[inline]
    pub(crate) fn unname(&mut self, node: u32) {
        if self.nodes.word(node) & NAMED != 0 {
            self.names.remove(name_hash(self.nodes.name(node)), node);
            self.nodes.flag(node, 0, NAMED);
        }
    }

    /// Enqueues what `prune` returned, if it still is an owned leaf.
    fn enqueue_leaf(&mut self, node: u32) {
        if node != NONE && self.nodes.set(node) != EMPTY && self.nodes.is_leaf(node) {
            self.enqueue(node);
        }
    }

    pub(crate) fn enqueue(&mut self, node: u32) {
        if self.nodes.word(node) & QUEUED == 0 {
            self.nodes.flag(node, QUEUED, 0);
            self.queue.push_back(node);
        }
    }

    fn find_name(&self, name: u64) -> u32 {
        self.names.find(name_hash(name), |id| self.nodes.name(id) == name)
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

    /// Adds a path of blocks below a node that lacks its first, with names that nobody knows, in an index without aliases: what
    /// `grow` and `claim` would do block by block. Returns the last node.
    fn append(&mut self, slot: u32, parent: u32, names: &[u64], tokens: &[u64], hashes: &[u64]) -> u32 {
        let count = names.len() as u32;
        if count == 0 {
            return parent;
        }
        let set = self.sets.plus(EMPTY, slot);
        let (mut at, mut done) = (parent, 0);
        while done < names.len() {
            let (id, length) = self.nodes.take_run(at, &tokens[done..], &names[done..], set);
            self.branch(id, at);
            let nodes = &self.nodes;
            for (hash, id) in hashes[done..done + length].iter().zip(id..) {
                self.names.insert(*hash, id, |id| name_hash(nodes.name(id)));
            }
            at = id + length as u32 - 1;
            done += length;
        }
        self.sets.retain_times(set, count);
        self.slot_blocks[slot as usize] += count;
        self.blocks += count;
        at
    }

    /// Adds a child that does not exist yet, without name and owners.
    fn grow(&mut self, parent: u32, tokens: u64) -> u32 {
        let (id, reused) = self.nodes.take(parent, tokens);
        if reused {
            // Its old place in the queue is too early for it: a second chance puts it right.
            self.nodes.flag(id, TOUCHED, 0);
        }
        self.branch(id, parent);
        id
    }

    /// Makes a new child findable, unless it lies right behind its parent.
    fn branch(&mut self, id: u32, parent: u32) {
        if self.nodes.word(id) & CONTIGUOUS != 0 {
            return;
        }
        if parent != NONE {
            let count = self.nodes.branches(parent);
            self.nodes.set_branches(parent, count + 1);
        }
        let nodes = &self.nodes;
        let hash = branch_hash(parent, nodes.tokens(id));
        self.branches.insert(hash, id, |id| branch_hash(nodes.parent(id), nodes.tokens(id)));
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
            let leaf = self.prune(old);
            self.enqueue_leaf(leaf);
        }
    }

    #[inline]
    fn disclaim(&mut self, slot: u32, name: u64, node: u32) {
        if !self.aliases.is_empty() {
            self.aliases.remove(slot, name);
        }
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
