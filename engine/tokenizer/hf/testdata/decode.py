"""Texts that the tokenizers library decodes from ids, special tokens left out.

usage: python decode.py OUT.json, in this folder
"""
import json, random, sys
import tokenizers
from tokenizers import decoders
r, out = random.Random(5), {}
for name in ("bpe-gpt2.json", "bpe-llama.json", "bpe-o200k.json", "bpe-qwen.json"):
    t = tokenizers.Tokenizer.from_file(name)
    t.decoder = decoders.ByteLevel()
    n = t.get_vocab_size()
    lists = [[r.randrange(n) for _ in range(r.randrange(0, 30))] for _ in range(60)]
    out[name] = [[ids, t.decode(ids, skip_special_tokens=True)] for ids in lists if all(t.id_to_token(i) is not None for i in ids)]
json.dump(out, open(sys.argv[1], "w"), ensure_ascii=True)
