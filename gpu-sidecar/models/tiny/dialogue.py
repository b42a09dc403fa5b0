"""Training dialogues: from corpus entries to lists of chat messages.

A dialogue is 1 to 4 question-answer turns, now and then a long one, sometimes under a system prompt. About one turn
in five is unknown, so that the model also learns where its knowledge ends. A follow-up comes only right after the
answer that it refers to. A surface that equals a held-out wording is thrown away, however it came about.
"""
import random
from dataclasses import dataclass

from augment import nonsense, vary
from corpus import Corpus, Entry, expand, normalise

UNKNOWN_SHARE = 0.19
NONSENSE_SHARE = 0.15  # of the unknown questions
PAIR_CHANCE = 0.06
FOLLOW_CHANCE = 0.45
SYSTEM_CHANCE = 0.25
TURNS = [(0.66, (1, 1)), (0.16, (2, 2)), (0.08, (3, 3)), (0.06, (4, 4)), (0.04, (5, 12))]

SYSTEM_PROMPTS = [
    "You are a helpful assistant.", "You are stator-tiny, a small demonstration model.", "Answer briefly.", "You are a friendly assistant.",
    "You are an AI assistant. Answer in one sentence.", "Be concise and honest.", "You answer questions about Stator.",
    "You are a helpful, harmless and honest assistant.", "Keep your answers short and clear.", "You are a technical support agent.",
    "Answer the user's question.", "If you do not know something, say so.", "You are an expert in serving large language models.",
    "You are ChatGPT, a large language model.", "Respond in plain English.", "You are a chatbot.", "You are a polite assistant for Stator users.",
    "Help the user.", "Do not make things up.", "The user is new to Stator.", "You are a knowledgeable guide.", "Use simple words.",
    "You are running on a small machine.", "You are a test model. Reply to every message.", "Always answer in English.",
]


@dataclass
class Message:
    role: str
    content: str


class DialogueSource:
    """An endless, seeded stream of dialogues."""

    def __init__(self, corpus: Corpus, seed: int):
        self.corpus = corpus
        self.rng = random.Random(seed)
        self.known, self.unknown = corpus.known, corpus.unknown
        self.readings = {ask: expand(ask) for entry in corpus.entries for ask in entry.asks if "{" in ask}

    def question(self, asks: list[str]) -> str:
        while True:
            pattern = self.rng.choice(asks)
            text = self.rng.choice(self.readings[pattern]) if pattern in self.readings else pattern
            if asks is self.unknown.asks and self.rng.random() < NONSENSE_SHARE:
                text = nonsense(self.rng)
            elif asks is not self.unknown.asks and self.rng.random() < PAIR_CHANCE:
                text = f"{text.rstrip('.?! ')}, {self.rng.choice(asks)}"  # the same question asked twice over
            surface = vary(text, self.rng).strip() if self.rng.random() < 0.85 else text
            if normalise(surface) not in self.corpus.forbidden and surface:
                return surface

    def dialogue(self) -> list[Message]:
        rng, messages = self.rng, []
        if rng.random() < SYSTEM_CHANCE:
            messages.append(Message("system", rng.choice(SYSTEM_PROMPTS)))
        low, high = rng.choices([t for _, t in TURNS], [w for w, _ in TURNS])[0]
        entry: Entry | None = None
        for _ in range(rng.randint(low, high)):
            if entry and entry.follows and rng.random() < FOLLOW_CHANCE:
                follow = rng.choice(entry.follows)
                asks, answer, entry = follow.asks, follow.answer, entry if rng.random() < 0.5 else None
            else:
                entry = self.unknown if rng.random() < UNKNOWN_SHARE else rng.choice(self.known)
                asks, answer = entry.asks, entry.answer
            messages += [Message("user", self.question(asks)), Message("assistant", answer)]
        return messages
