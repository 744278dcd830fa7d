# Calls of comfy_extras/nodes_string.py and nodes_json_prompt.py; see tests/nodecalls/record.py.
import random  # noqa: E402

draw = random.Random(11)

# Format strings.
values = {"a": "text", "b": 42, "c": 3.14159265, "d": True, "e": None, "f": [1, "two", 3.5], "g": -7, "h": 1e300, "i": 12345678901234567890123, "j": 0.0, "k": "ä€😀"}
formats = [
    "", "{a}", "{a} {b}", "{{a}}", "{a!r}", "{k!a}", "{a!s:>10}", "{a:*^11}", "{a:.2}", "{b:5d}", "{b:<5}|", "{b:+}", "{b: }", "{b:05}", "{b:x}", "{b:#X}", "{b:#b}", "{b:o}",
    "{b:c}", "{b:e}", "{b:.2f}", "{b:,}", "{i:,}", "{i:_x}", "{i:>40_}", "{c:.3f}", "{c}", "{c:10.2e}", "{c:g}", "{c:.10g}", "{c:.3}", "{c:%}", "{c:08.2f}", "{c:,.2f}", "{h}", "{h:g}",
    "{h:f}", "{h:,.1f}", "{j}", "{j:g}", "{j:.0f}", "{j:#.0f}", "{d}", "{d:d}", "{d:5}", "{e}", "{e!s:5}|", "{e:5}", "{f}", "{f[0]}", "{f[1]}", "{f[7]}", "{f[x]}", "{f:5}", "{g:+05}", "{g:=6}",
    "{g:^9}", "{b:{g}}", "{a:{b}}|", "{c:.{b}f}", "{b:n}", "{c:n}", "{k}", "{k:😀>5}", "{a[0]}", "{b.real}", "{b.imag}", "{c.real}", "{b.foo}", "{z}", "{}", "{0}", "{", "}", "{a", "{a!}", "{a!x}",
    "{a!rx}", "{a:d}", "{b:s}", "{c:d}", "{b:.2}", "{b:,x}", "{b:,_}", "{a:=5}", "{a:+}", "{a:,}", "{b:5.}", "{b:zz}", "{c:z.1f}", "{c:012,.3f}", "{b:012,}", "{g:08,d}", "{c:_.4f}", "{a!r:>9}",
    "{c:.0e}", "{c:#g}", "{c:E}", "{h:G}", "{c:+.1%}", "{c:<12}|", "{c:0>12}", "{b:<05}|", "{a:05}", "{a:<05}|", "{f[2]:.2f}", "{f[]}", "{f[1}", "{a.}", "{b:99999999999999999999}", "{g:x}", "{g:#o}",
]
small = {"a": 0.1, "b": 1e-5, "c": 123456789.0, "d": 1e16, "e": 1e15, "f": -0.0, "g": 0.00012345, "h": 99999.5, "i": float(2**60), "j": 5.0}
for fmt in formats:
    case("StringFormat", f_string=fmt, **{"values." + k: v for k, v in values.items()})
for spec_text in ["", "g", ".3g", ".3", ".1", "e", ".0f", "f", "%", ",", "_", "010", "+.2", "#.3g", "#", "z", ".17g", ".0", "n", "G"]:
    case("StringFormat", f_string=" ".join("{%s:%s}" % (k, spec_text) for k in small), **{"values." + k: v for k, v in small.items()})

# Regular expressions, drawn from pieces.
atoms = [
    "a", "b", ".", r"\w", r"\d", r"\s", "[ab]", "[^a]", "(a)", "(b|c)", "(?:ab)", "^", "$", r"\b", r"\B", r"[a-c\d]", r"[^\W]", "x", "é", r"\.", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", "(a)?",
    "(?i:A)", r"\1", "(?P<n>a|b)", "(?P=n)", "{", "a{2}", "b{,2}", r"[\s\S]", "(?>a+)", "(?(1)a|b)", r"\n", "|", "(", ")", "*", "+", "?", "++", "*?", "??", "{1,2}", "{3,1}", "[]a]", "[a", r"\q",
    r"\Z", r"\A", "(?#c)", "(?s:.)", "(?<=a|bc)", "(?x: a )", r"\x41", r"\u00e9", r"[\D]", r"\W", r"[^\d\W]", "(?i)", "(?m)", "(?-i:a)", "(?a:\\w)", "[^]a]", "[a-]", "[b-a]", r"[\w-a]", r"\07", r"\101",
]
texts = ["aab bca AB", "", "abcabc\n", "x1 y22\né_ bb", "baac", "a\nb\n\nc", "aXbXXc", "(a){2}[]", "  ab\tcd  ", "AaÉé 12", "a²٣_"]
replacements = ["-", r"<\1>", r"\g<0>", r"[\g<n>]", r"\\", r"\n", r"\q", r"\0", "", r"\g<1>x", r"\2", r"\g<", r"\g<7>", "\\", r"\101", r"\8"]
for i in range(PATTERNS if "PATTERNS" in globals() else 260):
    pattern = "".join(draw.choice(atoms) for _ in range(draw.randint(1, 5)))
    text = draw.choice(texts)
    flags = {"case_insensitive": draw.random() < 0.5, "multiline": draw.random() < 0.3, "dotall": draw.random() < 0.3}
    case("RegexMatch", string=text, regex_pattern=pattern, **flags)
    mode = draw.choice(["First Match", "All Matches", "First Group", "All Groups"])
    case("RegexExtract", string=text, regex_pattern=pattern, mode=mode, group_index=draw.choice([0, 1, 1, 1, 2]), **flags)
    case("RegexReplace", string=text, regex_pattern=pattern, replace=draw.choice(replacements), count=draw.choice([0, 0, 1, 2]), **flags)
for pattern, text in [("|a", "aa"), ("a*", "baac"), (r"(?P<x>\w+)@(\w+)", "me@home you@work"), (r"(\d+)(?=px)", "12px 30em 7px"), (r"\bword\b", "a word, words"), (r"(a)|b", "ab")]:
    for mode in ["First Match", "All Matches", "First Group", "All Groups"]:
        case("RegexExtract", string=text, regex_pattern=pattern, mode=mode, case_insensitive=False, multiline=False, dotall=False, group_index=1)
    case("RegexReplace", string=text, regex_pattern=pattern, replace=r"<\g<0>>", case_insensitive=False, multiline=False, dotall=False, count=0)

# JSON.
for text in ['{"a": 1, "b": [1, {"c": null}], "d": null, "e": "x", "f": 1.50, "g": true, "h": {"i": "é"}, "j": NaN}', "[1]", "{", "", '{"a": 1, "a": 2}', "3", "\ufeff{}"]:
    for key in ["a", "b", "d", "e", "f", "g", "h", "b.c", "j", ""]:
        case("JsonExtractString", json_string=text, key=key)
for indent in [0, 2, 8]:
    case("ConvertDictionaryToString", dictionary={"a": 1, "ä": [1.5, None, True, "x\ny"], "e": {}, "l": []}, indent=indent)
    case("ConvertArrayToString", array=[1, "zwei", {"drei": 3.0}, [], [[1]], 1e300, 12345678901234567890], indent=indent)
case("ConvertDictionaryToString", dictionary={}, indent=2)
case("ConvertArrayToString", array=[rnd(1)], indent=0)

# Prompts for Ideogram.
for style in [{"style": "none"}, {"style": "photo", "style.photo": "35mm"}, {"style": "art_style", "style.art_style": "flat"}]:
    for palette in [[], ["#aabbcc", "", 3, "#fff"]]:
        case("BuildJsonPromptIdeogram", element=[{"type": "obj", "bbox": [1, 2, 3, 4]}], high_level_description=" ", background="sky", aesthetics="moody", lighting="dusk", medium="photograph",
             color_palette=palette, **style)
case("BuildJsonPromptIdeogram", element="no list", high_level_description="two cats", background="", aesthetics="", lighting="", medium="", color_palette=None, style="none")
