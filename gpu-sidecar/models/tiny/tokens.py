"""The tokenizer and the batches.

Byte-level BPE of 3,072 tokens with single digits, the pre-tokenization that llama.cpp calls `smollm`. The chat format
is ChatML. A dialogue is encoded piece by piece (`<|im_start|>`, "role\\ncontent", `<|im_end|>`, "\\n"), which gives the
ids that any server gets from rendering the template: special tokens split the text at the same places.
"""
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from dialogue import DialogueSource, Message

VOCAB = 3072
PAD, START, END = 0, 1, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CUT_SHARE, CUT_TOKENS = 0.6, (5, 10)
SAMPLE_DIALOGUES = 30000
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(source: DialogueSource) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL, show_progress=False, min_frequency=4,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    texts = (m.content for _ in range(SAMPLE_DIALOGUES) for m in source.dialogue())
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Compact JSON in the Hugging Face form."""
    path.write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")


class Encoder:
    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.newline = self.ids("\n")
        self.assistant = [START, *self.ids("assistant\n")]

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, messages: list[Message]) -> list[int]:
        """The messages and the opening of the assistant's turn."""
        out: list[int] = []
        for m in messages:
            out += [START, *self.ids(f"{m.role}\n{m.content.strip()}"), END, *self.newline]
        return out + self.assistant

    def labelled(self, messages: list[Message], keep: int | None = None) -> tuple[list[int], list[bool]]:
        """Ids, and for each whether it is learnt: the assistant's words and the end of its turn. With `keep`, the last
        answer is cut after that many tokens."""
        ids: list[int] = []
        learnt: list[bool] = []
        for m in messages:
            piece = [START, *self.ids(f"{m.role}\n{m.content.strip()}"), END]
            head = len(self.assistant) if m.role == "assistant" else len(piece)
            ids += piece + self.newline
            learnt += [False] * head + [True] * (len(piece) - head) + [False] * len(self.newline)
        if keep is not None:
            end = len(ids) - len(piece) - len(self.newline) + head + keep
            ids, learnt = ids[:end], learnt[:end]
        return ids, learnt

    def text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids)


class Batches:
    """Batches of about `tokens` ids: a pool of dialogues sorted by length, so that padding is small. Each row starts at
    position 0 and holds one dialogue, as a server sees it. Which answer is meant shows in its first words, the rest is
    soon known by heart: so the last answer of most rows is cut short, and the same time sees nearly twice as many
    questions."""

    def __init__(self, source: DialogueSource, encoder: Encoder, tokens: int, context: int):
        self.source, self.encoder, self.tokens, self.context = source, encoder, tokens, context
        self.ready: list[list[tuple[list[int], list[bool]]]] = []

    def refill(self) -> None:
        rng = self.source.rng
        cut = lambda: rng.randint(*CUT_TOKENS) if rng.random() < CUT_SHARE else None
        pool = [self.encoder.labelled(self.source.dialogue(), cut()) for _ in range(2048)]
        pool.sort(key=lambda pair: len(pair[0]))
        rows: list[tuple[list[int], list[bool]]] = []
        for pair in pool:
            if rows and (len(rows) + 1) * len(pair[0]) > self.tokens:
                self.ready.append(rows)
                rows = []
            rows.append(pair)
        self.ready.append(rows)
        self.source.rng.shuffle(self.ready)

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and learnt flags, both [rows, longest]."""
        if not self.ready:
            self.refill()
        rows = self.ready.pop()
        longest = min(self.context, max(len(ids) for ids, _ in rows))
        ids = torch.full((len(rows), longest), PAD)
        learnt = torch.zeros((len(rows), longest), dtype=torch.bool)
        for i, (row, flags) in enumerate(rows):
            ids[i, :len(row)] = torch.tensor(row[:longest])
            learnt[i, :len(row)] = torch.tensor(flags[:longest])
        return ids, learnt
