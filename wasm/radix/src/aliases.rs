//! The second names of blocks: what a slot calls a block when the block's own `name` column says something else.
//!
//! Why: an external hash is an engine's private id (semantics §2.3). Where workers agree on it, which is the rule, the node's
//! `name` column serves all of them; where they do not, or one worker knows a block by two names, the pair stands here.
//!
//! Invariant: when a slot has any alias on a node, *all* its names of that node are aliases (the one equal to the column
//! too), so "holds it by the column" and "holds it by alias" never mix. Cost: 16 bytes a record and two table entries.

use crate::table::{ENTRY_COST_BYTES, NONE, Table, mix};

pub const ALIAS_COST_BYTES: usize = 2 * size_of::<Alias>() + 2 * ENTRY_COST_BYTES;

#[derive(Clone, Copy)]
struct Alias {
    name: u64,
    slot: u32,
    node: u32,
}

#[derive(Default)]
pub struct Aliases {
    records: Vec<Alias>,
    unused: Vec<u32>,
    by_name: Table,
    by_node: Table,
}

fn name_hash(slot: u32, name: u64) -> u64 {
    mix(name ^ (u64::from(slot) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn node_hash(slot: u32, node: u32) -> u64 {
    mix(u64::from(slot) << 32 | u64::from(node))
}

impl Aliases {
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn bytes(&self) -> usize {
        self.records.capacity() * size_of::<Alias>()
            + self.unused.capacity() * 4
            + self.by_name.bytes()
            + self.by_node.bytes()
    }

    /// The node that `slot` calls `name`, or `NONE`.
    pub fn node(&self, slot: u32, name: u64) -> u32 {
        if self.is_empty() {
            return NONE;
        }
        let record = self.record(slot, name);
        if record == NONE { NONE } else { self.records[record as usize].node }
    }

    /// One of the names that `slot` has for `node`.
    pub fn any_name(&self, slot: u32, node: u32) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        let records = &self.records;
        let found = self.by_node.find(node_hash(slot, node), |id| {
            let record = &records[id as usize];
            record.node == node && record.slot == slot
        });
        (found != NONE).then(|| records[found as usize].name)
    }

    pub fn add(&mut self, slot: u32, name: u64, node: u32) {
        let record = Alias { name, slot, node };
        let id = match self.unused.pop() {
            Some(id) => {
                self.records[id as usize] = record;
                id
            }
            None => {
                self.records.push(record);
                self.records.len() as u32 - 1
            }
        };
        self.by_name.insert(name_hash(slot, name), id);
        self.by_node.insert(node_hash(slot, node), id);
    }

    /// Forgets one name. Returns whether it was there.
    pub fn remove(&mut self, slot: u32, name: u64) -> bool {
        if self.is_empty() {
            return false;
        }
        let id = self.record(slot, name);
        if id == NONE {
            return false;
        }
        let node = self.records[id as usize].node;
        self.by_name.remove(name_hash(slot, name), id);
        self.by_node.remove(node_hash(slot, node), id);
        self.unused.push(id);
        true
    }

    /// Forgets all names that `slot` has for `node`.
    pub fn remove_node(&mut self, slot: u32, node: u32) {
        while let Some(name) = self.any_name(slot, node) {
            self.remove(slot, name);
        }
    }

    fn record(&self, slot: u32, name: u64) -> u32 {
        let records = &self.records;
        self.by_name.find(name_hash(slot, name), |id| {
            let record = &records[id as usize];
            record.name == name && record.slot == slot
        })
    }
}
