//! stator-grammar: which tokens of a vocabulary may come next in an answer that has to obey a grammar (JSON schema, regular
//! expression, Lark), for the sidecar. A thin binding over llguidance.
//!
//! A mask is a bit per token in wasm memory, read by the caller at the offset that `mask` returns; it is valid until the next call of
//! any object, because the memory may have grown. Limits bound the work of a call, but not the stack: a grammar that nests too
//! deeply traps, and an instance that trapped must not be used again (`resetGrammar` in wasm/grammar.ts).

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

fn fail(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

/// The tokens that grammars are matched against.
#[wasm_bindgen]
pub struct Vocabulary {
    factory: ParserFactory,
}

#[wasm_bindgen]
impl Vocabulary {
    /// Token i has the bytes `bytes[offsets[i]..offsets[i + 1]]`; one without bytes is never allowed, but for `ends`, which are
    /// allowed where the answer may end. `limits`: Earley items in a row, fuel to build the lexer, lexer fuel and Earley items of a
    /// step, lexer states, grammar size.
    #[wasm_bindgen(constructor)]
    pub fn new(offsets: &[u32], bytes: &[u8], ends: &[u32], limits: &[u32]) -> Result<Vocabulary, JsError> {
        let words: Vec<Vec<u8>> =
            offsets.windows(2).map(|pair| bytes[pair[0] as usize..pair[1] as usize].to_vec()).collect();
        let &[items, fuel, step_fuel, step_items, states, size] = limits else {
            return Err(fail("six limits are expected"));
        };
        let Some(&end) = ends.first() else {
            return Err(fail("the vocabulary has no token that ends an answer"));
        };
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words).with_eos_tokens(ends);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::general_slices();
        let mut factory =
            ParserFactory::new(&environment, InferenceCapabilities::default(), &slices).map_err(fail)?;
        factory.quiet();
        let bounds = factory.limits_mut();
        bounds.max_items_in_row = items as usize;
        bounds.initial_lexer_fuel = u64::from(fuel);
        bounds.step_lexer_fuel = u64::from(step_fuel);
        bounds.step_max_items = step_items as usize;
        bounds.max_lexer_states = states as usize;
        bounds.max_grammar_size = size as usize;
        bounds.precompute_large_lexemes = false;
        bounds.verbose_errors = false;
        Ok(Vocabulary { factory })
    }

    /// An answer that has not begun. `grammars` is llguidance's JSON: `{"grammars": [{"lark_grammar": …}, {"name", "json_schema"}]}`.
    /// Grammars that allow no first token are an error, too.
    pub fn compile(&self, grammars: &str) -> Result<Answer, JsError> {
        let grammar: TopLevelGrammar = serde_json::from_str(grammars).map_err(fail)?;
        let parser = self.factory.create_parser(grammar).map_err(|error| fail(format!("{error:#}")))?;
        let mut answer = Answer { matcher: Matcher::new(Ok(parser)), mask: SimpleVob::new() };
        answer.mask()?;
        Ok(answer)
    }
}

/// How far an answer has come in its grammar.
#[wasm_bindgen]
pub struct Answer {
    matcher: Matcher,
    mask: SimpleVob,
}

#[wasm_bindgen]
impl Answer {
    /// Another answer that has come as far; what the lexer has learnt is shared.
    pub fn fork(&self) -> Answer {
        Answer { matcher: self.matcher.clone(), mask: SimpleVob::new() }
    }

    /// Byte offset of a bit for each token: may it come next? An answer that is complete allows nothing but its end.
    pub fn mask(&mut self) -> Result<usize, JsError> {
        self.mask = self.matcher.compute_mask_or_eos().map_err(fail)?;
        if self.mask.is_zero() {
            return Err(fail("no token can follow"));
        }
        Ok(self.mask.as_slice().as_ptr() as usize)
    }

    /// 32-bit words of the mask.
    pub fn words(&self) -> usize {
        self.mask.as_slice().len()
    }

    /// Adds a token. True when nothing can follow any more. Fails on a token that is not allowed here.
    pub fn push(&mut self, token: u32) -> Result<bool, JsError> {
        self.matcher.consume_token(token).map_err(fail)?;
        Ok(self.matcher.is_stopped())
    }
}
