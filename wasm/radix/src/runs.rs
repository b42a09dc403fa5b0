//! A path-compressed trie of hash sequences that are held by slots: what `sequences` keeps of the prompts in flight.
//!
//! A node is a run of hashes below its parent (or a root), with the number of sequences that pass through it by slot. Two
//! sequences share nodes as far as they agree: where one leaves the middle of a run, or ends there, the run is split; when
//! the reason for a split is gone the pieces are joined again. So a node always has a sequence that ends at it or at
//! least two children, and there are fewer than two nodes a sequence however long the sequences are.
//!
//! Invariants: no two children of a node begin with the same hash; a node's holders are in order of slot, none with count
//! 0, and contain its children's; `only_child` is the exclusive or of the children's ids: with one child, that child.
//! Ids are stable while a sequence ends at the node: a split gives the upper half a new id, a join drops the upper one.
//! Cost: runs are compared and copied as memory; a table look-up and a binary search among the holders for each node. A split
//! or join copies at most the run. Freed nodes and small buffers are used again.

use crate::table::{NONE, Table, mix};

/// Buffers of freed nodes are kept up to this many entries.
const KEPT: usize = 64;
const ROOT: u64 = 1 << 32;

/// What the first nodes of sequences hang under; different salts never meet.
pub fn root(salt: u32) -> u64 {
    ROOT | u64::from(salt)
}

#[derive(Clone, Copy)]
struct Holder {
    slot: u32,
    count: u32,
}

#[derive(Default)]
struct Node {
    /// The parent's id, or a `root`.
    under: u64,
    /// `run[0]`, at hand for the table.
    first: u64,
    ends: u32,
    children: u32,
    only_child: u32,
    run: Vec<u64>,
    holders: Vec<Holder>,
}

impl Node {
    fn key(&self) -> u64 {
        child_hash(self.under, self.first)
    }
}

#[derive(Default)]
pub struct Runs {
    nodes: Vec<Node>,
    unused: Vec<u32>,
    by_first: Table,
}

fn child_hash(under: u64, first: u64) -> u64 {
    mix(first ^ (under + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// The parent's id, or `NONE` for a root.
fn parent_of(under: u64) -> u32 {
    if under >= ROOT { NONE } else { under as u32 }
}

/// How many leading words are equal. Eight at a time, which compiles to vector instructions.
fn common(a: &[u64], b: &[u64]) -> usize {
    let equal = |(a, b): &(&[u64; 8], &[u64; 8])| (0..8).fold(0, |bits, i| bits | (a[i] ^ b[i])) == 0;
    let whole = a.as_chunks().0.iter().zip(b.as_chunks().0).take_while(equal).count() * 8;
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

fn report(holders: &[Holder], depth: usize, out: &mut Vec<u32>) {
    for holder in holders {
        out.extend_from_slice(&[holder.slot, depth as u32]);
    }
}

/// Reports the holders of `upper` that `lower`, a part of them, lacks.
fn report_lost(upper: &[Holder], lower: &[Holder], depth: usize, out: &mut Vec<u32>) {
    if upper.len() == lower.len() {
        return;
    }
    let mut kept = lower.iter().map(|holder| holder.slot).peekable();
    for holder in upper {
        if kept.next_if_eq(&holder.slot).is_none() {
            out.extend_from_slice(&[holder.slot, depth as u32]);
        }
    }
}

impl Runs {
    pub fn len(&self) -> usize {
        self.by_first.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a sequence that `slot` holds. Returns the node where it ends (`NONE` for no hashes) and how many of its hashes
    /// the slot did not hold at their place.
    pub fn enter(&mut self, slot: u32, root: u64, hashes: &[u64]) -> (u32, usize) {
        let (mut under, mut node, mut newly, mut rest) = (root, NONE, 0, hashes);
        while let Some(&first) = rest.first() {
            node = self.child(under, first);
            if node == NONE {
                node = self.sprout(under, rest);
            }
            let length = common(&self.nodes[node as usize].run, rest);
            if length < self.nodes[node as usize].run.len() {
                node = self.split(node, length);
            }
            if self.hold(node, slot) {
                newly += length;
            }
            under = u64::from(node);
            rest = &rest[length..];
        }
        if node != NONE {
            self.nodes[node as usize].ends += 1;
        }
        (node, newly)
    }

    /// Takes out a sequence of `slot` that ends at `node`. Returns how many hashes the slot no longer holds.
    pub fn leave(&mut self, slot: u32, node: u32) -> usize {
        let mut ended = 0;
        let mut at = node;
        while at != NONE {
            if self.release(at, slot) {
                ended += self.nodes[at as usize].run.len();
            }
            at = parent_of(self.nodes[at as usize].under);
        }
        self.nodes[node as usize].ends -= 1;
        self.tidy(node);
        ended
    }

    /// Writes (slot, depth) pairs for every slot that holds the first hash; a slot is written where it drops out.
    pub fn depths(&self, root: u64, hashes: &[u64], out: &mut Vec<u32>) {
        let (mut under, mut rest, mut depth) = (root, hashes, 0);
        let mut holders: &[Holder] = &[];
        while let Some(&first) = rest.first() {
            let id = self.child(under, first);
            if id == NONE {
                break;
            }
            let node = &self.nodes[id as usize];
            report_lost(holders, &node.holders, depth, out);
            holders = &node.holders;
            let length = common(&node.run, rest);
            depth += length;
            if length < node.run.len() {
                break;
            }
            under = u64::from(id);
            rest = &rest[length..];
        }
        report(holders, depth, out);
    }

    fn child(&self, under: u64, first: u64) -> u32 {
        self.by_first.find(child_hash(under, first), |id| {
            let node = &self.nodes[id as usize];
            node.first == first && node.under == under
        })
    }

    /// Counts one more sequence of a slot. Returns whether it is the slot's first here.
    fn hold(&mut self, node: u32, slot: u32) -> bool {
        let holders = &mut self.nodes[node as usize].holders;
        match holders.binary_search_by_key(&slot, |holder| holder.slot) {
            Ok(at) => {
                holders[at].count += 1;
                false
            }
            Err(at) => {
                holders.insert(at, Holder { slot, count: 1 });
                true
            }
        }
    }

    /// Counts one sequence of a slot less. Returns whether it was the slot's last here.
    fn release(&mut self, node: u32, slot: u32) -> bool {
        let holders = &mut self.nodes[node as usize].holders;
        let Ok(at) = holders.binary_search_by_key(&slot, |holder| holder.slot) else { return false };
        holders[at].count -= 1;
        if holders[at].count > 0 {
            return false;
        }
        holders.remove(at);
        true
    }

    /// Restores, where a sequence ended, that every node has an end or two children.
    fn tidy(&mut self, node: u32) {
        let Node { ends, children, under, .. } = self.nodes[node as usize];
        if ends > 0 || children > 1 {
            return;
        }
        if children == 1 {
            return self.join(node);
        }
        self.unhang(node);
        self.drop(node);
        let parent = parent_of(under);
        if parent != NONE && self.nodes[parent as usize].ends == 0 && self.nodes[parent as usize].children == 1 {
            self.join(parent);
        }
    }

    /// A new leaf, held by nobody yet.
    fn sprout(&mut self, under: u64, run: &[u64]) -> u32 {
        let id = self.take();
        let node = &mut self.nodes[id as usize];
        node.run.extend_from_slice(run);
        self.hang(id, under);
        id
    }

    /// Cuts a node's run in two. The lower part keeps the id; returns the upper one's.
    fn split(&mut self, id: u32, length: usize) -> u32 {
        self.unhang(id);
        let upper = self.take();
        let [node, above] = self.nodes.get_disjoint_mut([id as usize, upper as usize]).expect("two nodes in use");
        above.run.extend_from_slice(&node.run[..length]);
        above.holders.extend_from_slice(&node.holders);
        let under = node.under;
        node.run.drain(..length);
        if node.run.capacity() > 2 * node.run.len() + KEPT {
            node.run.shrink_to_fit();
        }
        self.hang(upper, under);
        self.hang(id, u64::from(upper));
        upper
    }

    /// Puts a node's run before that of its only child, which has the same holders and stays.
    fn join(&mut self, id: u32) {
        let child = self.nodes[id as usize].only_child;
        self.unhang(child);
        self.unhang(id);
        let [above, node] = self.nodes.get_disjoint_mut([id as usize, child as usize]).expect("a node and its child");
        above.run.extend_from_slice(&node.run);
        std::mem::swap(&mut above.run, &mut node.run);
        let under = above.under;
        self.hang(child, under);
        self.drop(id);
    }

    /// Puts a node, whose run is set, under a parent or root.
    fn hang(&mut self, id: u32, under: u64) {
        let node = &mut self.nodes[id as usize];
        (node.under, node.first) = (under, node.run[0]);
        let key = node.key();
        self.by_first.insert(key, id);
        if let Some(parent) = self.nodes.get_mut(parent_of(under) as usize) {
            parent.children += 1;
            parent.only_child ^= id;
        }
    }

    /// Takes a node out from under its parent or root.
    fn unhang(&mut self, id: u32) {
        let node = &self.nodes[id as usize];
        let under = node.under;
        self.by_first.remove(node.key(), id);
        if let Some(parent) = self.nodes.get_mut(parent_of(under) as usize) {
            parent.children -= 1;
            parent.only_child ^= id;
        }
    }

    fn take(&mut self) -> u32 {
        self.unused.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len() as u32 - 1
        })
    }

    /// Gives a place back, empty, with its buffers if they are small.
    fn drop(&mut self, id: u32) {
        let node = &mut self.nodes[id as usize];
        let (mut run, mut holders) = (std::mem::take(&mut node.run), std::mem::take(&mut node.holders));
        run.clear();
        holders.clear();
        run.shrink_to(KEPT);
        holders.shrink_to(KEPT);
        *node = Node { run, holders, ..Node::default() };
        self.unused.push(id);
    }
}
