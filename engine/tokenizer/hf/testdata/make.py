"""Writes small tokenizer.json files and the ids that the tokenizers library gives with them.

make.py OUT [COUNT [NAME=FILE ...]]: trains the small vocabularies into OUT and writes OUT/ids.json.gz with COUNT strings
(120) for each; files named on the command line (tokenizer.json, or a folder that transformers reads with the class
NAME) are copied there and join in. The character map is that of ../../sentencepiece/testdata/unigram.model.
"""
import gzip, json, os, random, sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "testdata"))
import strings
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers as N, pre_tokenizers as P, trainers

out, count, extra = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 120, sys.argv[3:]
os.makedirs(out, exist_ok=True)
rng = random.Random(2)
lines = strings.corpus(rng)
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def split(regex):
    return P.Sequence([P.Split(Regex(regex), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)])


def bpe(name, normalizer=None, pre=None, added=(), size=500, alphabet=True, specials=(), **model):
    tok = Tokenizer(models.BPE(**model))
    if normalizer:
        tok.normalizer = normalizer
    if pre:
        tok.pre_tokenizer = pre
    kw = {k: model[k] for k in ("continuing_subword_prefix", "end_of_word_suffix") if k in model}
    tok.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=list(specials),
                                                       initial_alphabet=P.ByteLevel.alphabet() if alphabet else [], **kw))
    tok.add_tokens([t for t in added if not t.special])
    tok.add_special_tokens([t for t in added if t.special])
    save(name, tok)


def save(name, tok):
    d = json.loads(tok.to_str())
    if d["model"]["type"] == "BPE":
        d["model"].setdefault("ignore_merges", False)
    with open(os.path.join(out, name + ".json"), "w", encoding="utf-8") as f:
        json.dump(d, f, ensure_ascii=False, separators=(",", ":"))


def edit(name, **changes):
    path = os.path.join(out, name + ".json")
    d = json.load(open(path, encoding="utf-8"))
    for k, v in changes.items():
        d["model"][k] = v
    json.dump(d, open(path, "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))


SP = [AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True), AddedToken("<|endoftext|>", special=True, normalized=False)]
bpe("bpe-qwen", N.NFC(), split(QWEN), SP + [AddedToken("photo of", normalized=True), AddedToken("é", normalized=True)])
bpe("bpe-llama", None, split(LLAMA), SP + [AddedToken("cat", single_word=True), AddedToken("<pad>", lstrip=True, rstrip=True)])
edit("bpe-llama", ignore_merges=True, merges=json.load(open(os.path.join(out, "bpe-llama.json")))["model"]["merges"][:-40])
bpe("bpe-gpt2", None, P.ByteLevel(add_prefix_space=True), SP)
bpe("bpe-o200k", None, split(O200K), SP)
bpe("bpe-clip", N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()]),
    P.Sequence([P.Split(Regex(CLIP), "removed", invert=True), P.ByteLevel(add_prefix_space=False)]), [], size=700,
    specials=["<unk>"], unk_token="<unk>", end_of_word_suffix="</w>")
bytes_ = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
bpe("bpe-gemma", N.Replace(" ", "▁"), P.Split(" ", "merged_with_previous"), SP, size=600, alphabet=False, specials=bytes_, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
bpe("bpe-spaced", N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None, SP, size=300, alphabet=False, specials=["<unk>"], unk_token="<unk>", fuse_unk=True)
bpe("bpe-words", N.Sequence([N.NFKD(), N.StripAccents(), N.Strip()]), P.Whitespace(), [AddedToken("[SPACE]", special=True)], size=300, alphabet=False, specials=["[UNK]"], unk_token="[UNK]")
bpe("bpe-pieces", N.NFKC(), P.Sequence([P.WhitespaceSplit(), P.Digits(individual_digits=True), P.Punctuation("contiguous"), P.Metaspace(prepend_scheme="always")]), SP, size=300, alphabet=False,
    specials=["<unk>"], unk_token="<unk>")


def spm_charsmap():
    """The precompiled map: field 2 of ModelProto's field 3."""
    def varint(b, i):
        n = shift = 0
        while True:
            n |= (b[i] & 127) << shift
            shift, i = shift + 7, i + 1
            if b[i - 1] < 128:
                return n, i

    def fields(b):
        i = 0
        while i < len(b):
            tag, i = varint(b, i)
            if tag & 7 == 2:
                n, i = varint(b, i)
                yield tag >> 3, b[i:i + n]
                i += n
            elif tag & 7 == 5:
                i += 4
            else:
                _, i = varint(b, i)
    model = open(os.path.join(here, "..", "..", "sentencepiece", "testdata", "unigram.model"), "rb").read()
    for num, body in fields(model):
        if num == 3:
            return next(v for n, v in fields(body) if n == 2)


def unigram(name, normalizer, pre, **changes):
    tok = Tokenizer(models.Unigram())
    tok.normalizer, tok.pre_tokenizer = normalizer, pre
    specials = ["<pad>", "</s>", "<unk>"] + ([f"<0x{i:02X}>" for i in range(256)] if changes.get("byte_fallback") else [])
    tok.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=300 + len(specials), show_progress=False, unk_token="<unk>", special_tokens=specials))
    tok.add_special_tokens([AddedToken("<extra_id_0>", special=True)])
    save(name, tok)
    edit(name, **changes)


unigram("unigram-t5", N.Precompiled(spm_charsmap()), P.Sequence([P.WhitespaceSplit(), P.Metaspace(prepend_scheme="always")]))
unigram("unigram-first", N.Sequence([N.Precompiled(spm_charsmap()), N.Strip(left=False, right=True), N.Replace(Regex(" {2,}"), "▁")]), P.Metaspace(prepend_scheme="first"), byte_fallback=True)
unigram("unigram-nosplit", N.NFKC(), P.Metaspace(prepend_scheme="never", split=False))
for name, kw in {"wordpiece": dict(lowercase=True), "wordpiece-cased": dict(lowercase=False, strip_accents=True, handle_chinese_chars=False)}.items():
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer, tok.pre_tokenizer = N.BertNormalizer(**kw), P.BertPreTokenizer()
    tok.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=300, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    save(name, tok)
for e in extra:
    name, path = e.split("=")
    if os.path.isdir(path):
        import transformers
        save(name, getattr(transformers, name).from_pretrained(path)._tokenizer)
    else:
        save(os.path.basename(os.path.dirname(path)) + name, Tokenizer.from_file(path))
sets = {}
for name in sorted(os.listdir(out)):
    if name.endswith(".json"):
        tok = Tokenizer.from_file(os.path.join(out, name))
        texts = [strings.text(rng, old=True) for _ in range(count)]
        sets[name] = [[t, tok.encode(t, add_special_tokens=False).ids] for t in texts]
with open(os.path.join(out, "ids.json.gz"), "wb") as f:
    f.write(gzip.compress(json.dumps(sets, separators=(",", ":")).encode(), mtime=0))
