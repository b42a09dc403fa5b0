//! Sets of owners, each distinct set kept once and counted.
//!
//! Why: along a prefix almost all blocks have the same owners, so a node stores a 4-byte set id, a walk compares ids, and
//! only where the id changes does it look at members. Owners 0 to 63 are one inline word, higher ones spill into further
//! words (a set costs 40 bytes plus 8 for every 64 owners up to its highest member).
//!
//! Invariants: set 0 is empty and never freed; equal sets have equal ids; spill words end with a non-zero word.
//! `plus` and `minus` do not count: whoever stores the id calls `retain`, whoever overwrites it `release`.

use crate::table::{ENTRY_COST_BYTES, NONE, Table, mix};

pub const EMPTY: u32 = 0;

struct Set {
    mask: u64,
    spill: Box<[u64]>,
    refs: u32,
}

impl Set {
    fn has(&self, slot: u32) -> bool {
        let word = (slot >> 6) as usize;
        let bits = if word == 0 { self.mask } else { self.spill.get(word - 1).copied().unwrap_or(0) };
        bits >> (slot & 63) & 1 == 1
    }
}

/// The last answer of `plus` or `minus`: consecutive blocks ask the same question.
#[derive(Clone, Copy)]
struct Memo {
    from: u32,
    slot: u32,
    to: u32,
}

const NO_MEMO: Memo = Memo { from: NONE, slot: NONE, to: NONE };

pub struct Sets {
    sets: Vec<Set>,
    unused: Vec<u32>,
    by_members: Table,
    plus: Memo,
    minus: Memo,
    without: Memo,
    spill_bytes: usize,
    scratch: Vec<u64>,
}

fn hash_of(mask: u64, spill: &[u64]) -> u64 {
    spill.iter().fold(mix(mask), |hash, word| mix(hash.rotate_left(17) ^ word))
}

impl Default for Sets {
    fn default() -> Self {
        Self::new()
    }
}

impl Sets {
    pub fn new() -> Self {
        let mut by_members = Table::new();
        by_members.insert(hash_of(0, &[]), EMPTY);
        Self {
            sets: vec![Set { mask: 0, spill: Box::new([]), refs: 1 }],
            unused: Vec::new(),
            by_members,
            plus: NO_MEMO,
            minus: NO_MEMO,
            without: NO_MEMO,
            spill_bytes: 0,
            scratch: Vec::new(),
        }
    }

    #[inline]
    pub fn has(&self, set: u32, slot: u32) -> bool {
        self.sets[set as usize].has(slot)
    }

    #[inline]
    pub fn retain(&mut self, set: u32) {
        self.retain_times(set, 1);
    }

    #[inline]
    pub fn retain_times(&mut self, set: u32, times: u32) {
        if set != EMPTY {
            self.sets[set as usize].refs += times;
        }
    }

    #[inline]
    pub fn release(&mut self, set: u32) {
        self.release_times(set, 1);
    }

    #[inline]
    pub fn release_times(&mut self, set: u32, times: u32) {
        if set == EMPTY {
            return;
        }
        let entry = &mut self.sets[set as usize];
        entry.refs -= times;
        if entry.refs == 0 {
            self.free(set);
        }
    }

    /// The set with `slot` added; the same id when it was a member.
    #[inline]
    pub fn plus(&mut self, set: u32, slot: u32) -> u32 {
        if self.plus.from == set && self.plus.slot == slot {
            return self.plus.to;
        }
        let to = if self.has(set, slot) { set } else { self.toggled(set, slot) };
        self.plus = Memo { from: set, slot, to };
        to
    }

    /// The set without `slot`; the same id when it was no member.
    #[inline]
    pub fn minus(&mut self, set: u32, slot: u32) -> u32 {
        if self.minus.from == set && self.minus.slot == slot {
            return self.minus.to;
        }
        let to = if self.has(set, slot) { self.toggled(set, slot) } else { set };
        self.minus = Memo { from: set, slot, to };
        to
    }

    /// The set without the members in `mask`; the same id when it has none of them. The mask is the same from one
    /// `mask_changed` to the next.
    pub fn without(&mut self, set: u32, mask: &[u64]) -> u32 {
        if self.without.from == set {
            return self.without.to;
        }
        let word = |at: usize| mask.get(at).copied().unwrap_or(0);
        let mut words = std::mem::take(&mut self.scratch);
        words.clear();
        let entry = &self.sets[set as usize];
        let first = entry.mask & !word(0);
        words.extend(entry.spill.iter().enumerate().map(|(at, bits)| bits & !word(at + 1)));
        while words.last() == Some(&0) {
            words.pop();
        }
        let same = first == entry.mask && *words == *entry.spill;
        let to = if same { set } else { self.intern(first, &words) };
        self.scratch = words;
        self.without = Memo { from: set, slot: NONE, to };
        to
    }

    pub fn mask_changed(&mut self) {
        self.without = NO_MEMO;
    }

    pub fn members(&self, set: u32) -> Vec<u32> {
        let entry = &self.sets[set as usize];
        let mut members = Vec::new();
        for (word, bits) in std::iter::once(&entry.mask).chain(&entry.spill).enumerate() {
            each_bit(*bits, |bit| members.push(word as u32 * 64 + bit));
        }
        members
    }

    /// How many places have a set with no member outside `mask`.
    pub fn only_in(&self, mask: &[u64]) -> u32 {
        let word = |at: usize| mask.get(at).copied().unwrap_or(0);
        let inside = |set: &&Set| {
            set.mask & !word(0) == 0 && set.spill.iter().enumerate().all(|(at, bits)| bits & !word(at + 1) == 0)
        };
        self.sets.iter().skip(1).filter(inside).map(|set| set.refs).sum()
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        self.sets.capacity() * size_of::<Set>() + self.unused.capacity() * 4 + self.spill_bytes + self.by_members.bytes()
    }

    /// Upper bound of the bytes that the sets in use need.
    pub fn cost_bytes(&self) -> usize {
        (self.sets.len() - self.unused.len()) * (2 * size_of::<Set>() + 8 + ENTRY_COST_BYTES) + self.spill_bytes
    }

    fn toggled(&mut self, set: u32, slot: u32) -> u32 {
        let mut words = std::mem::take(&mut self.scratch);
        words.clear();
        let entry = &self.sets[set as usize];
        let mut mask = entry.mask;
        words.extend_from_slice(&entry.spill);
        let word = (slot >> 6) as usize;
        if word == 0 {
            mask ^= 1 << slot;
        } else {
            if words.len() < word {
                words.resize(word, 0);
            }
            words[word - 1] ^= 1 << (slot & 63);
            while words.last() == Some(&0) {
                words.pop();
            }
        }
        let id = self.intern(mask, &words);
        self.scratch = words;
        id
    }

    fn intern(&mut self, mask: u64, spill: &[u64]) -> u32 {
        let hash = hash_of(mask, spill);
        let sets = &self.sets;
        let found = self.by_members.find(hash, |id| {
            let set = &sets[id as usize];
            set.mask == mask && *set.spill == *spill
        });
        if found != NONE {
            return found;
        }
        let fresh = Set { mask, spill: spill.into(), refs: 0 };
        self.spill_bytes += spill.len() * 8;
        let id = match self.unused.pop() {
            Some(id) => {
                self.sets[id as usize] = fresh;
                id
            }
            None => {
                self.sets.push(fresh);
                self.sets.len() as u32 - 1
            }
        };
        self.by_members.insert(hash, id);
        id
    }

    fn free(&mut self, set: u32) {
        let spill = std::mem::take(&mut self.sets[set as usize].spill);
        self.by_members.remove(hash_of(self.sets[set as usize].mask, &spill), set);
        self.spill_bytes -= spill.len() * 8;
        self.unused.push(set);
        for memo in [&mut self.plus, &mut self.minus, &mut self.without] {
            if memo.from == set || memo.to == set {
                *memo = NO_MEMO;
            }
        }
    }
}

/// The owners that are still in the running while a prefix is walked: intersected set by set, each reported when it drops out.
#[derive(Default)]
pub struct Running {
    mask: u64,
    spill: Vec<u64>,
    set: u32,
}

impl Running {
    /// Begins with the members of `set` that are not in `dead`.
    pub fn start(&mut self, sets: &Sets, set: u32, dead: &[u64]) {
        let Set { mask, spill, .. } = &sets.sets[set as usize];
        self.mask = *mask;
        self.spill.clear();
        self.spill.extend_from_slice(spill);
        self.set = set;
        if let Some((first, rest)) = dead.split_first() {
            self.mask &= !first;
            self.spill.iter_mut().zip(rest).for_each(|(word, dead)| *word &= !dead);
        }
    }

    /// The set last met: a step that meets it again has nothing to do.
    #[inline(always)]
    pub fn set(&self) -> u32 {
        self.set
    }

    /// Keeps the members of `set`; the others go to `out` as (slot, depth) pairs. False when nobody is left.
    pub fn meet(&mut self, sets: &Sets, set: u32, depth: u32, out: &mut Vec<u32>) -> bool {
        let Set { mask, spill, .. } = &sets.sets[set as usize];
        self.set = set;
        report(0, self.mask & !mask, depth, out);
        self.mask &= mask;
        let mut left = self.mask;
        for (at, word) in self.spill.iter_mut().enumerate() {
            let other = spill.get(at).copied().unwrap_or(0);
            report(at as u32 + 1, *word & !other, depth, out);
            *word &= other;
            left |= *word;
        }
        left != 0
    }

    /// Reports everyone who is left.
    pub fn finish(&mut self, depth: u32, out: &mut Vec<u32>) {
        report(0, self.mask, depth, out);
        for (at, word) in self.spill.iter().enumerate() {
            report(at as u32 + 1, *word, depth, out);
        }
    }
}

#[inline(always)]
fn report(word: u32, bits: u64, depth: u32, out: &mut Vec<u32>) {
    each_bit(bits, |bit| out.extend_from_slice(&[word * 64 + bit, depth]));
}

#[inline(always)]
fn each_bit(mut bits: u64, mut visit: impl FnMut(u32)) {
    while bits != 0 {
        visit(bits.trailing_zeros());
        bits &= bits - 1;
    }
}
