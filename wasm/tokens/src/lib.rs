//! stator-tokens: text → token ids → block hashes, and back to bytes, for the isolate and the sidecar.
//!
//! This file only binds the cores to JavaScript. Bulk data goes through buffers in wasm memory: the caller asks for room
//! (`text_input`, `ids_input`, `objects_input`), writes with one `set()` or `encodeInto`, calls, and reads at the offsets that
//! `ids`, `hashes`, `sequences` return. An offset is valid until the next call of the same object; views must be taken again after any
//! call, because the memory may have grown. Seeds are the only 64-bit values that cross as bigints, one a request.
//! Bad input is a thrown `Error`, never a trap. In workerd build a `Tokenizer` inside a handler: at module scope it traps.

pub mod hashing;
pub mod tokenizer;

use hashing::{Blocks, Run};
use tokenizers::pipeline::PipelineToken;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// The most tokens or bytes one call may bring: 64 MiB.
const MAX_BYTES: usize = 64 << 20;

fn fail(message: String) -> JsError {
    JsError::new(&message)
}

/// The seed of semantics §2.1; empty strings mean none.
#[wasm_bindgen]
pub fn seed(lora: &str, namespace: &str) -> u64 {
    hashing::seed(lora, namespace)
}

/// XXH3-64 of a byte string.
#[wasm_bindgen]
pub fn xxh3(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed)
}

/// The hash of a multimodal object's identifier; undefined for an empty one.
#[wasm_bindgen]
pub fn object_hash(identifier: &str) -> Option<u64> {
    hashing::object_hash(identifier)
}

/// A prompt's tokens and the hashes of its blocks.
#[wasm_bindgen]
#[derive(Default)]
pub struct BlockHasher {
    ids: Vec<PipelineToken>,
    objects: Vec<u64>,
    locals: Vec<u64>,
    sequences: Vec<u64>,
    lineages: Vec<u8>,
}

#[wasm_bindgen]
impl BlockHasher {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Byte offset of room for `n` token ids (u32).
    pub fn ids_input(&mut self, n: usize) -> usize {
        self.ids.resize(n.min(MAX_BYTES / 4), PipelineToken::from(0));
        self.ids.as_ptr() as usize
    }

    /// Byte offset of room for `n` u64 words: (block, hash) pairs of multimodal objects, or (offset, length, hash) runs.
    pub fn objects_input(&mut self, n: usize) -> usize {
        self.objects.resize(n.min(MAX_BYTES / 8), 0);
        self.objects.as_ptr() as usize
    }

    /// Byte offset of the token ids (u32).
    pub fn ids(&self) -> usize {
        self.ids.as_ptr() as usize
    }

    /// Byte offset of the local hashes (u64).
    pub fn hashes(&self) -> usize {
        self.locals.as_ptr() as usize
    }

    /// Hashes the blocks of the first `n` ids, with the first `objects` (block, hash) pairs. Returns the number of blocks.
    pub fn hash(&mut self, n: usize, block_size: usize, seed: u64, eagle: bool, objects: usize) -> usize {
        let tokens = PipelineToken::cast_slice(&self.ids[..n.min(self.ids.len())]);
        let words = &self.objects[..(2 * objects.min(MAX_BYTES)).min(self.objects.len())];
        let pairs: Vec<(u64, u64)> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let blocks = Blocks { size: block_size, seed, eagle };
        hashing::local_hashes(tokens, blocks, &pairs, &mut self.locals);
        self.locals.len()
    }

    /// KVBM's framed block hashes, with the first `runs` (offset, length, hash) triples. Returns the number of blocks.
    pub fn hash_framed(&mut self, n: usize, block_size: usize, seed: u64, runs: usize) -> usize {
        let tokens = PipelineToken::cast_slice(&self.ids[..n.min(self.ids.len())]);
        let words = &self.objects[..(3 * runs.min(MAX_BYTES)).min(self.objects.len())];
        let runs: Vec<Run> = words
            .chunks_exact(3)
            .map(|run| Run { offset: run[0] as usize, length: run[1] as usize, object: run[2] })
            .collect();
        let blocks = Blocks { size: block_size, seed, eagle: false };
        hashing::framed_hashes(tokens, blocks, &runs, &mut self.locals);
        self.locals.len()
    }

    /// Chains the local hashes. Returns the byte offset of the sequence hashes (u64).
    pub fn sequences(&mut self) -> usize {
        hashing::sequence_hashes(&self.locals, &mut self.sequences);
        self.sequences.as_ptr() as usize
    }

    /// Returns the byte offset of the positional lineage hashes (16 bytes each, big-endian); all zero past 2^24 blocks.
    pub fn lineages(&mut self) -> usize {
        hashing::sequence_hashes(&self.locals, &mut self.sequences);
        self.lineages.clear();
        let mut parent = None;
        for (position, &current) in self.sequences.iter().enumerate() {
            let lineage = hashing::lineage(position, current, parent).unwrap_or(0);
            self.lineages.extend_from_slice(&lineage.to_be_bytes());
            parent = Some(current);
        }
        self.lineages.as_ptr() as usize
    }
}

/// A tokenizer.json and the buffers of one prompt at a time.
#[wasm_bindgen]
pub struct Tokenizer {
    core: tokenizer::Tokenizer,
    text: Vec<u8>,
    prompt: BlockHasher,
}

#[wasm_bindgen]
impl Tokenizer {
    /// Reads the text of a tokenizer.json (version 1.0 or 2.0). Throws when it is broken or of an unsupported kind.
    #[wasm_bindgen(constructor)]
    pub fn new(json: &str) -> Result<Tokenizer, JsError> {
        let core = tokenizer::Tokenizer::from_json(json).map_err(fail)?;
        Ok(Self { core, text: Vec::new(), prompt: BlockHasher::default() })
    }

    /// Byte offset of room for `n` bytes of UTF-8.
    pub fn text_input(&mut self, n: usize) -> usize {
        if self.text.len() < n.min(MAX_BYTES) {
            self.text.resize(n.min(MAX_BYTES), 0);
        }
        self.text.as_ptr() as usize
    }

    /// Encodes the first `n` bytes and hashes the blocks. Returns the number of tokens.
    pub fn encode_hash(
        &mut self,
        n: usize,
        add_special: bool,
        block_size: usize,
        seed: u64,
        eagle: bool,
    ) -> Result<usize, JsError> {
        let text = self.text.get(..n).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| fail("the text is not UTF-8 or longer than its buffer".into()))?;
        self.prompt.ids.clear();
        self.core.encode(text, add_special, &mut self.prompt.ids).map_err(fail)?;
        Ok(self.finish(block_size, seed, eagle))
    }

    /// The same for a text with guards, see tokenizer.rs; `guard` is a code point.
    pub fn encode_guarded(
        &mut self,
        n: usize,
        guard: u32,
        add_special: bool,
        block_size: usize,
        seed: u64,
        eagle: bool,
    ) -> Result<usize, JsError> {
        let guard = char::from_u32(guard).ok_or_else(|| fail("the guard is not a character".into()))?;
        let text = self.text.get(..n).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| fail("the text is not UTF-8 or longer than its buffer".into()))?;
        self.prompt.ids.clear();
        self.core.encode_guarded(text, guard, add_special, &mut self.prompt.ids).map_err(fail)?;
        Ok(self.finish(block_size, seed, eagle))
    }

    pub fn ids(&self) -> usize {
        self.prompt.ids()
    }

    pub fn ids_input(&mut self, n: usize) -> usize {
        self.prompt.ids_input(n)
    }

    pub fn hashes(&self) -> usize {
        self.prompt.hashes()
    }

    /// The number of complete blocks of the last prompt.
    pub fn blocks(&self) -> usize {
        self.prompt.locals.len()
    }

    pub fn hash(&mut self, n: usize, block_size: usize, seed: u64, eagle: bool, objects: usize) -> usize {
        self.prompt.hash(n, block_size, seed, eagle, objects)
    }

    pub fn objects_input(&mut self, n: usize) -> usize {
        self.prompt.objects_input(n)
    }

    pub fn sequences(&mut self) -> usize {
        self.prompt.sequences()
    }

    pub fn special_tokens(&self) -> Vec<String> {
        self.core.special_tokens().map(|(_, content)| content.to_owned()).collect()
    }

    pub fn special_ids(&self) -> Vec<u32> {
        self.core.special_tokens().map(|(id, _)| id).collect()
    }

    pub fn is_special(&self, id: u32) -> bool {
        self.core.is_special(id)
    }

    /// The id of an added token (control tokens among them) by its content.
    pub fn token_id(&self, content: &str) -> Option<u32> {
        self.core.token_id(content)
    }

    /// The raw bytes that a token stands for; undefined for an id without a token.
    pub fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.core.token_bytes(id, &mut bytes).then_some(bytes)
    }

    /// All tokens' bytes: u32 count, count + 1 u32 offsets into the bytes that follow.
    pub fn token_table(&self) -> Vec<u8> {
        let count = self.core.vocab_size();
        let mut bytes = Vec::new();
        let mut table = Vec::with_capacity(count as usize * 12);
        table.extend_from_slice(&count.to_le_bytes());
        table.extend_from_slice(&0u32.to_le_bytes());
        for id in 0..count {
            self.core.token_bytes(id, &mut bytes);
            table.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        }
        table.append(&mut bytes);
        table
    }

    pub fn vocab_size(&self) -> u32 {
        self.core.vocab_size()
    }

    pub fn strips_first_space(&self) -> bool {
        self.core.strips_first_space()
    }

    fn finish(&mut self, block_size: usize, seed: u64, eagle: bool) -> usize {
        let count = self.prompt.ids.len();
        self.prompt.hash(count, block_size, seed, eagle, 0);
        count
    }
}
