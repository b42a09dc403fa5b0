//! The index of which slot holds which prefix (semantics §3.2), and what its parts share: look-ups, pruning, removal.
//!
//! A node is one block under one parent. Where things are: owners (a slot's blocks of one tier, `owners`) in the node's
//! interned set (`sets`), children behind the parent or in the table `branches` (`nodes`), external hashes in the table
//! `names` or in `aliases`, the order of eviction in `queue` (`evict`). The operations: `store`, `find`, `clear` (`sweep`),
//! `dump`. Everything is exact: what `find` reports are the slots' contiguous prefixes, never an estimate.
//!
//! Choices where semantics §3.2 is silent:
//! - A block hash that a slot stores at a second place of a tier *moves* there: its claim on the old place ends.
//! - A slot that knows one block by two names owns it until both are removed.
//! - An invalid store (no blocks, a block hash twice, the parent among its own blocks, slot out of range) changes nothing.
//! - The parent of a store may be in any tier of the slot; in the store's own one if there.
//!
//! Cost of `remove`: one cache line of `names` a block; all look-ups run before the first change and overlap (`event`).

use std::collections::VecDeque;

use std::hint::black_box;

use crate::aliases::{ALIAS_COST_BYTES, Aliases};
use crate::dump::DumpState;
use crate::event::{Event, name_hash};
use crate::nodes::{ALIASED, CONTIGUOUS, NAMED, NODE_COST_BYTES, Nodes, QUEUED, SET_MASK};
use crate::owners::{Owners, TIERS};
use crate::sets::{EMPTY, Running, Sets};
use crate::sweep::Sweep;
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
    pub(crate) owners: Owners,
    pub(crate) sweep: Sweep,
    pub(crate) blocks: u32,
    pub(crate) capacity_bytes: usize,
    pub(crate) evicted: u64,
    pub(crate) dump: DumpState,
    pub(crate) running: Running,
    pub(crate) event: Event,
}

pub(crate) fn branch_hash(parent: u32, tokens: u64) -> u64 {
    mix(tokens ^ (u64::from(parent) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

impl Index {
    pub fn new(capacity_bytes: usize) -> Self {
        Self { capacity_bytes: capacity_bytes.clamp(MIN_CAPACITY_BYTES, MAX_CAPACITY_BYTES), ..Self::default() }
    }

    /// Blocks that at least one slot holds in at least one tier.
    pub fn blocks(&self) -> u32 {
        let dead = self.owners.dead();
        if dead.is_empty() { self.blocks } else { self.blocks - self.sets.only_in(dead) }
    }

    /// Blocks that a slot holds in one tier.
    pub fn slot_blocks(&self, slot: u32, tier: u32) -> u32 {
        if tier < TIERS { self.owners.blocks(self.owners.of(slot, tier)) } else { 0 }
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
            + self.owners.bytes()
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
            + self.owners.cost_bytes()
            + FLOOR_BYTES
    }

    /// `slot` no longer holds these in a tier. Returns how many it did not hold.
    pub fn remove(&mut self, slot: u32, tier: u32, names: &[u64]) -> u32 {
        let owner = if slot < MAX_SLOTS && tier < TIERS { self.owners.of(slot, tier) } else { NONE };
        if owner == NONE {
            return names.len() as u32;
        }
        let mut event = std::mem::take(&mut self.event);
        event.hash(names);
        event.look_up(names, 0, &self.names, &self.nodes);
        let mut missing = 0;
        // A new leaf waits a step: in a path that goes from its end, the next step takes it as well.
        let mut leaf = NONE;
        for (&name, &found) in names.iter().zip(&event.found) {
            let node = self.lookup_from(owner, name, found);
            if node == NONE {
                missing += 1;
                continue;
            }
            self.disclaim(owner, name, node);
            let next = self.prune(node);
            if next != NONE {
                self.enqueue_leaf(leaf);
                leaf = next;
            }
        }
        self.enqueue_leaf(leaf);
        self.event = event;
        self.sweep();
        missing
    }

    /// The child of `parent` (`NONE`: the root) with these tokens, or `NONE`.
    #[inline]
    pub(crate) fn child(&self, parent: u32, tokens: u64) -> u32 {
        self.child_met(parent, tokens, |_| ())
    }

    /// `child`, for a walk that goes on behind it for up to `blocks` places: what it will read there is asked for before the
    /// child itself has come, so that the cache misses of both are one.
    #[inline]
    pub(crate) fn child_to_follow(&self, parent: u32, tokens: u64, blocks: usize) -> u32 {
        self.child_met(parent, tokens, |id| {
            black_box(self.nodes.touch(id, blocks));
        })
    }

    /// `meet` sees the child; where it stands in the branch table, before it is known to be the one.
    #[inline(always)]
    fn child_met(&self, parent: u32, tokens: u64, meet: impl Fn(u32)) -> u32 {
        if parent != NONE {
            let next = self.nodes.next(parent);
            if next != NONE && self.nodes.tokens(next) == tokens {
                meet(next);
                return next;
            }
            if self.nodes.branches(parent) == 0 {
                return NONE;
            }
        }
        self.branches.find(branch_hash(parent, tokens), |id| {
            meet(id);
            self.nodes.tokens(id) == tokens && self.nodes.parent(id) == parent
        })
    }

    /// The name by which an owner holds `node`, if it does.
    pub(crate) fn name_of(&self, owner: u32, node: u32) -> Option<u64> {
        if owner == NONE || !self.sets.has(self.nodes.set(node), owner) {
            return None;
        }
        let alias = if self.nodes.word(node) & ALIASED != 0 { self.aliases.any_name(owner, node) } else { None };
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

    /// Ends an ownership of a node, all names of it being gone already.
    #[inline]
    pub(crate) fn drop_owner(&mut self, owner: u32, node: u32) {
        let from = self.nodes.set(node);
        let to = self.sets.minus(from, owner);
        self.nodes.replace_set(node, to);
        self.sets.retain(to);
        self.sets.release(from);
        self.owners.lose(owner);
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
    pub(crate) fn enqueue_leaf(&mut self, node: u32) {
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

    pub(crate) fn find_name(&self, name: u64) -> u32 {
        self.names.find(name_hash(name), |id| self.nodes.name(id) == name)
    }

    /// The node that an owner calls `name`, or `NONE`, with the answer of `find_name` at hand; that is checked, because
    /// changes since may have freed the node.
    #[inline]
    pub(crate) fn lookup_from(&self, owner: u32, name: u64, found: u32) -> u32 {
        let alias = self.aliases.node(owner, name);
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
        if !self.sets.has(word & SET_MASK, owner) {
            return NONE;
        }
        let by_alias = word & ALIASED != 0 && self.aliases.any_name(owner, node).is_some();
        if by_alias { NONE } else { node }
    }

    #[inline]
    fn disclaim(&mut self, owner: u32, name: u64, node: u32) {
        if !self.aliases.is_empty() {
            self.aliases.remove(owner, name);
        }
        let held = self.nodes.word(node) & ALIASED != 0 && self.aliases.any_name(owner, node).is_some();
        if !held {
            self.drop_owner(owner, node);
        }
    }
}
