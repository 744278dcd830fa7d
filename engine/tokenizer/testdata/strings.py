"""Strings that tokenizers get wrong, for the scripts that write goldens: text(rng) and corpus(rng)."""
import random, unicodedata

POOL = ["a", "B", "the", " cat", "photo of ", "Hello", "'", "'s", "'LL", "'ſ", "n't", "!", "-", "_", "__", ",", ".", "...", " ", "  ", "   ",
        "\t", "\n", "\n\n", "\r\n", "\x0b", "\x1c", "\x85", "\xa0", "\u200b", "\u200d", "\u2028", "\u3000", "\ufeff", "\xad",
        "1", "22", "333", "4444", "12345678", "Ⅷ", "½", "²", "٣", "é", "e\u0301", "E\u0301\u0323", "\u0301", "İ", "I\u0307", "ß", "ẞ", "Σ", "ΑΣ", "ς", "ﬁ", "ﬃx",
        "Å", "\u212b", "ｶﾞ", "ﾊﾟ", "㌔", "①", "日本語", "中文", "㐀", "𠀀", "한글", "가", "\u1100\u1161", "ไทย", "हिन्दी", "עברית", "العربية", "ﷺ", "😀", "👩‍🚀", "🇩🇪", "✨",
        "▁", "▁▁", "<", ">", "<s>", "</s>", "<unk>", "<pad>", "<0x41>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_id_0>", "[CLS]", "[MASK]", "[PAD]", "##a",
        "<|", "|>", "[", "]", "(", ")", "\\", "/", "://", "@", "#", "$5", "%", "^", "&", "*", "+", "=", "~", "`", "—", "“", "”", "…", "\x00", "\x01", "\x7f",
        "\ufffd", "\U000e0001", "\ue000", "\U0010fffd", "ǅ", "ŉ", "K", "ſt", "x" * 120, "ab" * 30, "\u0958", "\u0345", "Ω"]
WORDS = ("masterpiece best quality a painting of the old city with red houses under blue sky while rain falls on people walking "
         "their dogs through narrow streets lit by warm lanterns detailed background soft light cinematic high resolution don't it's we'll").split()


def text(rng, old=False):
    """One string: of words, of odd pieces, or of random code points (old: of Unicode 3.2)."""
    category = unicodedata.ucd_3_2_0.category if old else unicodedata.category
    kind = rng.random()
    if kind < 0.3:
        sep = rng.choice([" ", ", ", "  "])
        return sep.join(rng.choice(WORDS) for _ in range(rng.randint(1, 25)))
    if kind < 0.8:
        return "".join(rng.choice(POOL) if rng.random() < .7 else rng.choice(WORDS) for _ in range(rng.randint(0, 16)))
    out = []
    while len(out) < rng.randint(1, 20):
        c = rng.randrange(rng.choice([0x80, 0x500, 0x3400, 0x10000, 0x20000]))
        if category(chr(c)) not in ("Cs", "Cn"):
            out.append(chr(c))
    return "".join(out)


def corpus(rng, lines=400):
    """Lines to train a small vocabulary on."""
    return ["" .join(rng.choice(WORDS) + rng.choice([" ", " ", ", ", "."]) for _ in range(12)) + rng.choice(POOL) for _ in range(lines)]
