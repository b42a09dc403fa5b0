"""The network: a Llama-architecture transformer of about 2.6 million parameters.

Why our own few lines instead of a library: the shape must be exactly what llama.cpp runs as `llama`, so that
PyTorch and llama.cpp give the same greedy tokens. Three choices matter for that:
- rotary embedding on interleaved pairs (x0,x1),(x2,x3)… which is ggml's "normal" order, so that export permutes nothing;
- tied embeddings: there is no output matrix, the file has no `output.weight`;
- RMS norms without bias, SwiGLU feed-forward, grouped-query attention (3 query heads share 1 key/value head).
Dropout is used in training only and leaves no trace in the file.
"""
from dataclasses import dataclass, asdict

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int = 3072
    hidden: int = 192
    layers: int = 5
    heads: int = 3
    kv_heads: int = 1
    head_dim: int = 64
    feed_forward: int = 512
    context: int = 1024
    rope_base: float = 10000.0
    norm_eps: float = 1e-5
    dropout: float = 0.0

    def as_dict(self) -> dict:
        return asdict(self)


def rope_tables(config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, each [context, head_dim / 2]."""
    exponent = torch.arange(0, config.head_dim, 2).float() / config.head_dim
    angles = torch.outer(torch.arange(config.context).float(), 1.0 / config.rope_base**exponent)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).to(x.dtype)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention, [rows, heads, length, head_dim]; the query heads of a group share a key/value head. Written out
    because on the CPU, for the short rows of this corpus, it trains faster than the fused kernel."""
    rows, heads, length, size = q.shape
    grouped = q.reshape(rows, k.shape[1], -1, size)
    scores = (grouped @ k.mT).float().view(rows, k.shape[1], -1, length, length) * size**-0.5
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1).to(v.dtype)
    return (weights.view(rows, k.shape[1], -1, length) @ v).view(rows, heads, length, size)


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight, self.eps)


class Block(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.attn_norm = RMSNorm(c.hidden, c.norm_eps)
        self.attn_q = linear(c.hidden, c.heads * c.head_dim)
        self.attn_k = linear(c.hidden, c.kv_heads * c.head_dim)
        self.attn_v = linear(c.hidden, c.kv_heads * c.head_dim)
        self.attn_output = linear(c.heads * c.head_dim, c.hidden)
        self.ffn_norm = RMSNorm(c.hidden, c.norm_eps)
        self.ffn_gate = linear(c.hidden, c.feed_forward)
        self.ffn_up = linear(c.hidden, c.feed_forward)
        self.ffn_down = linear(c.feed_forward, c.hidden)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        c = self.c
        rows, length, _ = x.shape
        split = lambda y, heads: y.view(rows, length, heads, c.head_dim).transpose(1, 2)
        h = self.attn_norm(x)
        qkv = F.linear(h, torch.cat((self.attn_q.weight, self.attn_k.weight, self.attn_v.weight)))
        q, k, v = split(qkv, c.heads + 2 * c.kv_heads).split((c.heads, c.kv_heads, c.kv_heads), 1)
        attended = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        drop = lambda y: F.dropout(y, c.dropout, self.training)
        x = x + drop(self.attn_output(attended.transpose(1, 2).reshape(rows, length, -1)))
        h = self.ffn_norm(x)
        gate, up = F.linear(h, torch.cat((self.ffn_gate.weight, self.ffn_up.weight))).chunk(2, -1)
        return x + drop(self.ffn_down(F.silu(gate) * up))


class TinyLlama(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.token_embd = nn.Embedding(c.vocab, c.hidden)
        self.blk = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.output_norm = RMSNorm(c.hidden, c.norm_eps)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(weight, 0.0, 0.02 / (2 * c.layers) ** 0.5 if residual else 0.02)
        cos, sin = rope_tables(c)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """ids [rows, length] → normed hidden states [rows, length, hidden]."""
        length = ids.shape[1]
        x = F.dropout(self.token_embd(ids), self.c.dropout, self.training)
        for block in self.blk:
            x = block(x, self.cos[:length], self.sin[:length])
        return self.output_norm(x)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.token_embd.weight)

    @torch.no_grad()
    def greedy(self, prompt: list[int], end: int, limit: int = 96) -> list[int]:
        """The greedy continuation of one prompt, without the end token. Recomputes the whole prefix: small and exact."""
        ids = list(prompt)
        while len(ids) < min(len(prompt) + limit, self.c.context):
            token = int(self.logits(self.hidden(torch.tensor([ids]))[0, -1]).argmax())
            if token == end:
                break
            ids.append(token)
        return ids[len(prompt):]
