//! A tokenizer.json, loaded once and asked often: text to ids, ids to bytes.
//!
//! The work is done by the crate `tokenizers`; here are the checks in front of it (it takes the file's word for much), the
//! upgrade of ordinary "version 1.0" files, the guarded encoding, and the bytes of single tokens.
//! The file's own truncation and padding are ignored: a prompt is served as it is or refused.
//! Cost: 150 to 190 ns a token in wasm; loading a 100,000-token vocabulary takes a few hundred ms, once.

use serde_json::Value;
use tokenizers::pipeline::{
    EncodeOptions, Model, Override, PipelineModelScratch, PipelineToken, PipelineTokenizer, PreTokenizer,
    PreTokenizerScratch, Segment, SpecialSegmentIterator, Span, normalize_all,
};

/// Ids at or above this are refused: the crate allocates by the highest id.
const MAX_IDS: u64 = 1 << 23;

pub struct Tokenizer {
    pipeline: PipelineTokenizer,
    /// (id, content, special), ascending.
    added: Vec<(u32, String, bool)>,
    /// Special tokens that the crate matches on normalised text only; the guarded encoding looks for them verbatim.
    normalized_specials: Vec<(u32, String)>,
    vocab_size: u32,
    byte_level: bool,
    metaspace: bool,
    byte_fallback: bool,
    strips_first_space: bool,
    scratch: PipelineModelScratch,
    split_scratch: PreTokenizerScratch,
    spans: Vec<Span>,
}

impl Tokenizer {
    pub fn from_json(json: &str) -> Result<Self, String> {
        let mut file: Value = serde_json::from_str(json).map_err(|e| format!("tokenizer.json is not JSON: {e}"))?;
        let vocab_size = check(&file)?;
        tokenizers::canonicalize_value(&mut file).map_err(|e| format!("tokenizer.json cannot be read: {e}"))?;
        file["truncation"] = Value::Null;
        file["padding"] = Value::Null;
        let decoder = file.get("decoder").map(Value::to_string).unwrap_or_default();
        let flag = |name: &str| file["model"].get(name).and_then(Value::as_bool).unwrap_or(false);
        let byte_level = flag("byte_level") || decoder.contains("ByteLevel");
        let byte_fallback = flag("byte_fallback") || decoder.contains("ByteFallback");
        let pipeline =
            tokenizers::from_json(&file.to_string()).map_err(|e| format!("tokenizer.json cannot be used: {e}"))?;
        let mut added: Vec<_> = pipeline
            .get_added_vocabulary()
            .get_added_tokens_decoder()
            .into_iter()
            .map(|(id, token)| (id, token.content, token.special))
            .collect();
        added.sort_unstable();
        let declared = file["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
        let normalized_specials = declared
            .iter()
            .filter(|t| t["special"] == Value::Bool(true) && t["normalized"] == Value::Bool(true))
            .filter_map(|t| Some((t["id"].as_u64()? as u32, t["content"].as_str()?.to_owned())))
            .filter(|(_, content)| !content.is_empty())
            .collect();
        let scratch = pipeline.get_model().init_scratch();
        let vocab_size = added.last().map_or(vocab_size, |(id, ..)| vocab_size.max(id + 1));
        Ok(Self {
            pipeline,
            added,
            normalized_specials,
            vocab_size,
            byte_level,
            metaspace: !byte_level && (decoder.contains("Metaspace") || decoder.contains('▁')),
            byte_fallback,
            strips_first_space: !byte_level && (decoder.contains("Metaspace") || decoder.contains("Strip")),
            scratch,
            split_scratch: PreTokenizerScratch::default(),
            spans: Vec::new(),
        })
    }

    /// Highest id + 1.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// Whether the decoder drops a space at the very start of a text (sentencepiece).
    pub fn strips_first_space(&self) -> bool {
        self.strips_first_space
    }

    pub fn special_tokens(&self) -> impl Iterator<Item = (u32, &str)> {
        let shown = |token: &(u32, String, bool)| {
            self.normalized_specials.iter().find(|(id, _)| *id == token.0).map(|(_, content)| content.as_str())
        };
        let specials = self.added.iter().filter(|(.., special)| *special);
        specials.map(move |token| (token.0, shown(token).unwrap_or(&token.1)))
    }

    pub fn is_special(&self, id: u32) -> bool {
        self.added_token(id).is_some_and(|(.., special)| *special)
    }

    /// The id of a token written as in the vocabulary file, if there is one.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.added.iter().find(|(_, content, _)| content == token).map(|(id, ..)| *id)
    }

    /// Appends the ids of `text`. `add_special` adds what the file's post-processor says (beginning of text and the like).
    pub fn encode(&self, text: &str, add_special: bool, ids: &mut Vec<PipelineToken>) -> Result<(), String> {
        let options = EncodeOptions {
            add_special_tokens: add_special,
            encode_special_tokens: false,
            padding: Override::Off,
            truncation: Override::Off,
        };
        self.pipeline.encode_into(text, &options, ids).map_err(|e| format!("the text cannot be tokenised: {e}"))
    }

    /// Appends the ids of a text in which a guard character breaks up every special token that users wrote: special tokens
    /// that stand there unbroken are control tokens, everything else is encoded without the guard and never becomes one.
    pub fn encode_guarded(
        &mut self,
        text: &str,
        guard: char,
        add_special: bool,
        ids: &mut Vec<PipelineToken>,
    ) -> Result<(), String> {
        let pipeline = self.pipeline.clone();
        let template = &pipeline.get_post_processor().single;
        if add_special {
            ids.extend(template.prefix.iter().map(|(id, _)| *id));
        }
        for segment in SpecialSegmentIterator::new(text, pipeline.get_added_vocabulary(), false, false) {
            match segment {
                Segment::SpecialToken(id) => ids.push(id.into()),
                Segment::Text { text, input_offset } => self.encode_between(text, input_offset, guard, ids)?,
            }
        }
        if add_special {
            ids.extend(template.suffix.iter().map(|(id, _)| *id));
        }
        Ok(())
    }

    /// The raw bytes that a token stands for, appended to `out`. False when the id stands for nothing.
    pub fn token_bytes(&self, id: u32, out: &mut Vec<u8>) -> bool {
        if let Some((_, content, _)) = self.added_token(id) {
            out.extend_from_slice(content.as_bytes());
            return true;
        }
        let Some(token) = self.pipeline.get_model().id_to_token(id) else { return false };
        if self.byte_level {
            for character in token.chars() {
                match byte_of(character) {
                    Some(byte) => out.push(byte),
                    None => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
        } else if let Some(byte) = self.byte_fallback.then(|| fallback_byte(&token)).flatten() {
            out.push(byte);
        } else if self.metaspace {
            out.extend_from_slice(token.replace('▁', " ").as_bytes());
        } else {
            out.extend_from_slice(token.as_bytes());
        }
        true
    }

    fn added_token(&self, id: u32) -> Option<&(u32, String, bool)> {
        self.added.binary_search_by_key(&id, |(id, ..)| *id).ok().map(|at| &self.added[at])
    }

    /// Text between control tokens: control tokens of the normalised kind are found verbatim, the rest is plain.
    fn encode_between(
        &mut self,
        mut text: &str,
        mut offset: usize,
        guard: char,
        ids: &mut Vec<PipelineToken>,
    ) -> Result<(), String> {
        loop {
            let first = self
                .normalized_specials
                .iter()
                .filter_map(|(id, content)| Some((text.find(content.as_str())?, content.len(), *id)))
                .min_by_key(|(at, length, _)| (*at, usize::MAX - length));
            let Some((at, length, id)) = first else { return self.encode_plain(text, offset, guard, ids) };
            self.encode_plain(&text[..at], offset, guard, ids)?;
            ids.push(id.into());
            text = &text[at + length..];
            offset += at + length;
        }
    }

    /// The crate's own steps, with special tokens switched off and the guard stripped.
    fn encode_plain(
        &mut self,
        text: &str,
        offset: usize,
        guard: char,
        ids: &mut Vec<PipelineToken>,
    ) -> Result<(), String> {
        let stripped;
        let text = if text.contains(guard) {
            stripped = text.replace(guard, "");
            stripped.as_str()
        } else {
            text
        };
        let pipeline = self.pipeline.clone();
        let failed = |e: tokenizers::Error| format!("the text cannot be tokenised: {e}");
        let added = pipeline.get_added_vocabulary();
        for segment in SpecialSegmentIterator::new(text, added, false, true) {
            let (chunk, at) = match segment {
                Segment::SpecialToken(id) => {
                    ids.push(id.into());
                    continue;
                }
                Segment::Text { text, input_offset } => (text, input_offset),
            };
            let normalized = normalize_all(pipeline.get_normalizers(), chunk, offset + at).map_err(failed)?;
            for segment in SpecialSegmentIterator::new(&normalized, added, true, true) {
                match segment {
                    Segment::SpecialToken(id) => ids.push(id.into()),
                    Segment::Text { text, .. } => {
                        self.spans.clear();
                        let (scratch, spans) = (&mut self.split_scratch, &mut self.spans);
                        pipeline.get_pre_tokenizer().pre_tokenize(text, scratch, spans).map_err(failed)?;
                        let model = pipeline.get_model();
                        model.tokenize_spans(text, spans, &mut self.scratch, ids).map_err(failed)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Refuses files that the crate would choke on. Returns the highest id of the model + 1.
fn check(file: &Value) -> Result<u32, String> {
    let model = file.get("model").ok_or("tokenizer.json has no model")?;
    let kind = model.get("type").and_then(Value::as_str);
    if let Some(kind) = kind.filter(|kind| *kind != "BPE") {
        return Err(format!("tokenizer.json has a {kind} model; only BPE is supported"));
    }
    let ids: Vec<Option<u64>> = match model.get("vocab") {
        Some(Value::Object(vocab)) => vocab.values().map(Value::as_u64).collect(),
        Some(Value::Array(vocab)) => (0..vocab.len() as u64).map(Some).collect(),
        _ => return Err("tokenizer.json has a model without a vocabulary".into()),
    };
    let added = match file.get("added_tokens") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(added)) => added.as_slice(),
        Some(_) => return Err("tokenizer.json has added_tokens that are no list".into()),
    };
    let mut highest = 0;
    for id in ids.iter().copied().chain(added.iter().map(|token| token.get("id").and_then(Value::as_u64))) {
        match id {
            Some(id) if id < MAX_IDS => highest = highest.max(id + 1),
            Some(id) => return Err(format!("tokenizer.json has the token id {id}; ids must be below {MAX_IDS}")),
            None => return Err("tokenizer.json has a token whose id is no number".into()),
        }
    }
    if highest == 0 {
        return Err("tokenizer.json has an empty vocabulary".into());
    }
    Ok(highest as u32)
}

/// `<0x0A>` → 10.
fn fallback_byte(token: &str) -> Option<u8> {
    let hex = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (hex.len() == 2).then(|| u8::from_str_radix(hex, 16).ok()).flatten()
}

/// The byte that a character of the GPT-2 alphabet stands for: printable ones are themselves, the other 68 follow from 256 on.
fn byte_of(character: char) -> Option<u8> {
    let code = character as u32;
    match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7F) as u8),
        0x143 => Some(0xAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_alphabet_is_a_bijection() {
        let bytes: std::collections::BTreeSet<u8> = (0..0x200).filter_map(char::from_u32).filter_map(byte_of).collect();
        assert_eq!(bytes.len(), 256);
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
    }
}
