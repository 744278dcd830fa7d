"""Texts that the sentencepiece library decodes from ids.

usage: python decode.py OUT.json, in this folder
"""
import json, random, sys
import sentencepiece
r, out = random.Random(5), {}
for name in ("bpe-bytes.model", "bpe.model", "unigram-bytes.model", "unigram-suffix.model", "unigram.model"):
    p = sentencepiece.SentencePieceProcessor(model_file=name)
    n, space = p.get_piece_size(), p.piece_to_id("▁")
    lists = [[], [space, space, 20], [0, 1, 2, space, 30]]
    lists += [[r.randrange(n) for _ in range(r.randrange(1, 30))] for _ in range(40)]
    lists += [[r.randrange(min(n, 300)) for _ in range(12)] for _ in range(40)]
    out[name] = [[ids, p.decode(ids)] for ids in lists]
json.dump(out, open(sys.argv[1], "w"), ensure_ascii=True)
