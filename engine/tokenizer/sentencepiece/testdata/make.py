"""Writes small SentencePiece models and the ids that the sentencepiece library gives with them.

make.py OUT [COUNT [MODEL ...]]: trains the small models into OUT and writes OUT/ids.json.gz with COUNT strings (250) for
each; models named on the command line are copied there and join in.
"""
import gzip, io, json, os, random, shutil, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "testdata"))
import sentencepiece as spm
import strings

out, count, extra = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 250, sys.argv[3:]


def varint(b, i):
    n = shift = 0
    while True:
        n |= (b[i] & 127) << shift
        shift, i = shift + 7, i + 1
        if b[i - 1] < 128:
            return n, i


def unused(b):
    """Sets the type of every third normal piece of more than three characters to UNUSED (field 3 = 5)."""
    res, i, k = b"", 0, 0
    while i < len(b):
        start = i
        tag, i = varint(b, i)
        n, i = varint(b, i)  # every top-level field is a message
        body, i = b[i:i + n], i + n
        if tag == 10:
            k += 1
            m, at = varint(body, 1)
            if k % 3 == 0 and len(body[at:at + m].decode()) > 3 and at + m + 5 == len(body):
                body += b"\x18\x05"
                size = len(body)
                res += b"\x0a" + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + body
                continue
        res += b[start:i]
    return res


os.makedirs(out, exist_ok=True)
rng = random.Random(1)
lines = strings.corpus(rng)
# Rules like those of NFKC: several characters to one, one to several, one to a space, one to nothing.
rules = [("ﬁ", "fi"), ("ﬃ", "ffi"), ("e\u0301", "é"), ("E\u0301", "É"), ("\u3000", " "), ("\xa0", " "), ("\t", " "), ("\n", " "), ("…", "..."), ("①", "1"),
         ("ｶﾞ", "ガ"), ("\u200b", " "), ("\xad", ""), ("\u0301", ""), ("㌔", "キロ"), ("\u1100\u1161", "가"), ("\x7f", ""), ("Å", "A \u030a")]
with tempfile.TemporaryDirectory() as tmp:
    tsv = os.path.join(tmp, "rules.tsv")
    with open(tsv, "w", encoding="utf-8") as f:
        for a, b in rules:
            f.write(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n")
    for name, opts in {
        "unigram": dict(model_type="unigram", normalization_rule_tsv=tsv, pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
        "unigram-bytes": dict(model_type="unigram", normalization_rule_name="identity", byte_fallback=True, vocab_size=520,
                              user_defined_symbols=["<extra_id_0>", "<|", "photo of"], remove_extra_whitespaces=False),
        "unigram-suffix": dict(model_type="unigram", normalization_rule_tsv=tsv, treat_whitespace_as_suffix=True),
        "bpe-bytes": dict(model_type="bpe", normalization_rule_name="identity", byte_fallback=True, vocab_size=520,
                          user_defined_symbols=["▁▁", "<|im_start|>", "\n"], remove_extra_whitespaces=False),
        "bpe": dict(model_type="bpe", normalization_rule_tsv=tsv, add_dummy_prefix=False),
    }.items():
        buf = io.BytesIO()
        spm.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=buf, minloglevel=2, hard_vocab_limit=False,
                                       **{"vocab_size": 260, "character_coverage": 0.985, **opts})
        data = bytearray(buf.getvalue())
        if name == "bpe":  # some pieces become unused ones (type 5): their halves come out instead
            data = unused(bytes(data))
        with open(os.path.join(out, name + ".model"), "wb") as f:
            f.write(data)
for path in extra:
    shutil.copy(path, os.path.join(out, os.path.basename(os.path.dirname(path)) + ".model"))
sets = {}
for name in sorted(os.listdir(out)):
    if name.endswith(".model"):
        p = spm.SentencePieceProcessor(model_file=os.path.join(out, name))
        texts = [strings.text(rng) for _ in range(count)]
        sets[name] = [[t, p.encode(t)] for t in texts]
with open(os.path.join(out, "ids.json.gz"), "wb") as f:
    f.write(gzip.compress(json.dumps(sets, separators=(",", ":")).encode(), mtime=0))
