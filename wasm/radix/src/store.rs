//! Storing a path of blocks.
//!
//! Half of what engines store, others have stored before. So a store first follows its path as far as the blocks there have
//! the names that it brings: where a node's own name is in the table of names, no other node has it, and nothing needs to
//! be looked up. That part is a scan over three columns and one change of owners for each stretch of equal ones. Of the rest
//! every name is looked up, which is a cache miss each, all before the first change, so that they overlap (`event`); new
//! blocks behind the last known one are filled in by column (`append`). The parent is most often the block that the
//! same owner stored last, and then costs no look-up either.

use crate::event::Event;
use crate::event::name_hash;
use crate::index::{Index, MAX_SLOTS, Stored, branch_hash};
use crate::nodes::{ALIASED, CONTIGUOUS, NAMED, QUEUED, SET_MASK, TOUCHED};
use crate::owners::TIERS;
use crate::sets::EMPTY;
use crate::table::NONE;

impl Index {
    /// `slot` now has `names[i]`, whose tokens hash to `tokens[i]`, in a tier, as a path below `parent` (or the root): a block
    /// that the slot has in any tier.
    pub fn store(&mut self, slot: u32, tier: u32, parent: Option<u64>, names: &[u64], tokens: &[u64]) -> Stored {
        if slot >= MAX_SLOTS || tier >= TIERS || names.is_empty() || names.len() != tokens.len() {
            return Stored::Invalid;
        }
        let before = parent.map_or(NONE, |name| self.parent_of(slot, tier, name));
        let lost = parent.is_some() && before == NONE;
        let mut event = std::mem::take(&mut self.event);
        let known = if lost { 0 } else { self.follow(before, names, tokens, &mut event) };
        let stored = if known < names.len() && event.is_invalid(parent, names) {
            Stored::Invalid
        } else if lost {
            Stored::ParentNotFound
        } else {
            let owner = self.owners.of_or_new(slot, tier);
            self.store_valid(owner, before, known, names, tokens, &mut event)
        };
        self.event = event;
        self.sweep();
        stored
    }

    fn store_valid(
        &mut self,
        owner: u32,
        before: u32,
        known: usize,
        names: &[u64],
        tokens: &[u64],
        event: &mut Event,
    ) -> Stored {
        let mut changed = false;
        let mut at = before;
        for &(first, count) in &event.stretches {
            changed |= self.join(owner, first, count);
            at = first + count - 1;
        }
        if known < names.len() {
            (at, changed) = self.store_rest(owner, at, changed, &names[known..], &tokens[known..], known, event);
        }
        self.owners.set_last(owner, at);
        self.settle(before, at);
        self.evict_to_budget();
        if changed { Stored::New } else { Stored::Duplicate }
    }

    /// The blocks from the first on that are not there by these names. Returns the last, and whether anything changed so far.
    #[allow(clippy::too_many_arguments)]
    fn store_rest(
        &mut self,
        owner: u32,
        mut at: u32,
        mut changed: bool,
        names: &[u64],
        tokens: &[u64],
        from: usize,
        event: &mut Event,
    ) -> (u32, bool) {
        event.look_up(names, from, &self.names, &self.nodes);
        let mut known = 0;
        while known < names.len() {
            let child = self.child(at, tokens[known]);
            if child == NONE {
                break;
            }
            changed |= self.claim(owner, names[known], child, event.found[known]);
            at = child;
            known += 1;
        }
        if known == names.len() {
            return (at, changed);
        }
        if self.aliases.is_empty() && event.found[known..].iter().all(|found| *found == NONE) {
            at = self.append(owner, at, &names[known..], &tokens[known..], &event.hashes[from + known..]);
        } else {
            for i in known..names.len() {
                at = self.grow(at, tokens[i]);
                self.claim(owner, names[i], at, event.found[i]);
            }
        }
        (at, true)
    }

    /// The node that a slot calls `name` in this tier, or else in another.
    fn parent_of(&self, slot: u32, tier: u32, name: u64) -> u32 {
        let own = self.owners.of(slot, tier);
        if own != NONE && self.aliases.is_empty() {
            let last = self.owners.last(own);
            if last != NONE && self.nodes.is_named(last, name) && self.sets.has(self.nodes.set(last), own) {
                return last;
            }
        }
        let found = self.find_name(name);
        let others = (0..TIERS).filter(|other| *other != tier).map(|other| self.owners.of(slot, other));
        std::iter::once(own)
            .chain(others)
            .filter(|owner| *owner != NONE)
            .map(|owner| self.lookup_from(owner, name, found))
            .find(|node| *node != NONE)
            .unwrap_or(NONE)
    }

    /// How many blocks of the path stand below `parent` by these very names; where is left in `event.stretches`.
    fn follow(&self, parent: u32, names: &[u64], tokens: &[u64], event: &mut Event) -> usize {
        event.stretches.clear();
        let (mut at, mut done) = (parent, 0);
        while done < names.len() && self.aliases.is_empty() {
            let first = self.child(at, tokens[done]);
            if first == NONE || !self.nodes.is_named(first, names[done]) {
                break;
            }
            let count = 1 + self.nodes.named_stretch(first, &tokens[done + 1..], &names[done + 1..]) as u32;
            event.stretches.push((first, count));
            at = first + count - 1;
            done += count as usize;
        }
        done
    }

    /// An owner now has a stretch of places in one group by their own names. Returns whether it lacked any.
    #[inline]
    fn join(&mut self, owner: u32, first: u32, count: u32) -> bool {
        let (mut id, end, mut gained) = (first, first + count, 0);
        while id < end {
            let from = self.nodes.set(id);
            let to = self.sets.plus(from, owner);
            let same = self.nodes.replace_while(id, end - id, from, to);
            if to != from {
                self.sets.retain_times(to, same);
                self.sets.release_times(from, same);
                gained += same;
            }
            id += same;
        }
        self.owners.gain(owner, gained);
        gained > 0
    }

    /// Adds a path of blocks below a node that lacks its first, with names that nobody knows, in an index without aliases: what
    /// `grow` and `claim` would do block by block. Returns the last node.
    fn append(&mut self, owner: u32, parent: u32, names: &[u64], tokens: &[u64], hashes: &[u64]) -> u32 {
        let count = names.len() as u32;
        let set = self.sets.plus(EMPTY, owner);
        let (mut at, mut done) = (parent, 0);
        while done < names.len() {
            let (id, length) = self.nodes.take_run(at, &tokens[done..], &names[done..], set);
            self.branch(id, at);
            for (hash, id) in hashes[done..done + length].iter().zip(id..) {
                self.names.insert(*hash, id);
            }
            at = id + length as u32 - 1;
            done += length;
        }
        self.sets.retain_times(set, count);
        self.owners.gain(owner, count);
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
        self.branches.insert(branch_hash(parent, self.nodes.tokens(id)), id);
    }

    /// Makes an owner hold `node` by `name`, and no other node by it. Returns whether anything changed.
    #[inline]
    fn claim(&mut self, owner: u32, name: u64, node: u32, found: u32) -> bool {
        let old = if found == NONE && self.aliases.is_empty() { NONE } else { self.lookup_from(owner, name, found) };
        if old == node {
            return false;
        }
        let word = self.nodes.word(node);
        let from = word & SET_MASK;
        let to = self.sets.plus(from, owner);
        if to == from {
            // It holds the block already, by another name.
            if self.aliases.any_name(owner, node).is_none() {
                self.aliases.add(owner, self.nodes.name(node), node);
                self.nodes.flag(node, ALIASED, 0);
            }
            self.drop_name(owner, name, old);
            self.aliases.add(owner, name, node);
        } else {
            self.drop_name(owner, name, old);
            self.name(owner, name, node, found);
            self.nodes.replace_set(node, to);
            self.sets.retain(to);
            self.sets.release(from);
            self.owners.gain(owner, 1);
            self.blocks += u32::from(from == EMPTY);
        }
        if old != NONE {
            self.after_drop(owner, old);
        }
        true
    }

    /// Records the first name of a node for an owner: in the node where that is possible, otherwise as an alias.
    #[inline]
    fn name(&mut self, owner: u32, name: u64, node: u32, found: u32) {
        if self.nodes.word(node) & NAMED != 0 {
            if self.nodes.name(node) == name {
                return;
            }
        } else if found == NONE || self.find_name(name) == NONE {
            self.nodes.set_name(node, name);
            self.nodes.flag(node, NAMED, 0);
            self.names.insert(name_hash(name), node);
            return;
        }
        self.aliases.add(owner, name, node);
        self.nodes.flag(node, ALIASED, 0);
    }

    /// Forgets that an owner calls `old` by `name`; `after_drop` then ends the ownership if that was the last name.
    fn drop_name(&mut self, owner: u32, name: u64, old: u32) {
        if old != NONE {
            self.aliases.remove(owner, name);
        }
    }

    fn after_drop(&mut self, owner: u32, old: u32) {
        let held = self.nodes.word(old) & ALIASED != 0 && self.aliases.any_name(owner, old).is_some();
        if !held {
            self.drop_owner(owner, old);
            let leaf = self.prune(old);
            self.enqueue_leaf(leaf);
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
