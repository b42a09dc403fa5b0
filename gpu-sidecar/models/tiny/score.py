"""Score a trained checkpoint in PyTorch, before it is exported.

    python score.py                       # the held-out list, the unknown probes, and the training wordings
    python score.py --reference           # also writes reference.jsonl: greedy tokens for tests of other engines

An answer is right when it is the entry's answer word for word (letter case and punctuation aside). `npm run score`
does the same over HTTP against a running server.
"""
import argparse
import json
import random

import torch

from corpus import HELD_OUT, HERE, UNKNOWN_PROBES, Corpus, load, normalise, read_pairs
from dialogue import Message
from model import Config, TinyLlama
from tokenizers import Tokenizer
from tokens import END, PAD, Encoder
from train import BUILD

REFERENCE_PROMPTS = 40


@torch.no_grad()
def greedy_batch(model: TinyLlama, prompts: list[list[int]], limit: int = 72) -> list[list[int]]:
    """Greedy continuations of many prompts; shorter rows are padded behind, where causality hides the padding."""
    rows = [list(p) for p in prompts]
    open_rows = list(range(len(rows)))
    for _ in range(limit):
        longest = max(len(rows[i]) for i in open_rows)
        ids = torch.tensor([rows[i] + [PAD] * (longest - len(rows[i])) for i in open_rows])
        last = torch.tensor([len(rows[i]) - 1 for i in open_rows])
        tokens = model.logits(model.hidden(ids)[torch.arange(len(open_rows)), last]).argmax(-1).tolist()
        for i, token in zip(list(open_rows), tokens):
            if token == END:
                open_rows.remove(i)
            else:
                rows[i].append(token)
        if not open_rows:
            break
    return [row[len(p):] for row, p in zip(rows, prompts)]


class Scorer:
    def __init__(self, checkpoint: str, tokenizer: str):
        saved = torch.load(checkpoint, map_location="cpu")
        self.model = TinyLlama(Config(**saved["config"]))
        self.model.load_state_dict(saved["weights"])
        # What the file holds: matrices rounded to F16.
        for weight in self.model.parameters():
            if weight.dim() == 2:
                weight.data = weight.data.half().float()
        self.model.eval()
        self.encoder = Encoder(Tokenizer.from_file(tokenizer))

    def answers(self, wordings: list[str]) -> list[str]:
        prompts = [self.encoder.prompt([Message("user", w)]) for w in wordings]
        out: list[str] = []
        for at in range(0, len(prompts), 64):
            out += [self.encoder.text(ids) for ids in greedy_batch(self.model, prompts[at:at + 64])]
        return out

    def misses(self, corpus: Corpus, pairs: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
        right = {entry.id: normalise(entry.answer) for entry in corpus.entries}
        got = self.answers([wording for _, wording in pairs])
        return [(i, w, g) for (i, w), g in zip(pairs, got) if normalise(g) != right[i]]

    def reference(self, corpus: Corpus) -> list[dict]:
        """Greedy tokens in PyTorch, F16 weights in F32 arithmetic: what any other engine must reproduce."""
        pairs = random.Random(5).sample([(e.id, ask) for e in corpus.known for ask in e.asks], REFERENCE_PROMPTS - 8)
        questions = [w for _, w in pairs] + [w for _, w, _ in read_pairs(UNKNOWN_PROBES, [])[:8]]
        cases = []
        for question in questions:
            prompt = self.encoder.prompt([Message("user", question)])
            tokens = self.model.greedy(prompt, END)
            cases.append({"question": question, "prompt": prompt, "tokens": tokens, "text": self.encoder.text(tokens)})
        return cases


def report(title: str, total: int, misses: list[tuple[str, str, str]], show: int) -> None:
    print(f"{title}: {total - len(misses)} of {total} right")
    for ident, wording, got in misses[:show]:
        print(f"  {ident}: {wording!r} -> {got!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Score a checkpoint.")
    parser.add_argument("--model", default=str(BUILD / "model.pt"))
    parser.add_argument("--tokenizer", default=str(BUILD / "tokenizer.json"))
    parser.add_argument("--list", help="score only this file of id<TAB>wording lines")
    parser.add_argument("--show", type=int, default=40, help="misses to show of each list")
    parser.add_argument("--reference", action="store_true", help="write reference.jsonl")
    args = parser.parse_args()
    corpus = load()
    scorer = Scorer(args.model, args.tokenizer)
    if args.list:
        from pathlib import Path
        pairs = [(i, w) for i, w, _ in read_pairs(Path(args.list), [])]
        return report(args.list, len(pairs), scorer.misses(corpus, pairs), args.show)
    probes = [(i, w) for i, w, _ in read_pairs(UNKNOWN_PROBES, [])]
    trained = random.Random(3).sample([(e.id, a) for e in corpus.known for a in e.asks], 300)
    if corpus.held_out:
        report(HELD_OUT.name, len(corpus.held_out), scorer.misses(corpus, corpus.held_out), args.show)
    report(UNKNOWN_PROBES.name, len(probes), scorer.misses(corpus, probes), args.show)
    report("training wordings (sample)", len(trained), scorer.misses(corpus, trained), 5)
    if args.reference:
        lines = [json.dumps(case, separators=(",", ":")) + "\n" for case in scorer.reference(corpus)]
        (HERE / "reference.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
