//! Dump of what one slot holds in one tier, in pieces, as stores that rebuild it: parents first.
//!
//! Format, in 64-bit words, repeated: a header `count | has_parent << 32`, the parent's block hash if it has one, `count`
//! block hashes, `count` token hashes. Behind the header that is the input of a store, so no value is reserved.
//!
//! Tiers are loaded from the device on: a block's parent is in the same dump or in that of a tier before it. What lies
//! behind a removed block cannot be expressed as a store and is not dumped. The cursor is one more than the next node id; the state beside it (two bits an id: decided, dumped) belongs to one dump at a
//! time and starts anew with cursor 0. The index may change between pieces: each piece tells the truth of its moment, and
//! replaying the events since the dump began on top of it gives the exact state.
//! Cost: a scan over the owner words, and a look at each block's parent.

use crate::index::Index;
use crate::owners::TIERS;
use crate::sets::EMPTY;
use crate::table::NONE;

/// The cursor after the last piece.
pub const DONE: u32 = u32::MAX;

#[derive(Default)]
pub struct DumpState {
    slot: u32,
    tier: u32,
    cursor: u32,
    decided: Vec<u64>,
    dumped: Vec<u64>,
}

impl DumpState {
    /// Never 0 while a dump goes on: that would start it anew.
    pub fn cursor(&self) -> u32 {
        self.cursor.saturating_add(1)
    }

    pub fn bytes(&self) -> usize {
        (self.decided.capacity() + self.dumped.capacity()) * 8
    }

    fn start(&mut self, slot: u32, tier: u32, places: u32) {
        let words = places as usize / 64 + 1;
        *self = Self { slot, tier, cursor: 0, decided: vec![0; words], dumped: vec![0; words] };
    }

    fn is_decided(&self, id: u32) -> bool {
        bit(&self.decided, id)
    }
}

fn bit(bits: &[u64], id: u32) -> bool {
    bits.get(id as usize >> 6).is_some_and(|word| word >> (id & 63) & 1 == 1)
}

fn set_bit(bits: &mut [u64], id: u32) {
    if let Some(word) = bits.get_mut(id as usize >> 6) {
        *word |= 1 << (id & 63);
    }
}

struct Run {
    parent: Option<u64>,
    names: Vec<u64>,
    tokens: Vec<u64>,
    last: u32,
}

impl Run {
    fn flush(&mut self, out: &mut Vec<u64>) {
        if self.names.is_empty() {
            return;
        }
        out.push(self.names.len() as u64 | u64::from(self.parent.is_some()) << 32);
        out.extend(self.parent);
        out.append(&mut self.names);
        out.append(&mut self.tokens);
    }
}

impl Index {
    /// Writes stores of at most `max_blocks` blocks in all to `out`, from `cursor` (0 or what the last piece left) on.
    /// Returns the number of blocks. A cursor that belongs to another dump ends at once, with nothing.
    pub fn dump(&mut self, slot: u32, tier: u32, cursor: u32, max_blocks: u32, out: &mut Vec<u64>) -> u32 {
        out.clear();
        let mut state = std::mem::take(&mut self.dump);
        if cursor == 0 {
            state.start(slot, tier, self.nodes.places());
        } else if cursor != state.cursor() || slot != state.slot || tier != state.tier {
            state.cursor = DONE;
        }
        let mut run = Run { parent: None, names: Vec::new(), tokens: Vec::new(), last: NONE };
        let mut chain = Vec::new();
        let owner = if tier < TIERS { self.owners.of(slot, tier) } else { NONE };
        let mut written = 0;
        let end = (state.decided.len() * 64).min(self.nodes.places() as usize) as u32;
        while state.cursor < end && written < max_blocks.max(1) {
            let id = state.cursor;
            if self.nodes.set(id) == EMPTY || state.is_decided(id) || self.name_of(owner, id).is_none() {
                state.cursor += 1;
                continue;
            }
            self.undecided_ancestors(owner, id, &state, &mut chain);
            for &node in chain.iter().rev() {
                if written >= max_blocks.max(1) {
                    break;
                }
                set_bit(&mut state.decided, node);
                if self.write(node, &state, &mut run, out) {
                    set_bit(&mut state.dumped, node);
                    written += 1;
                }
            }
        }
        run.flush(out);
        if state.cursor >= end {
            state.start(slot, tier, 0);
            state.cursor = DONE;
        }
        self.dump = state;
        written
    }

    /// `id` and those of its ancestors that the owner holds and that are not decided, deepest first.
    fn undecided_ancestors(&self, owner: u32, id: u32, state: &DumpState, chain: &mut Vec<u32>) {
        chain.clear();
        let mut node = id;
        while node != NONE && !state.is_decided(node) && self.name_of(owner, node).is_some() {
            chain.push(node);
            node = self.nodes.parent(node);
        }
    }

    /// Appends one block, if its parent was dumped (or is the root). Extends the run where it continues it.
    fn write(&self, node: u32, state: &DumpState, run: &mut Run, out: &mut Vec<u64>) -> bool {
        let parent = self.nodes.parent(node);
        let owner = self.owners.of(state.slot, state.tier);
        let own_name = if bit(&state.dumped, parent) { self.name_of(owner, parent) } else { None };
        let upper = |tier| self.name_of(self.owners.of(state.slot, tier), parent);
        let parent_name = match parent {
            NONE => None,
            _ => own_name.or_else(|| (0..state.tier).find_map(upper)),
        };
        let reachable = parent == NONE || parent_name.is_some();
        let (Some(name), true) = (self.name_of(owner, node), reachable) else { return false };
        if run.names.is_empty() || run.last != parent || parent == NONE {
            run.flush(out);
            run.parent = parent_name;
        }
        run.names.push(name);
        run.tokens.push(self.nodes.tokens(node));
        run.last = node;
        true
    }

    /// Stores what a dump wrote. Returns the number of blocks in stores that were accepted; malformed words end it.
    pub fn load(&mut self, slot: u32, tier: u32, words: &[u64]) -> u32 {
        let mut rest = words;
        let mut loaded = 0;
        while let Some((&header, body)) = rest.split_first() {
            let count = (header & u64::from(u32::MAX)) as usize;
            let has_parent = header >> 32 & 1;
            let length = has_parent as usize + 2 * count;
            if count == 0 || header >> 33 != 0 || body.len() < length {
                return loaded;
            }
            let (event, behind) = body.split_at(length);
            let (parent, blocks) = event.split_at(has_parent as usize);
            let (names, tokens) = blocks.split_at(count);
            let stored = self.store(slot, tier, parent.first().copied(), names, tokens);
            loaded += match stored {
                crate::index::Stored::New | crate::index::Stored::Duplicate => count as u32,
                _ => 0,
            };
            rest = behind;
        }
        loaded
    }
}
