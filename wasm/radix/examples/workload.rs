//! The fixed radix workload, natively: `cargo run --release --example workload [BLOCKS=1000000] [WORKERS=8] [QUERIES=20000]`.
//! Sequences of 64 shared and 64 unique blocks, stored 16 at a time; then finds; then the unique halves of every second
//! sequence removed, deepest first. Checksums are comparable with any other implementation of the same workload.

use std::hint::black_box;
use std::time::Instant;

use stator_radix::index::{Index, Stored};

const SEED: u64 = 0x5354_4131;

fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn local(kind: u64, a: u64, i: u64) -> u64 {
    mix(SEED ^ (kind << 56) ^ (a << 20) ^ i)
}

struct Workload {
    sequences: u64,
    groups: u64,
    workers: u64,
}

impl Workload {
    fn worker(&self, s: u64) -> u32 {
        (mix(s ^ 0xABCD) % self.workers) as u32
    }

    fn locals(&self, s: u64) -> Vec<u64> {
        (0..64).map(|i| local(1, s % self.groups, i)).chain((0..64).map(|i| local(2, s, i))).collect()
    }

    fn query(&self, known: usize, q: u64, length: usize) -> Vec<u64> {
        let base = self.locals(mix(q ^ 0x5EED) % self.sequences);
        (0..length).map(|i| if i < known { base[i] } else { local(3, q, i as u64) }).collect()
    }
}

fn names(locals: &[u64]) -> Vec<u64> {
    let mut previous = 0u64;
    locals.iter().map(|l| { previous = mix(previous.wrapping_mul(31).wrapping_add(*l)); previous }).collect()
}

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (total, workers, queries) = (args.first().copied().unwrap_or(1_000_000), args.get(1).copied().unwrap_or(8), args.get(2).copied().unwrap_or(20_000));
    let sequences = total / 68;
    let work = Workload { sequences, groups: (sequences / 16).max(1), workers };
    let mut index = Index::new(1 << 40);

    let events: Vec<_> = (0..sequences).map(|s| { let l = work.locals(s); (work.worker(s), names(&l), l) }).collect();
    let start = Instant::now();
    for (slot, name, tokens) in &events {
        for at in (0..128).step_by(16) {
            let parent = (at > 0).then(|| name[at - 1]);
            assert_ne!(index.store(*slot, 0, parent, &name[at..at + 16], &tokens[at..at + 16]), Stored::Invalid);
        }
    }
    let ns = start.elapsed().as_nanos() as f64;
    println!("store   {:6.1} ns a block, {} blocks, {:.1} bytes a block", ns / (sequences * 128) as f64, index.blocks(), index.bytes() as f64 / f64::from(index.blocks()));

    for (kind, known, length) in [("full", 128, 16), ("full", 128, 64), ("full", 128, 128), ("full", 128, 256), ("prefix", 64, 128), ("prefix", 64, 256), ("miss", 0, 128)] {
        let asked: Vec<_> = (0..queries).map(|q| work.query(known, q, length)).collect();
        let (mut checksum, mut pairs, mut lower) = (0u64, Vec::new(), Vec::new());
        let start = Instant::now();
        for query in &asked {
            index.find(black_box(query), &mut pairs, &mut lower);
            checksum = pairs.chunks_exact(2).fold(checksum, |sum, p| sum.wrapping_add((u64::from(p[0]) + 1) * u64::from(p[1])));
        }
        println!("find    {:6.0} ns, {kind} {length}, checksum {checksum}", start.elapsed().as_nanos() as f64 / queries as f64);
    }

    let start = Instant::now();
    let mut removed = 0;
    for (slot, name, _) in events.iter().step_by(2) {
        let suffix: Vec<u64> = name[64..].iter().rev().copied().collect();
        for chunk in suffix.chunks(16) {
            removed += 16 - u64::from(index.remove(*slot, 0, chunk));
        }
    }
    println!("remove  {:6.1} ns a block, {removed} removed", start.elapsed().as_nanos() as f64 / removed as f64);
}
