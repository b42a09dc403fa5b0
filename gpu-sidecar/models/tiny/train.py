"""Train the demonstration model from scratch on this folder's corpus.

    python train.py --minutes 25          # as many steps as fit
    python train.py --steps 4000          # the same weights every time, on the same machine and thread count

Writes build/tokenizer.json and build/model.pt (weights, shape, how it was trained). The loss counts only the
assistant's words. Progress goes to standard output, a checkpoint is saved once a minute.
"""
import argparse
import os
import time
from typing import Callable

# On a shared machine threads that wait by spinning take the time that the slowest one needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import corpus
from dialogue import DialogueSource
from model import Config, TinyLlama
from optimiser import Optimiser, schedule
from tokens import Batches, Encoder, save_tokenizer, train_tokenizer

HiddenOf = Callable[[torch.Tensor], torch.Tensor]
BUILD = corpus.HERE / "build"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train stator-tiny from scratch.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="number of steps (repeatable)")
    length.add_argument("--minutes", type=float, default=25.0, help="training time (default 25)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--compile", action="store_true", help="fuse the network's kernels first: half as fast again, needs g++")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint at --out (with --steps)")
    parser.add_argument("--out", default=str(BUILD / "model.pt"))
    return parser.parse_args()


def loss_of(model: TinyLlama, hidden_of: HiddenOf, ids: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = hidden_of(ids[:, :-1])
        target = learnt[:, 1:]
        logits = model.logits(hidden[target])
    return F.cross_entropy(logits.float(), ids[:, 1:][target])


def compiled(model: TinyLlama, batches: Batches) -> HiddenOf:
    """The fused network, compiled before the clock starts. Its gradients are thrown away."""
    hidden_of = torch.compile(model.hidden, dynamic=True)
    began = time.monotonic()
    for _ in range(4):
        loss_of(model, hidden_of, *batches.next()).backward()
    model.zero_grad()
    print(f"compiled in {time.monotonic() - began:.0f} s", flush=True)
    return hidden_of


def main() -> None:
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    BUILD.mkdir(exist_ok=True)
    data = corpus.load()
    saved_run = torch.load(args.out, map_location="cpu") if args.resume else None
    before = saved_run["history"] if saved_run else {"steps": 0, "seconds": 0.0, "tokens": 0}
    step = before["steps"]
    if saved_run:
        tokenizer = Tokenizer.from_file(str(BUILD / "tokenizer.json"))
    else:
        tokenizer = train_tokenizer(DialogueSource(data, args.seed + 1))
        save_tokenizer(tokenizer, BUILD / "tokenizer.json")
    config = Config(vocab=tokenizer.get_vocab_size(), dropout=args.dropout)
    model = TinyLlama(config)
    optimiser = Optimiser(model)
    if saved_run:
        model.load_state_dict(saved_run["weights"])
        if "optimiser" in saved_run:
            optimiser.restore(saved_run["optimiser"])
    batches = Batches(DialogueSource(data, args.seed + step), Encoder(tokenizer), args.batch_tokens, config.context)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{len(data.entries)} entries, vocabulary {config.vocab}, {parameters:,} parameters, {args.threads} threads", flush=True)

    hidden_of = compiled(model, batches) if args.compile else model.hidden
    start = saved = time.monotonic()
    seen, average, waited = before["tokens"], None, 0.0

    def save() -> None:
        history = {"steps": step, "seconds": before["seconds"] + time.monotonic() - start, "tokens": seen, "seed": args.seed, "loss": average}
        torch.save({"config": config.as_dict(), "weights": model.state_dict(), "history": history,
                    "optimiser": optimiser.state()}, args.out)

    while True:
        now = time.monotonic()
        progress = step / args.steps if args.steps else (now - start) / (60 * args.minutes)
        if progress >= 1:
            break
        ids, learnt = batches.next()
        waited += time.monotonic() - now
        loss = loss_of(model, hidden_of, ids, learnt)
        loss.backward()
        optimiser.step(schedule(progress))
        step, seen = step + 1, seen + ids.numel()
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"{now - start:6.0f} s  {progress:4.0%}  step {step}  {seen / 1e6:.1f} M tokens  loss {average:.4f}  "
                  f"(making data {waited:.0f} s)", flush=True)
        if now - saved > 60:
            save()
            saved = now
    save()
    print(f"done: {step} steps, {seen / 1e6:.1f} M tokens, {time.monotonic() - start:.0f} s, loss {average:.4f}")


if __name__ == "__main__":
    main()
