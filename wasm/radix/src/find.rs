//! Matching a prompt: `find`, which every routing decision waits for.
//!
//! A walk down the one path that the prompt names. Along it almost all blocks have the same owners, so it compares set ids and
//! looks at members only where the id changes. With the device tier alone the slots in the running are a bit set
//! (`Running`). With lower tiers each slot in the running has the tier it is matched in, and moves on to the next one that has
//! the block where that tier ends: the tiers of a slot are then read off one path, and none is ever gone back to.
//! Cost: a table look-up for each place where the path is not contiguous, and a scan in between.

use crate::index::Index;
use crate::nodes::{CONTIGUOUS, SET_MASK, TOUCHED};
use crate::owners::{DEVICE, TIERS};
use crate::sets::EMPTY;
use crate::table::NONE;

/// What a slot has matched so far.
struct Front {
    slot: u32,
    tier: u32,
    /// Where the present tier began.
    start: u32,
    blocks: [u32; TIERS as usize],
}

impl Front {
    fn end_tier(&mut self, depth: u32) {
        self.blocks[self.tier as usize] = depth - self.start;
        self.start = depth;
        self.tier += 1;
    }

    fn report(&self, out: &mut Vec<u32>, lower: &mut Vec<u32>) {
        if self.blocks[DEVICE as usize] > 0 {
            out.extend_from_slice(&[self.slot, self.blocks[DEVICE as usize]]);
        }
        for (tier, &blocks) in self.blocks.iter().enumerate().skip(1).filter(|(_, blocks)| **blocks > 0) {
            lower.extend_from_slice(&[self.slot, tier as u32, blocks]);
        }
    }
}

impl Index {
    /// Writes (slot, blocks) pairs to `out` for every slot that has the first block of `query` on its device: how many
    /// leading ones it has there without a gap. Writes (slot, tier, blocks) to `lower`: further blocks in the lower tiers,
    /// each from where the tier before it ended. Returns the number of pairs.
    pub fn find(&mut self, query: &[u64], out: &mut Vec<u32>, lower: &mut Vec<u32>) -> u32 {
        out.clear();
        lower.clear();
        let Some(&first) = query.first() else { return 0 };
        let at = self.child_to_follow(NONE, first, query.len());
        if at == NONE || self.nodes.set(at) == EMPTY {
            return 0;
        }
        let deepest = match self.owners.has_lower() {
            true => self.find_tiers(at, query, out, lower),
            false => self.find_device(at, query, out),
        };
        self.nodes.flag(deepest, TOUCHED, 0);
        out.len() as u32 / 2
    }

    fn find_device(&mut self, mut at: u32, query: &[u64], out: &mut Vec<u32>) -> u32 {
        let mut running = std::mem::take(&mut self.running);
        running.start(&self.sets, self.nodes.set(at), self.owners.dead());
        let mut depth = 1;
        while depth < query.len() {
            // The contiguous stretch behind `at`, as far as its owners stay the same.
            let steps = self.nodes.stretch(at, CONTIGUOUS | SET_MASK, CONTIGUOUS | running.set(), &query[depth..]);
            at += steps as u32;
            depth += steps;
            if depth == query.len() {
                break;
            }
            let child = self.child_to_follow(at, query[depth], query.len() - depth);
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
        for pair in out.as_chunks_mut::<2>().0 {
            pair[0] = self.owners.slot(pair[0]);
        }
        at
    }

    fn find_tiers(&self, mut at: u32, query: &[u64], out: &mut Vec<u32>, lower: &mut Vec<u32>) -> u32 {
        let mut slots = self.sets.members(self.nodes.set(at));
        slots.retain(|owner| self.owners.is_live(*owner));
        slots.iter_mut().for_each(|owner| *owner = self.owners.slot(*owner));
        slots.sort_unstable();
        slots.dedup();
        let mut fronts: Vec<Front> =
            slots.into_iter().map(|slot| Front { slot, tier: DEVICE, start: 0, blocks: [0; TIERS as usize] }).collect();
        let (mut depth, mut met) = (0, NONE);
        loop {
            let set = self.nodes.set(at);
            if set != met {
                fronts.retain_mut(|front| self.goes_on(front, set, depth, out, lower));
                met = set;
            }
            if fronts.is_empty() {
                return at;
            }
            depth += 1;
            let child = query.get(depth as usize).map_or(NONE, |&tokens| self.child(at, tokens));
            if child == NONE {
                break;
            }
            at = child;
        }
        for mut front in fronts {
            front.end_tier(depth);
            front.report(out, lower);
        }
        at
    }

    /// Whether a slot has the block at `depth` in its present tier or a further one; it is reported otherwise.
    fn goes_on(&self, front: &mut Front, set: u32, depth: u32, out: &mut Vec<u32>, lower: &mut Vec<u32>) -> bool {
        while front.tier < TIERS {
            let owner = self.owners.of(front.slot, front.tier);
            if owner != NONE && self.sets.has(set, owner) {
                return true;
            }
            front.end_tier(depth);
        }
        front.report(out, lower);
        false
    }
}
