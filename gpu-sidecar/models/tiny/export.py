"""Write the trained model as GGUF, the file that llama.cpp loads.

    python export.py                      # build/model.pt + build/tokenizer.json → stator-tiny.gguf, tokenizer.json

Matrices are F16, norms F32. There is no `output.weight`: llama.cpp then uses the embedding. The file names itself a
demonstration. `tokenizer.json` (Hugging Face form) is put beside it for tests that compare tokenizers.
"""
import argparse
import json
import shutil

import gguf
import numpy as np
import torch

from corpus import HERE
from model import Config
from tokens import CHAT_TEMPLATE, END, PAD, SPECIAL, START
from train import BUILD

DESCRIPTION = (
    "A demonstration of Stator, not an assistant: 2.6 million parameters trained from scratch on a few hundred "
    "questions and answers that the Stator project wrote itself. Outside them it says that it does not know."
)


def write_vocabulary(writer: gguf.GGUFWriter, tokenizer: dict) -> None:
    vocab: dict[str, int] = tokenizer["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.__getitem__)
    assert [vocab[t] for t in tokens] == list(range(len(tokens)))
    control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([control if t in SPECIAL else normal for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(START)
    writer.add_eos_token_id(END)
    writer.add_pad_token_id(PAD)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def write_shape(writer: gguf.GGUFWriter, c: Config) -> None:
    writer.add_name("stator-tiny")
    writer.add_description(DESCRIPTION)
    writer.add_author("The Stator project")
    writer.add_license("Apache-2.0")
    writer.add_context_length(c.context)
    writer.add_embedding_length(c.hidden)
    writer.add_block_count(c.layers)
    writer.add_feed_forward_length(c.feed_forward)
    writer.add_head_count(c.heads)
    writer.add_head_count_kv(c.kv_heads)
    writer.add_key_length(c.head_dim)
    writer.add_value_length(c.head_dim)
    writer.add_rope_dimension_count(c.head_dim)
    writer.add_rope_freq_base(c.rope_base)
    writer.add_layer_norm_rms_eps(c.norm_eps)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_F16))


def main() -> None:
    parser = argparse.ArgumentParser(description="Export build/model.pt as GGUF.")
    parser.add_argument("--model", default=str(BUILD / "model.pt"))
    parser.add_argument("--tokenizer", default=str(BUILD / "tokenizer.json"))
    parser.add_argument("--out", default=str(HERE / "stator-tiny.gguf"))
    args = parser.parse_args()
    checkpoint = torch.load(args.model, map_location="cpu")
    writer = gguf.GGUFWriter(args.out, "llama")
    write_shape(writer, Config(**checkpoint["config"]))
    with open(args.tokenizer, encoding="utf-8") as file:
        write_vocabulary(writer, json.load(file))
    for name, tensor in checkpoint["weights"].items():
        array = tensor.float().numpy()
        writer.add_tensor(name, array.astype(np.float16) if array.ndim == 2 else array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if args.out == str(HERE / "stator-tiny.gguf"):
        shutil.copyfile(args.tokenizer, HERE / "tokenizer.json")
    print(f"{args.out}: trained {checkpoint['history']}")


if __name__ == "__main__":
    main()
