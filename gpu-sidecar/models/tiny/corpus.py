"""The corpus: plain text files of questions and answers, read, checked and counted.

One entry is a block of lines, blocks are separated by blank lines, `#` starts a comment line:

    id: kv-router
    answer: The KV router sends each request to the worker that ...
    ask: What is the KV router?
    ask: how does {stator|the router} choose a worker
    follow: Why does that help? | what do I gain => It saves prefill work, so ...

`{a|b}` in a question stands for each of its alternatives. A follow-up is asked only after its entry's answer.
Every mistake is reported with file and line, all at once. `python corpus.py` checks everything and prints the counts;
it fails when two entries ask the same thing, and when a held-out wording occurs in training, however punctuated.
"""
import hashlib
import itertools
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS, HELD_OUT, UNKNOWN_PROBES = HERE / "corpus", HERE / "held-out.txt", HERE / "unknown-probes.txt"
UNKNOWN = "unknown"
EXPANSIONS_MAX = 4000
HELD_OUT_ANSWERABLE, HELD_OUT_UNKNOWN = 90, 10
ANSWER_WORDS = (4, 35)


class CorpusError(Exception):
    """All problems found, one per line, each as `file:line: what`."""


@dataclass
class Follow:
    asks: list[str]
    answer: str


@dataclass
class Entry:
    id: str
    where: str
    answer: str = ""
    asks: list[str] = field(default_factory=list)
    follows: list[Follow] = field(default_factory=list)


def normalise(text: str) -> str:
    """The identity of a wording: lower case, no punctuation, single spaces."""
    return " ".join(re.sub(r"[^a-z0-9 ]+", " ", text.lower().replace("'", "")).split())


def expand(pattern: str) -> list[str]:
    """All readings of a question with `{a|b}` alternatives."""
    parts = re.split(r"\{([^{}]*)\}", pattern)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return [re.sub(r"\s+", " ", "".join(pick)).strip() for pick in itertools.product(*choices)]


def alternatives(pattern: str) -> int:
    count = 1
    for group in re.findall(r"\{([^{}]*)\}", pattern):
        count *= group.count("|") + 1
    return count


def parse_file(path: Path, problems: list[str]) -> list[Entry]:
    entries: list[Entry] = []
    entry: Entry | None = None
    for number, raw in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        line, where = raw.strip(), f"{path.name}:{number}"
        if not line:
            entry = None
            continue
        if line.startswith("#"):
            continue
        if not line.isascii():
            problems.append(f"{where}: only ASCII is allowed: {line!r}")
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if not colon or key not in ("id", "answer", "ask", "follow") or not value:
            problems.append(f"{where}: expected 'id:', 'answer:', 'ask:' or 'follow:' with a value, got {line!r}")
        elif key == "id":
            entry = Entry(value, where)
            entries.append(entry)
        elif entry is None:
            problems.append(f"{where}: '{key}:' before the 'id:' of its entry")
        elif key == "answer":
            if entry.answer:
                problems.append(f"{where}: second answer for {entry.id}")
            entry.answer = value
            check_answer(value, where, problems)
        elif key == "ask":
            check_question(value, where, problems)
            entry.asks.append(value)
        else:
            questions, arrow, answer = value.partition("=>")
            asks = [q.strip() for q in questions.split("|") if q.strip()]
            if not arrow or not asks or not answer.strip():
                problems.append(f"{where}: expected 'follow: question | question => answer'")
                continue
            check_answer(answer.strip(), where, problems)
            entry.follows.append(Follow(asks, answer.strip()))
    return entries


def check_answer(text: str, where: str, problems: list[str]) -> None:
    words, (low, high) = len(text.split()), ANSWER_WORDS
    if not low <= words <= high:
        problems.append(f"{where}: an answer has {low} to {high} words, this one {words}: {text!r}")


def check_question(text: str, where: str, problems: list[str]) -> None:
    if "<|" in text:
        problems.append(f"{where}: special tokens are not text: {text!r}")
    if text.count("{") != text.count("}"):
        problems.append(f"{where}: unbalanced braces: {text!r}")
    elif alternatives(text) > EXPANSIONS_MAX:
        problems.append(f"{where}: more than {EXPANSIONS_MAX} readings: {text!r}")


def read_pairs(path: Path, problems: list[str]) -> list[tuple[str, str, str]]:
    """Lines `id<TAB>wording` as (id, wording, where)."""
    pairs = []
    if not path.exists():
        return pairs
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        ident, tab, wording = line.partition("\t")
        if not tab or not wording.strip():
            problems.append(f"{path.name}:{number}: expected id, a tab, a wording: {line!r}")
        else:
            pairs.append((ident.strip(), wording.strip(), f"{path.name}:{number}"))
    return pairs


def held_out_files() -> list[Path]:
    """The list that is scored, the pools it was drawn from and the unknown probes: none may be trained on."""
    return sorted(HERE.glob("held-out*.txt")) + [UNKNOWN_PROBES]


@dataclass
class Corpus:
    entries: list[Entry]
    held_out: list[tuple[str, str]]
    forbidden: set[str]

    @property
    def unknown(self) -> Entry:
        return next(entry for entry in self.entries if entry.id == UNKNOWN)

    @property
    def known(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.id != UNKNOWN]


def load() -> Corpus:
    """Read and check everything, or raise CorpusError with all problems."""
    problems: list[str] = []
    files = sorted(CORPUS.glob("*.txt"))
    entries = [entry for path in files for entry in parse_file(path, problems)]
    by_id: dict[str, Entry] = {}
    owner: dict[str, Entry] = {}
    for entry in entries:
        if entry.id in by_id:
            problems.append(f"{entry.where}: id {entry.id} is already used at {by_id[entry.id].where}")
        by_id[entry.id] = entry
        if not entry.answer or not entry.asks:
            problems.append(f"{entry.where}: {entry.id} needs an answer and at least one ask")
        for ask in (reading for pattern in entry.asks for reading in expand(pattern)):
            other = owner.setdefault(normalise(ask), entry)
            if other is not entry and other.answer != entry.answer:
                problems.append(f"{entry.where}: {ask!r} is also asked by {other.id} ({other.where})")
    if UNKNOWN not in by_id:
        problems.append(f"corpus: no entry with id {UNKNOWN}")
    forbidden: set[str] = set()
    for path in held_out_files():
        for ident, wording, where in read_pairs(path, problems):
            forbidden.add(normalise(wording))
            if ident not in by_id:
                problems.append(f"{where}: no entry has the id {ident}")
            if normalise(wording) in owner:
                problems.append(f"{where}: held-out wording is trained on by {owner[normalise(wording)].id}: {wording!r}")
    held_out = [(ident, wording) for ident, wording, _ in read_pairs(HELD_OUT, problems)]
    if problems:
        raise CorpusError("\n".join(dict.fromkeys(problems)))
    return Corpus(entries, held_out, forbidden)


def draw_held_out() -> None:
    """Choose the scored list from the pools without looking at any result: the wordings with the smallest
    SHA-256, 90 from the pools of answerable questions and 10 from the unknown probes."""
    pools = [path for path in sorted(HERE.glob("held-out-*.txt"))]
    order = lambda pair: hashlib.sha256(pair[1].encode()).hexdigest()
    answerable = sorted((pair for path in pools for pair in read_pairs(path, [])), key=order)[:HELD_OUT_ANSWERABLE]
    unknown = sorted(read_pairs(UNKNOWN_PROBES, []), key=order)[:HELD_OUT_UNKNOWN]
    lines = [f"{ident}\t{wording}" for ident, wording, _ in sorted(answerable) + unknown]
    about = "# The scored wordings, drawn by `python corpus.py --draw` (smallest SHA-256); never trained on.\n"
    HELD_OUT.write_text(about + "\n".join(lines) + "\n")


def main() -> int:
    if sys.argv[1:] == ["--draw"]:
        draw_held_out()
    try:
        corpus = load()
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 1
    follows = sum(len(entry.follows) for entry in corpus.entries)
    wordings = sum(len(entry.asks) for entry in corpus.known)
    readings = sum(alternatives(ask) for ask in corpus.unknown.asks)
    print(f"{len(corpus.known)} answers, {follows} follow-ups, {wordings} wordings "
          f"({wordings / max(1, len(corpus.known)):.1f} each), {readings} unknown questions, {len(corpus.held_out)} held out")
    thin = [entry.id for entry in corpus.known if len(entry.asks) < 15]
    if thin:
        print(f"fewer than 15 wordings: {', '.join(thin)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
