"""Writes cleaning.json: tokens of mixed strings by transformers' CLIPTokenizer. Usage: cleaning.py TOKENIZER_FOLDER"""
import hashlib, json, random, sys, unicodedata
from transformers import CLIPTokenizer

tok = CLIPTokenizer.from_pretrained(sys.argv[1])
ids = lambda s: tok(s)["input_ids"][1:-1]
random.seed(1)
pool = ["a", "B", "'", "'s", "'LL", "!", "-", "_", " ", "  ", "\t", "\n", "\x1c", "\x85", "\xa0", "\u200b", "\u2028", "\u3000",
        "1", "22", "Ⅷ", "½", "é", "e\u0301", "İ", "ß", "Σ", "ΑΣ", "ﬁ", "日本", "한글", "가", "😀", "👩‍🚀", "🇩🇪", "\u0301", "\ufeff",
        "<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "<|StartOfText|>", "!!", "</w>", "ǅ", "ﷺ", "\u0958", "\u212b", "\x00", "\x01"]
cases = ["".join(random.choice(pool) for _ in range(random.randint(1, 9))) for _ in range(400)]
assigned = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
h = hashlib.sha256()
for c in assigned:
    h.update((f"{c}:" + ",".join(map(str, ids("a" + chr(c) + "b"))) + "\n").encode())
ranges = []
for c in assigned:
    if ranges and ranges[-1][1] == c - 1:
        ranges[-1][1] = c
    else:
        ranges.append([c, c])
out = {"cases": [[s, ids(s)] for s in cases], "ranges": ranges, "sha256": h.hexdigest()}
json.dump(out, open("cleaning.json", "w"), ensure_ascii=True, separators=(",", ":"))
