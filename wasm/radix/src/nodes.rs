//! The arena of the tree's nodes: groups of 64 in columns, so that a walk along a path reads two dense columns that share
//! a page, in chunks of 16 groups, so that growth never copies.
//!
//! Path compression is a matter of *placement*: a child is put at its parent's id + 1 whenever that place is free and is
//! then marked `CONTIGUOUS`; only other children stand in the branch table. A path of 128 blocks that was stored in one go
//! is thus one scan over 1 KiB of token hashes, and removing a block in its middle needs no split: every block still is
//! its own node with its own owners.
//!
//! Invariants: a free place has no flag but `QUEUED` and the empty set; ids are stable while the node lives.
//! Cost: 28 bytes a place and 1 bit. A new path starts at a wholly free group of 64 places where there is one (room to
//! grow in), then anywhere; chunks with fewer than 64 free places are revisited only for extension, so at most 1/16 of
//! the places lie idle besides those freed since the high-water mark.

use crate::table::NONE;

/// Flags in the upper bits of the set word.
pub const CONTIGUOUS: u32 = 1 << 31;
/// Its id stands in the eviction queue (true for free places as well).
pub const QUEUED: u32 = 1 << 30;
/// Matched or stored since it was last considered for eviction.
pub const TOUCHED: u32 = QUEUED >> 1;
/// Its `name` column stands in the table of names.
pub const NAMED: u32 = 1 << 28;
/// Some slot may know it by other names than `name`.
pub const ALIASED: u32 = 1 << 27;
pub const SET_MASK: u32 = ALIASED - 1;

const BITS: u32 = 10;
pub const CHUNK: usize = 1 << BITS;
const GROUP: usize = 64;
const ROOMY: u32 = 64;
/// Upper bound of a node's bytes, idle places included.
pub const NODE_COST_BYTES: usize = size_of::<Chunk>() / (CHUNK - ROOMY as usize) + 1;

pub struct Group {
    tokens: [u64; GROUP],
    set: [u32; GROUP],
    branches: [u32; GROUP],
    parent: [u32; GROUP],
    name: [u64; GROUP],
}

/// Compared at a time: what vector instructions do at once.
const LANES: usize = 8;

struct Chunk {
    groups: [Group; CHUNK / GROUP],
    free: [u64; CHUNK / GROUP],
    free_count: u32,
    listed: bool,
}

#[derive(Default)]
pub struct Nodes {
    chunks: Vec<Box<Chunk>>,
    roomy: Vec<u32>,
    live: u32,
}

#[inline(always)]
fn split(id: u32) -> (usize, usize, usize) {
    ((id >> BITS) as usize, (id >> 6) as usize & 15, (id & 63) as usize)
}

macro_rules! column {
    ($get:ident, $set:ident, $type:ty, $column:ident) => {
        #[inline(always)]
        pub fn $get(&self, id: u32) -> $type {
            let (chunk, group, at) = split(id);
            self.chunks[chunk].groups[group].$column[at]
        }
        #[inline(always)]
        pub fn $set(&mut self, id: u32, value: $type) {
            let (chunk, group, at) = split(id);
            self.chunks[chunk].groups[group].$column[at] = value;
        }
    };
}

impl Nodes {
    column!(tokens, set_tokens, u64, tokens);
    column!(name, set_name, u64, name);
    column!(word, set_word, u32, set);
    column!(parent, set_parent, u32, parent);
    column!(branches, set_branches, u32, branches);

    pub fn live(&self) -> u32 {
        self.live
    }

    /// Ids are below this.
    pub fn places(&self) -> u32 {
        (self.chunks.len() * CHUNK) as u32
    }

    pub fn bytes(&self) -> usize {
        self.chunks.len() * size_of::<Chunk>() + self.chunks.capacity() * 8 + self.roomy.capacity() * 4
    }

    #[inline(always)]
    fn group_of(&self, id: u32) -> (&Group, usize) {
        let (chunk, group, at) = split(id);
        (&self.chunks[chunk].groups[group], at)
    }

    /// The owner set of a node.
    #[inline(always)]
    pub fn set(&self, id: u32) -> u32 {
        self.word(id) & SET_MASK
    }

    #[inline(always)]
    pub fn flag(&mut self, id: u32, on: u32, off: u32) {
        let (chunk, group, at) = split(id);
        let word = &mut self.chunks[chunk].groups[group].set[at];
        *word = *word & !off | on;
    }

    #[inline(always)]
    pub fn replace_set(&mut self, id: u32, set: u32) {
        let (chunk, group, at) = split(id);
        let word = &mut self.chunks[chunk].groups[group].set[at];
        *word = *word & !SET_MASK | set;
    }

    /// The child that was placed right behind `id`, or `NONE`.
    #[inline(always)]
    pub fn next(&self, id: u32) -> u32 {
        let (chunk, group, at) = split(id + 1);
        match self.chunks.get(chunk) {
            Some(chunk) if chunk.groups[group].set[at] & CONTIGUOUS != 0 => id + 1,
            _ => NONE,
        }
    }

    /// Whether the table of names has this node under `name`: then no other node is there under it.
    #[inline(always)]
    pub fn is_named(&self, id: u32, name: u64) -> bool {
        let (group, at) = self.group_of(id);
        group.set[at] & NAMED != 0 && group.name[at] == name
    }

    /// Reads a word of each line that `stretch` will read, so that all the cache misses of a stretch overlap. The value means
    /// nothing.
    #[inline]
    pub fn touch(&self, id: u32, blocks: usize) -> u64 {
        let (group, at) = self.group_of(id);
        let end = (at + blocks).min(GROUP);
        let tokens = (at..end).step_by(8).fold(0, |all, i| all ^ group.tokens[i]);
        (at..end).step_by(16).fold(tokens, |all, i| all ^ u64::from(group.set[i]))
    }

    /// How many of the places right behind `id`, in its group, have these tokens and `want` under `mask` in their set word.
    #[inline]
    pub fn stretch(&self, id: u32, mask: u32, want: u32, tokens: &[u64]) -> usize {
        let (group, at) = self.group_of(id);
        let (theirs, words) = (&group.tokens[at + 1..], &group.set[at + 1..]);
        let length = theirs.len().min(tokens.len());
        let (theirs, words, tokens) = (&theirs[..length], &words[..length], &tokens[..length]);
        let mut equal = 0;
        for ((a, b), w) in theirs.as_chunks::<LANES>().0.iter().zip(tokens.as_chunks::<LANES>().0).zip(words.as_chunks::<LANES>().0) {
            let tokens_differ = (0..LANES).fold(0, |bits, i| bits | (a[i] ^ b[i]));
            let words_differ = (0..LANES).fold(0, |bits, i| bits | (w[i] & mask ^ want));
            if tokens_differ != 0 || words_differ != 0 {
                break;
            }
            equal += LANES;
        }
        let same = |i: &usize| theirs[*i] == tokens[*i] && words[*i] & mask == want;
        equal + (equal..length).take_while(same).count()
    }

    /// How many of the places right behind `id`, in its group, continue the path by these tokens and names.
    #[inline]
    pub fn named_stretch(&self, id: u32, tokens: &[u64], names: &[u64]) -> usize {
        let length = self.stretch(id, CONTIGUOUS | NAMED, CONTIGUOUS | NAMED, tokens);
        let (group, at) = self.group_of(id);
        group.name[at + 1..][..length].iter().zip(names).take_while(|(a, b)| a == b).count()
    }

    /// Gives the owner set `to` to the places from `id` on, in its group, that have `from`; at most `max`. Returns how many.
    #[inline]
    pub fn replace_while(&mut self, id: u32, max: u32, from: u32, to: u32) -> u32 {
        let (chunk, group, at) = split(id);
        let words = &mut self.chunks[chunk].groups[group].set[at..];
        let same = words.iter().take(max as usize).take_while(|word| **word & SET_MASK == from).count();
        if from != to {
            for word in &mut words[..same] {
                *word = *word & !SET_MASK | to;
            }
        }
        same as u32
    }

    #[inline]
    pub fn is_leaf(&self, id: u32) -> bool {
        self.branches(id) == 0 && self.next(id) == NONE
    }

    pub fn is_live(&self, id: u32) -> bool {
        let (chunk, group, at) = split(id);
        self.chunks.get(chunk).is_some_and(|chunk| chunk.free[group] >> at & 1 == 0)
    }

    /// Takes a place for a child of `parent` (`NONE`: the root): right behind it if that is free. The caller fills it.
    /// Returns the id and whether it was reused while its old entry still stands in the eviction queue.
    pub fn take(&mut self, parent: u32, tokens: u64) -> (u32, bool) {
        let (id, contiguous) = self.choose(parent);
        let (chunk, group, at) = split(id);
        let chunk = &mut self.chunks[chunk];
        chunk.free[group] &= !(1 << at);
        chunk.free_count -= 1;
        let group = &mut chunk.groups[group];
        group.tokens[at] = tokens;
        group.parent[at] = parent;
        group.branches[at] = 0;
        let queued = group.set[at] & QUEUED;
        group.set[at] = queued | if contiguous { CONTIGUOUS } else { 0 };
        self.live += 1;
        (id, queued != 0)
    }

    /// Takes places for a path below `parent`, as many as lie free in a row in one group, and fills them: named, owned by
    /// `set`. Returns the first id and how many. Places that still stand in the eviction queue count as touched.
    pub fn take_run(&mut self, parent: u32, tokens: &[u64], names: &[u64], set: u32) -> (u32, usize) {
        let (id, contiguous) = self.choose(parent);
        let (chunk, group, at) = split(id);
        let chunk = &mut self.chunks[chunk];
        let length = ((chunk.free[group] >> at).trailing_ones() as usize).min(tokens.len());
        let end = at + length;
        chunk.free[group] &= !(u64::MAX >> (64 - length) << at);
        chunk.free_count -= length as u32;
        let group = &mut chunk.groups[group];
        group.tokens[at..end].copy_from_slice(&tokens[..length]);
        group.name[at..end].copy_from_slice(&names[..length]);
        group.branches[at..end].fill(0);
        for (i, place) in group.parent[at..end].iter_mut().enumerate() {
            *place = (id + i as u32).wrapping_sub(1);
        }
        group.parent[at] = parent;
        for word in &mut group.set[at..end] {
            let queued = *word & QUEUED;
            *word = set | NAMED | CONTIGUOUS | queued | queued >> 1;
        }
        if !contiguous {
            group.set[at] &= !CONTIGUOUS;
        }
        self.live += length as u32;
        (id, length)
    }

    /// Gives a place back. Its set must be empty, its table entries gone.
    pub fn free(&mut self, id: u32) {
        let (index, group, at) = split(id);
        let chunk = &mut self.chunks[index];
        chunk.groups[group].set[at] &= QUEUED;
        chunk.free[group] |= 1 << at;
        chunk.free_count += 1;
        self.live -= 1;
        if chunk.free_count >= ROOMY && !chunk.listed {
            chunk.listed = true;
            self.roomy.push(index as u32);
        }
    }

    fn choose(&mut self, parent: u32) -> (u32, bool) {
        if parent != NONE {
            let (chunk, group, at) = split(parent + 1);
            match self.chunks.get(chunk) {
                Some(chunk) if chunk.free[group] >> at & 1 == 1 => return (parent + 1, true),
                None if self.roomy.is_empty() => {
                    self.push_chunk();
                    return (parent + 1, true);
                }
                _ => {}
            }
        }
        loop {
            let Some(&index) = self.roomy.last() else {
                self.push_chunk();
                continue;
            };
            let chunk = &mut self.chunks[index as usize];
            if chunk.free_count == 0 {
                chunk.listed = false;
                self.roomy.pop();
                continue;
            }
            let free = &chunk.free;
            let word = free.iter().position(|bits| *bits == u64::MAX).or_else(|| free.iter().position(|bits| *bits != 0));
            if let Some(word) = word {
                let id = (index << BITS) + word as u32 * 64 + chunk.free[word].trailing_zeros();
                return (id, parent != NONE && id == parent + 1);
            }
        }
    }

    fn push_chunk(&mut self) {
        self.roomy.push(self.chunks.len() as u32);
        // SAFETY: all zero is a value of every field; in the columns it means no flags and the empty set.
        let mut chunk = unsafe { Box::<Chunk>::new_zeroed().assume_init() };
        chunk.free = [u64::MAX; CHUNK / GROUP];
        chunk.free_count = CHUNK as u32;
        chunk.listed = true;
        self.chunks.push(chunk);
    }
}
