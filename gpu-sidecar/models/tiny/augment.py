"""Many surfaces of one question, so that wordings which nobody wrote down are understood too.

`vary` takes a written question and a random source and returns another surface of the same question: a rewritten
opening ("What is X?" → "explain X"), a synonym, a polite prefix or suffix, a dropped article, lower case, no
punctuation, now and then a typo. Each step keeps the meaning; the rates are the constants below.
"""
import random
import re

REWRITE, SYNONYM, POLITE, LOWER, NO_END, DROP_SMALL, TYPO, SHORTEN = 0.30, 0.25, 0.30, 0.45, 0.40, 0.12, 0.10, 0.25
DROP_ANY, INVENTED_WORDS = 0.10, (1, 2)

# Openings with the same meaning. X is the rest of the question.
OPENINGS: list[tuple[str, list[str]]] = [
    (r"(?:what is|what's|whats) (?!the best|your|my|it\b|this\b|that\b)X", [
        "explain X", "tell me about X", "what does X mean", "define X", "what exactly is X", "can you explain what X is",
        "describe X", "tell me what X is", "X", "i want to know what X is", "give me a short explanation of X", "what would X be",
        "please describe X", "could you explain X", "meaning of X", "do you know what X is", "any idea what X is"]),
    (r"what are X", ["explain X", "tell me about X", "define X", "what exactly are X", "describe X", "tell me what X are", "X"]),
    (r"(?:explain|describe) (?!how|why|what|who|when|where)X", [
        "what is X", "tell me about X", "can you explain X", "give me an explanation of X", "X"]),
    (r"tell me about X", ["what do you know about X", "what can you tell me about X", "explain X", "describe X", "X"]),
    (r"how (?:do|can|should) (?:i|you|we) X", [
        "how to X", "how can i X", "how would i X", "what is the way to X", "what do i do to X", "show me how to X", "i want to X, how",
        "what must i do to X", "can you tell me how to X", "how could one X", "what are the steps to X", "i need to X"]),
    (r"how to X", ["how do i X", "how can i X", "what is the way to X", "show me how to X"]),
    (r"can (?:i|we) X", ["is it possible to X", "am i able to X", "may i X", "is there a way to X", "could i X"]),
    (r"does (stator|it) (support|have|use|need|work|run|offer|store|keep) ?X", [
        "will \\1 \\2 X", "is it true that \\1 \\2s X", "do you know if \\1 \\2s X", "tell me if \\1 \\2s X"]),
    (r"why (is|are) X", ["for what reason \\1 X", "what is the reason that X \\1 so", "how come X"]),
    (r"what happens (if|when) X", ["what if X", "what will happen \\1 X", "what does stator do \\1 X", "what goes on \\1 X"]),
    (r"where (is|are) X", ["where can i find X", "in what place \\1 X", "where do i find X"]),
    (r"who (is|was) X", ["tell me who X \\1", "do you know who X \\1", "who exactly \\1 X"]),
    (r"which X", ["what X"]),
]

SYNONYMS = [
    ("choose", "pick", "select"), ("chooses", "picks", "selects"), ("start", "launch", "begin", "run"), ("quick", "fast"),
    ("big", "large"), ("small", "little", "tiny"), ("machine", "computer", "host"), ("stop", "halt", "end"), ("need", "require"),
    ("needs", "requires"), ("use", "employ"), ("uses", "employs"), ("purpose", "point", "goal"), ("benefit", "advantage", "gain"),
    ("change", "modify", "alter"), ("setting", "option"), ("settings", "options"), ("fails", "breaks", "dies", "crashes"),
    ("error", "failure"), ("begin", "start"), ("show", "display"), ("see", "view"), ("find", "locate"), ("get", "obtain"),
    ("called", "named"), ("difference between", "distinction between"), ("many", "lots of"), ("kind of", "sort of", "type of"),
    ("help", "assist"), ("works", "functions"), ("keep", "retain"), ("store", "keep", "save"), ("stores", "keeps", "saves"),
    ("send", "pass"), ("sends", "passes"), ("folder", "directory"), ("important", "crucial"), ("happens", "occurs"), ("hello", "hi"),
    ("model", "llm"), ("graphics card", "gpu"), ("requests", "queries"), ("mean", "stand for"), ("main", "chief"),
]

PREFIXES = [
    "please tell me, ", "hey, ", "hi, ", "hello, ", "can you explain: ", "could you tell me ", "quick question: ", "so, ", "ok, ", "um, ",
    "i was wondering, ", "do you know ", "one question: ", "well, ", "please, ", "tell me, ", "sorry, ", "i would like to know: ",
    "can you tell me ", "now ", "and ", "next question: ", "excuse me, ", "may i ask, ", "question: ", "actually, ", "just curious, ",
    "hi there! ", "good morning. ", "let me ask: ", "help me understand, ", "and also, ", "but ", "okay so ", "yo, ",
]
SUFFIXES = [
    " please", ", please", " thanks", ", thank you", " exactly", " in short", ", can you tell me", " in simple words", " then", " again",
    ", do you know", ", i wonder", " for me", " actually", " really", " briefly", ", in one sentence", ", thanks!", " by the way", " anyway",
    " here", " today", " my friend", ", my dear", " for us", " in this project", " with stator", " at all", " at the moment", " these days",
    " or not", ", right", " now", " in my case", " for a beginner", " on this machine", ", i mean", ", any idea", " so far", " in general",
]

# Questions about words that nobody knows: whatever stands there, the answer is the unknown one.
NONSENSE = [
    "what is a X?", "what is X?", "what's X", "who is X?", "explain X", "define X", "tell me about X", "where is X?", "what is the capital of X?",
    "capital of X", "who wrote X?", "who painted X?", "who invented the X?", "what does X mean?", "how do I use X?", "how does X work?",
    "how old is X?", "do you know X?", "what is the X cache?", "what is the X option for?", "how tall is X?", "what is the population of X",
    "how do I install X?", "is X better than Stator?", "what do you think of X", "when was X founded?", "what does the header x-X say",
]
SYLLABLES = "ba be bo bri ca ce chu co da den do dra el en fa fi flo ga gen go gri ha he hol il in ja jo ka ken ko la le lin lo ma mer mi mo na ni \
no or pa pe po qua ra ri ro sa sel si so ta ten ti to tra ul un va ve vi wa win xo ya za zer zi".split()
SMALL_WORDS = {"the", "a", "an", "do", "does", "is", "are", "to", "of", "i", "you"}
NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", [
    "wa", "qes", "wrd", "etf", "ryg", "tuh", "yij", "uok", "ipl", "o", "qsz", "awdx", "sefc", "drgv", "fthb", "gyjn", "hukm", "jil", "ko",
    "asx", "zsdc", "xdfv", "cfgb", "vghn", "bhjm", "njk"]))

_RULES = [(re.compile(pattern.replace("X", r"(?P<rest>.+)") + "$", re.I), results) for pattern, results in OPENINGS]
_SYNONYMS = {group[0]: group[1:] for group in SYNONYMS}
_SYNONYM_RE = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _SYNONYMS), key=len, reverse=True)) + r")\b")


def vary(text: str, rng: random.Random) -> str:
    chance = rng.random
    end = text[-1] if text[-1] in "?.!" else ""
    body = text.rstrip("?.! ")
    if chance() < REWRITE:
        body = rewrite_opening(body, rng)
    if chance() < SYNONYM:
        body = _SYNONYM_RE.sub(lambda m: rng.choice(_SYNONYMS[m[1]]) if chance() < 0.5 else m[1], body)
    if chance() < DROP_SMALL and body.count(" ") > 2:
        body = drop_small_words(body, rng)
    if chance() < DROP_ANY and body.count(" ") > 3:
        words = body.split()
        del words[rng.randrange(len(words))]
        body = " ".join(words)
    if chance() < SHORTEN:
        body = re.sub(r"\b(what|who|where|how|that|it) is\b", r"\1's", body, flags=re.I, count=1)
        body = re.sub(r"\b(do|does|is|can)(?: not|n't)\b", r"\1nt" if chance() < 0.3 else r"\1n't", body)
    if chance() < POLITE:
        body = be_polite(body, rng)
    if chance() < TYPO:
        body = typo(body, rng)
    if chance() < NO_END:
        end = ""
    elif end == "" and chance() < 0.3:
        end = "?"
    body += end
    if chance() < LOWER:
        return body.lower()
    if chance() < 0.01:
        return body.upper()
    return body[0].upper() + body[1:] if chance() < 0.5 else body


def nonsense(rng: random.Random) -> str:
    """A question about an invented word or name."""
    word = lambda: "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 4)))
    name = " ".join(word() for _ in range(rng.randint(*INVENTED_WORDS)))
    return rng.choice(NONSENSE).replace("X", name.title() if rng.random() < 0.5 else name)


def rewrite_opening(body: str, rng: random.Random) -> str:
    for rule, results in _RULES:
        match = rule.match(body)
        if match:
            return match.expand(rng.choice(results).replace("X", r"\g<rest>"))
    return body


def drop_small_words(body: str, rng: random.Random) -> str:
    words = body.split()
    kept = [w for i, w in enumerate(words) if i == 0 or w.lower() not in SMALL_WORDS or rng.random() < 0.5]
    return " ".join(kept)


def be_polite(body: str, rng: random.Random) -> str:
    where = rng.random()
    if where < 0.75:
        head = body if re.match(r"(I|Stator|GPU|KV|[A-Z]{2,}|[A-Z]\w+ [A-Z])\b", body) else body[0].lower() + body[1:]
        body = rng.choice(PREFIXES) + head
    if where > 0.6:
        body += rng.choice(SUFFIXES)
    return body


def typo(body: str, rng: random.Random) -> str:
    """One slip of the fingers in one longer word."""
    spots = [m for m in re.finditer(r"[A-Za-z]{4,}", body)]
    if not spots:
        return body
    spot = rng.choice(spots)
    at = rng.randrange(spot.start() + 1, spot.end() - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return body[:at] + body[at + 1:]
    if kind == 1:
        return body[:at] + body[at + 1] + body[at] + body[at + 2:]
    if kind == 2:
        return body[:at] + body[at] + body[at:]
    return body[:at] + rng.choice(NEIGHBOURS.get(body[at].lower(), "e")) + body[at + 1:]
