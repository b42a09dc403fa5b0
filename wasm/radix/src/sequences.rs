//! What is in flight (semantics §1.5): which prompt blocks each slot is working on, counted, so that the cost of sending a
//! request somewhere can leave out the blocks that are active there already.
//!
//! A path-compressed trie over the prompts in flight (`runs`): a node is a run of local hashes, children are found by their
//! first hash, each node counts the requests that pass through it by slot. A request remembers the node where its prompt
//! ends. A salt other than 0 roots a request elsewhere (`assume_kv_reuse = false`): it shares only with the same salt.
//!
//! Invariants: a request is on one slot and ends exactly where its node ends; `slot_blocks` is the number of distinct blocks
//! (by path) of the slot's requests plus its requests' private output blocks.
//! Bounds: 16,384 slots, 33 million requests; at most two nodes a request. Memory is 8 bytes a distinct block (at most twice
//! that where a buffer has slack), about 100 bytes a node, 8 bytes for each slot of a node.
//! Cost: a memory comparison of what the prompt shares, a copy of what is new, and for each node on the path one table
//! look-up and a search among its slots. Ending a request touches its path's nodes, not its blocks. `drop_slot` looks at
//! every request.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::index::MAX_SLOTS;
use crate::runs::{Runs, root};
use crate::table::{MAX_IDS, NONE, mix};

/// Two nodes a request must have ids.
const MAX_REQUESTS: usize = MAX_IDS as usize / 2;

#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }
    fn write_u32(&mut self, id: u32) {
        self.0 = mix(u64::from(id));
    }
}

struct Request {
    slot: u32,
    private_blocks: u32,
    /// Where its prompt ends; `NONE` without blocks.
    node: u32,
}

#[derive(Default)]
pub struct Sequences {
    runs: Runs,
    requests: HashMap<u32, Request, BuildHasherDefault<IdHasher>>,
    slot_blocks: Vec<u64>,
}

impl Sequences {
    pub fn new() -> Self {
        Self::default()
    }

    /// A request starts on a slot. Returns how many of its blocks were not active there, or `None` when the request is
    /// known already, the slot out of range, or `MAX_REQUESTS` are in flight; nothing changes then.
    pub fn add(&mut self, request: u32, slot: u32, locals: &[u64], salt: u32) -> Option<u32> {
        if slot >= MAX_SLOTS || self.requests.len() >= MAX_REQUESTS || self.requests.contains_key(&request) {
            return None;
        }
        if self.slot_blocks.len() <= slot as usize {
            self.slot_blocks.resize(slot as usize + 1, 0);
        }
        let (node, newly) = self.runs.enter(slot, root(salt), locals);
        self.slot_blocks[slot as usize] += newly as u64;
        self.requests.insert(request, Request { slot, private_blocks: 0, node });
        Some(newly as u32)
    }

    /// (slot, depth) pairs: how many leading blocks of the prompt are active on each slot that has the first.
    pub fn potential(&self, locals: &[u64], out: &mut Vec<u32>) -> u32 {
        out.clear();
        self.runs.depths(root(0), locals, out);
        out.len() as u32 / 2
    }

    /// Adds private output blocks to a request. False when it is unknown.
    pub fn grow(&mut self, request: u32, blocks: u32) -> bool {
        let Some(entry) = self.requests.get_mut(&request) else { return false };
        let added = blocks.min(u32::MAX - entry.private_blocks);
        entry.private_blocks += added;
        self.slot_blocks[entry.slot as usize] += u64::from(added);
        true
    }

    /// Ends a request. False when it is unknown.
    pub fn free(&mut self, request: u32) -> bool {
        let Some(entry) = self.requests.remove(&request) else { return false };
        let mut ended = u64::from(entry.private_blocks);
        if entry.node != NONE {
            ended += self.runs.leave(entry.slot, entry.node) as u64;
        }
        self.slot_blocks[entry.slot as usize] -= ended;
        true
    }

    /// Ends all requests of a slot. Returns how many there were.
    pub fn drop_slot(&mut self, slot: u32) -> u32 {
        let ids: Vec<u32> = self.requests.iter().filter(|(_, r)| r.slot == slot).map(|(id, _)| *id).collect();
        for id in &ids {
            self.free(*id);
        }
        ids.len() as u32
    }

    /// Distinct prompt blocks and private output blocks active on a slot; at most 2^32 − 1.
    pub fn active_blocks(&self, slot: u32) -> u32 {
        let blocks = self.slot_blocks.get(slot as usize).copied().unwrap_or(0);
        blocks.min(u64::from(u32::MAX)) as u32
    }

    pub fn requests(&self) -> u32 {
        self.requests.len() as u32
    }

    /// Nodes of the trie: at most two a request.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }
}
