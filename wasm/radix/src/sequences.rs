//! What is in flight (semantics §1.5): which prompt blocks each slot is working on, counted, so that the cost of sending a
//! request somewhere can leave out the blocks that are active there already.
//!
//! A prompt's local hashes are chained to sequence hashes here (§2.2); one node is one sequence hash (which stands for the
//! whole prefix), with the interned set of slots on which it is active and one counted hold per (node, slot). A salt other
//! than 0 makes a request's blocks private (`assume_kv_reuse = false`).
//!
//! Invariants: a request is on one slot; a hold's count is the number of requests on that slot that contain the block;
//! `active_blocks` is the number of holds of the slot plus its requests' private output blocks.
//! Bounds: 16,384 slots, 2^32 − 1 requests, nodes and holds; memory grows with what is in flight and is reused afterwards:
//! 12 + 8 bytes a distinct block and hold, four table entries (6 to 9 bytes each), 4 bytes for each block of each request.
//! Cost: `add` two table look-ups and one XXH3 of 16 bytes a block; `potential` one of each, and it stops at the first
//! block that is active nowhere; `drop_slot` looks at every request.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::index::MAX_SLOTS;
use crate::sets::{EMPTY, Running, Sets};
use crate::table::{NONE, Table, mix};

const SEED: u64 = 1337;

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

#[derive(Clone, Copy)]
struct Node {
    sequence: u64,
    set: u32,
}

#[derive(Clone, Copy)]
struct Hold {
    node: u32,
    slot: u32,
    count: u32,
}

struct Request {
    slot: u32,
    private_blocks: u32,
    holds: Box<[u32]>,
}

/// A vector whose places are reused.
struct Pool<T> {
    items: Vec<T>,
    unused: Vec<u32>,
}

impl<T> Pool<T> {
    const fn new() -> Self {
        Self { items: Vec::new(), unused: Vec::new() }
    }

    fn put(&mut self, item: T) -> u32 {
        match self.unused.pop() {
            Some(id) => {
                self.items[id as usize] = item;
                id
            }
            None => {
                self.items.push(item);
                self.items.len() as u32 - 1
            }
        }
    }
}

pub struct Sequences {
    nodes: Pool<Node>,
    holds: Pool<Hold>,
    by_sequence: Table,
    by_holder: Table,
    sets: Sets,
    requests: HashMap<u32, Request, BuildHasherDefault<IdHasher>>,
    slot_blocks: Vec<u32>,
    running: Running,
}

/// The chain of semantics §2.2, step by step; a salt separates it from every other chain.
struct Chain {
    previous: Option<u64>,
}

impl Chain {
    fn new(salt: u32) -> Self {
        Self { previous: (salt != 0).then(|| mix(u64::from(salt) ^ 0x5354_4154_4F52_0000)) }
    }

    #[inline(always)]
    fn next(&mut self, local: u64) -> u64 {
        let sequence = match self.previous {
            None => local,
            Some(previous) => {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&previous.to_le_bytes());
                bytes[8..].copy_from_slice(&local.to_le_bytes());
                xxh3_64_with_seed(&bytes, SEED)
            }
        };
        self.previous = Some(sequence);
        sequence
    }
}

fn holder_hash(node: u32, slot: u32) -> u64 {
    mix(u64::from(node) << 32 | u64::from(slot))
}

impl Default for Sequences {
    fn default() -> Self {
        Self::new()
    }
}

impl Sequences {
    pub fn new() -> Self {
        Self {
            nodes: Pool::new(),
            holds: Pool::new(),
            by_sequence: Table::new(),
            by_holder: Table::new(),
            sets: Sets::new(),
            requests: HashMap::default(),
            slot_blocks: Vec::new(),
            running: Running::default(),
        }
    }

    /// A request starts on a slot. Returns how many of its blocks were not active there, or `None` when the request is
    /// known already or the slot out of range; nothing changes then.
    pub fn add(&mut self, request: u32, slot: u32, locals: &[u64], salt: u32) -> Option<u32> {
        if slot >= MAX_SLOTS || self.requests.contains_key(&request) {
            return None;
        }
        if self.slot_blocks.len() <= slot as usize {
            self.slot_blocks.resize(slot as usize + 1, 0);
        }
        let mut chain = Chain::new(salt);
        let mut newly = 0;
        let mut holds = Vec::with_capacity(locals.len());
        for &local in locals {
            let node = self.node(chain.next(local));
            let (hold, new) = self.hold(node, slot);
            newly += u32::from(new);
            holds.push(hold);
        }
        self.slot_blocks[slot as usize] += newly;
        self.requests.insert(request, Request { slot, private_blocks: 0, holds: holds.into_boxed_slice() });
        Some(newly)
    }

    /// (slot, depth) pairs: how many leading blocks of the prompt are active on each slot that has the first.
    pub fn potential(&mut self, locals: &[u64], out: &mut Vec<u32>) -> u32 {
        out.clear();
        let mut chain = Chain::new(0);
        let mut running = std::mem::take(&mut self.running);
        let mut depth = 0;
        for &local in locals {
            let sequence = chain.next(local);
            let node = self.by_sequence.find(mix(sequence), |id| self.nodes.items[id as usize].sequence == sequence);
            if node == NONE {
                break;
            }
            let set = self.nodes.items[node as usize].set;
            if depth == 0 {
                running.start(&self.sets, set);
            } else if set != running.set() && !running.meet(&self.sets, set, depth, out) {
                break;
            }
            depth += 1;
        }
        if depth > 0 {
            running.finish(depth, out);
        }
        self.running = running;
        out.len() as u32 / 2
    }

    /// Adds private output blocks to a request. False when it is unknown.
    pub fn grow(&mut self, request: u32, blocks: u32) -> bool {
        let Some(entry) = self.requests.get_mut(&request) else { return false };
        let total = &mut self.slot_blocks[entry.slot as usize];
        let added = blocks.min(u32::MAX - *total).min(u32::MAX - entry.private_blocks);
        entry.private_blocks += added;
        *total += added;
        true
    }

    /// Ends a request. False when it is unknown.
    pub fn free(&mut self, request: u32) -> bool {
        let Some(entry) = self.requests.remove(&request) else { return false };
        let mut ended = entry.private_blocks;
        for &hold in &entry.holds {
            ended += u32::from(self.release(hold));
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

    /// Distinct prompt blocks and private output blocks active on a slot.
    pub fn active_blocks(&self, slot: u32) -> u32 {
        self.slot_blocks.get(slot as usize).copied().unwrap_or(0)
    }

    pub fn requests(&self) -> u32 {
        self.requests.len() as u32
    }

    fn node(&mut self, sequence: u64) -> u32 {
        let nodes = &mut self.nodes;
        let found = self.by_sequence.find(mix(sequence), |id| nodes.items[id as usize].sequence == sequence);
        if found != NONE {
            return found;
        }
        let id = nodes.put(Node { sequence, set: EMPTY });
        self.by_sequence.insert(mix(sequence), id, |id| mix(nodes.items[id as usize].sequence));
        id
    }

    /// Counts one more hold of a node by a slot. Returns the hold and whether it is new.
    fn hold(&mut self, node: u32, slot: u32) -> (u32, bool) {
        let holds = &mut self.holds;
        let found = self.by_holder.find(holder_hash(node, slot), |id| {
            let hold = &holds.items[id as usize];
            hold.node == node && hold.slot == slot
        });
        if found != NONE {
            holds.items[found as usize].count += 1;
            return (found, false);
        }
        let id = holds.put(Hold { node, slot, count: 1 });
        self.by_holder.insert(holder_hash(node, slot), id, |id| {
            let hold = &holds.items[id as usize];
            holder_hash(hold.node, hold.slot)
        });
        let from = self.nodes.items[node as usize].set;
        let to = self.sets.plus(from, slot);
        self.sets.retain(to);
        self.sets.release(from);
        self.nodes.items[node as usize].set = to;
        (id, true)
    }

    /// Counts one hold less. Returns whether it ended.
    fn release(&mut self, id: u32) -> bool {
        let hold = &mut self.holds.items[id as usize];
        hold.count -= 1;
        if hold.count > 0 {
            return false;
        }
        let (node, slot) = (hold.node, hold.slot);
        self.by_holder.remove(holder_hash(node, slot), id);
        self.holds.unused.push(id);
        let entry = &mut self.nodes.items[node as usize];
        let from = entry.set;
        let to = self.sets.minus(from, slot);
        entry.set = to;
        let sequence = entry.sequence;
        self.sets.retain(to);
        self.sets.release(from);
        if to == EMPTY {
            self.by_sequence.remove(mix(sequence), node);
            self.nodes.unused.push(node);
        }
        true
    }
}
