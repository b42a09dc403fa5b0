//! Eviction: past the byte budget the leaves that were not matched for longest go, with all their owners.
//!
//! How: a queue of leaves in order of their last turn, each with one bit "touched since" (set by a match or a repeated store): CLOCK,
//! that is FIFO with a second chance. A match costs no more than setting that bit in a word that it has read anyway. Only
//! the deepest matched block is touched; its ancestors cannot be evicted before it. When a leaf goes, its parent is next
//! unless it was touched itself.
//!
//! Invariants: every leaf stands in the queue (`QUEUED` says so, also for places freed meanwhile); entries that are no
//! leaves any more are dropped when their turn comes. At most `CHANCES` second chances are given per evicted leaf, so
//! a store can never stall on a fully touched queue.

use crate::index::Index;
use crate::nodes::{ALIASED, QUEUED, TOUCHED};
use crate::sets::EMPTY;
use crate::table::NONE;

const CHANCES: u32 = 512;

impl Index {
    pub(crate) fn evict_to_budget(&mut self) {
        let mut chances = CHANCES;
        if self.cost_bytes() > self.capacity_bytes {
            self.sweep();
        }
        while self.cost_bytes() > self.capacity_bytes {
            let Some(node) = self.queue.pop_front() else { return };
            self.nodes.flag(node, 0, QUEUED);
            if !self.nodes.is_live(node) || !self.nodes.is_leaf(node) {
                continue;
            }
            if chances > 0 && self.nodes.word(node) & TOUCHED != 0 {
                chances -= 1;
                self.nodes.flag(node, 0, TOUCHED);
                self.enqueue(node);
                continue;
            }
            chances = CHANCES;
            self.evict_from(node);
        }
    }

    /// Evicts a leaf and then its ancestors as they become leaves, while the budget asks for it.
    fn evict_from(&mut self, leaf: u32) {
        let mut node = leaf;
        loop {
            self.forget(node);
            let parent = self.unhook(node);
            if parent == NONE || !self.nodes.is_leaf(parent) {
                return;
            }
            node = parent;
            if self.nodes.set(node) == EMPTY {
                continue;
            }
            let word = self.nodes.word(node);
            if word & QUEUED != 0 {
                return;
            }
            if word & TOUCHED != 0 {
                self.nodes.flag(node, 0, TOUCHED);
                self.enqueue(node);
                return;
            }
            if self.cost_bytes() <= self.capacity_bytes {
                self.nodes.flag(node, QUEUED, 0);
                self.queue.push_front(node);
                return;
            }
        }
    }

    /// Ends all ownership of a node.
    fn forget(&mut self, node: u32) {
        let set = self.nodes.set(node);
        if set == EMPTY {
            return;
        }
        let aliased = self.nodes.word(node) & ALIASED != 0;
        for owner in self.sets.members(set) {
            self.owners.lose(owner);
            if aliased {
                self.aliases.remove_node(owner, node);
            }
        }
        self.unname(node);
        self.nodes.replace_set(node, EMPTY);
        self.sets.release(set);
        self.blocks -= 1;
        self.evicted += 1;
    }
}
