//! A hash table of 26-bit ids. It holds no keys: the owner of the ids compares.
//!
//! Why: a key of 8 bytes is stored once, in the node, and the table costs 64 bytes for 10 ids (6.4 bytes an id, 7.5 to 15
//! with its slack). A bucket is one cache line: ten 16-bit tags, a count of entries that had to pass over it, ten ids with
//! six more bits of the hash above each. So a look-up reads one line of the table and, where all 22 bits agree, the key in the
//! node. Those 22 bits also say where an entry belongs, so growing reads no key: old and new buckets are both read in order.
//!
//! Invariants: `overflow` of a bucket is the exact number of entries whose home is before it and that lie behind it, so a
//! look-up stops at the first bucket with `overflow == 0` and a removal needs no tombstone. 64 shards double, each
//! on its own, so no single insertion moves more than a 64th of the table.

/// No id: what look-ups return for "not there".
pub const NONE: u32 = u32::MAX;

/// Ids are below this.
pub const MAX_IDS: u32 = 1 << ID_BITS;

const ID_BITS: u32 = 26;
const SIGN_BITS: u32 = 32 - ID_BITS;
const WAYS: usize = 10;
const SHARDS: usize = 64;
const LANES: u32 = (1 << WAYS) - 1;
/// Upper bound of the bytes a single entry can cost: a bucket's share at the lowest load that doubling leaves.
pub const ENTRY_COST_BYTES: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u16; WAYS],
    overflow: u32,
    /// The id, and above it `sign_of` its hash.
    ids: [u32; WAYS],
}

const EMPTY: Bucket = Bucket { tags: [0; WAYS], overflow: 0, ids: [0; WAYS] };

impl Bucket {
    /// Bit i is set where tag i equals `tag`.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline(always)]
    fn lanes(&self, tag: u16) -> u32 {
        use core::arch::wasm32::{i8x16_bitmask, i8x16_narrow_i16x8, i16x8_eq, u16x8_splat, v128, v128_load};
        let row = (self as *const Self).cast::<v128>();
        // SAFETY: a bucket is 64 bytes, so 32 bytes from its start are inside it; any alignment is allowed.
        let (low, high) = unsafe { (v128_load(row), v128_load(row.add(1))) };
        let wanted = u16x8_splat(tag);
        u32::from(i8x16_bitmask(i8x16_narrow_i16x8(i16x8_eq(low, wanted), i16x8_eq(high, wanted)))) & LANES
    }

    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    #[inline(always)]
    fn lanes(&self, tag: u16) -> u32 {
        use core::arch::x86_64::{
            __m128i, _mm_cmpeq_epi16, _mm_load_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16,
        };
        let row = (self as *const Self).cast::<__m128i>();
        // SAFETY: a bucket is 64 bytes and aligned to 64.
        unsafe {
            let wanted = _mm_set1_epi16(tag as i16);
            let low = _mm_cmpeq_epi16(_mm_load_si128(row), wanted);
            let high = _mm_cmpeq_epi16(_mm_load_si128(row.add(1)), wanted);
            _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32 & LANES
        }
    }

    #[cfg(not(any(
        all(target_arch = "wasm32", target_feature = "simd128"),
        all(target_arch = "x86_64", target_feature = "sse2")
    )))]
    #[inline(always)]
    fn lanes(&self, tag: u16) -> u32 {
        (0..WAYS).fold(0, |bits, i| bits | (u32::from(self.tags[i] == tag) << i)) & LANES
    }
}

/// Never 0, which is an empty place.
#[inline(always)]
fn tag_of(hash: u64) -> u16 {
    ((hash >> 38) as u16).max(1)
}

/// Further bits of the hash, where they stand above an id.
#[inline(always)]
fn sign_of(hash: u64) -> u32 {
    ((hash >> 32) as u32) << ID_BITS
}

/// Where an entry belongs: its 22 bits of the hash as a fraction of all buckets.
#[inline(always)]
fn home_of(tag: u16, sign: u32, buckets: usize) -> usize {
    let bits = u64::from(tag) << SIGN_BITS | u64::from(sign >> ID_BITS);
    (bits * buckets as u64 >> (16 + SIGN_BITS)) as usize
}

/// Spreads the bits of a key. Keys are often hashes already, but an engine may count its blocks from 0.
#[inline(always)]
pub fn mix(key: u64) -> u64 {
    let mut x = key ^ (key >> 32);
    x = x.wrapping_mul(0x9FB2_1C65_1E98_DF25);
    x ^= x >> 29;
    x = x.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x ^ (x >> 32)
}

#[derive(Default)]
struct Shard {
    buckets: Vec<Bucket>,
    entries: usize,
}

pub struct Table {
    shards: Vec<Shard>,
    entries: usize,
    buckets: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), entries: 0, buckets: 0 }
    }

    pub fn len(&self) -> usize {
        self.entries
    }

    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    pub fn bytes(&self) -> usize {
        self.buckets * size_of::<Bucket>() + SHARDS * size_of::<Shard>()
    }

    /// Reads the line where this hash is looked up first, so that it is near when `find` comes. The value means nothing.
    #[inline(always)]
    pub fn touch(&self, hash: u64) -> u32 {
        let buckets = &self.shards[(hash >> 58) as usize].buckets;
        if buckets.is_empty() { 0 } else { buckets[home_of(tag_of(hash), sign_of(hash), buckets.len())].overflow }
    }

    /// The first id with this hash for which `same` holds, or `NONE`.
    #[inline(always)]
    pub fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> u32 {
        let buckets = &self.shards[(hash >> 58) as usize].buckets;
        if buckets.is_empty() {
            return NONE;
        }
        let (tag, sign) = (tag_of(hash), sign_of(hash));
        let mut at = home_of(tag, sign, buckets.len());
        for _ in 0..buckets.len() {
            let bucket = &buckets[at];
            let mut lanes = bucket.lanes(tag);
            while lanes != 0 {
                let id = bucket.ids[lanes.trailing_zeros() as usize] ^ sign;
                if id < MAX_IDS && same(id) {
                    return id;
                }
                lanes &= lanes - 1;
            }
            if bucket.overflow == 0 {
                return NONE;
            }
            at = if at + 1 == buckets.len() { 0 } else { at + 1 };
        }
        NONE
    }

    /// Adds an id; the caller knows that it is not there.
    #[inline]
    pub fn insert(&mut self, hash: u64, id: u32) {
        let shard = &mut self.shards[(hash >> 58) as usize];
        if (shard.entries + 1) * 20 > shard.buckets.len() * WAYS * 17 {
            self.buckets += grow(shard);
        }
        place(&mut shard.buckets, tag_of(hash), id | sign_of(hash));
        shard.entries += 1;
        self.entries += 1;
    }

    /// Takes an id out. Returns whether it was there.
    pub fn remove(&mut self, hash: u64, id: u32) -> bool {
        let shard = &mut self.shards[(hash >> 58) as usize];
        let count = shard.buckets.len();
        if count == 0 {
            return false;
        }
        let (tag, entry) = (tag_of(hash), id | sign_of(hash));
        let home = home_of(tag, entry, count);
        let mut at = home;
        for _ in 0..count {
            let bucket = &mut shard.buckets[at];
            let mut lanes = bucket.lanes(tag);
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                if bucket.ids[lane] == entry {
                    bucket.tags[lane] = 0;
                    let mut passed = home;
                    while passed != at {
                        shard.buckets[passed].overflow -= 1;
                        passed = if passed + 1 == count { 0 } else { passed + 1 };
                    }
                    shard.entries -= 1;
                    self.entries -= 1;
                    return true;
                }
                lanes &= lanes - 1;
            }
            if shard.buckets[at].overflow == 0 {
                return false;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        false
    }
}

#[inline(always)]
fn place(buckets: &mut [Bucket], tag: u16, entry: u32) {
    let count = buckets.len();
    let mut at = home_of(tag, entry, count);
    loop {
        let bucket = &mut buckets[at];
        let room = bucket.lanes(0);
        if room != 0 {
            let lane = room.trailing_zeros() as usize;
            bucket.tags[lane] = tag;
            bucket.ids[lane] = entry;
            return;
        }
        bucket.overflow += 1;
        at = if at + 1 == count { 0 } else { at + 1 };
    }
}

#[cold]
fn grow(shard: &mut Shard) -> usize {
    let before = shard.buckets.len();
    let after = (2 * before).max(1);
    let mut buckets = Vec::new();
    buckets.reserve_exact(after);
    buckets.resize(after, EMPTY);
    for bucket in &shard.buckets {
        for lane in 0..WAYS {
            if bucket.tags[lane] != 0 {
                place(&mut buckets, bucket.tags[lane], bucket.ids[lane]);
            }
        }
    }
    shard.buckets = buckets;
    after - before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_a_map_keeps_through_growth_and_removal() {
        let mut keys: Vec<u64> = Vec::new();
        let mut table = Table::new();
        let mut state = 7u64;
        for round in 0..60_000u64 {
            state = mix(state.wrapping_add(round));
            if !keys.is_empty() && state.is_multiple_of(3) {
                let at = (state >> 8) as usize % keys.len();
                if keys[at] != u64::MAX {
                    assert!(table.remove(mix(keys[at]), at as u32));
                    assert!(!table.remove(mix(keys[at]), at as u32));
                    keys[at] = u64::MAX;
                }
            } else {
                keys.push(round);
                table.insert(mix(round), keys.len() as u32 - 1);
            }
        }
        assert_eq!(table.len(), keys.iter().filter(|k| **k != u64::MAX).count());
        for (id, key) in keys.iter().enumerate() {
            let found = table.find(mix(*key), |i| keys[i as usize] == *key);
            assert_eq!(found, if *key == u64::MAX { NONE } else { id as u32 });
        }
        assert!(table.bytes() < table.len() * ENTRY_COST_BYTES * 2 + 8192);
    }

    #[test]
    fn equal_hashes_only_cost_time() {
        let mut table = Table::new();
        for id in 0..200 {
            table.insert(42, id);
        }
        for id in 0..200 {
            assert_eq!(table.find(42, |i| i == id), id);
        }
        for id in (0..200).step_by(2) {
            assert!(table.remove(42, id));
        }
        for id in 0..200 {
            assert_eq!(table.find(42, |i| i == id), if id % 2 == 0 { NONE } else { id });
        }
    }
}
