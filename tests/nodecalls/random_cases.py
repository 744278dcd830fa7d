"""Random calls of every class whose inputs are of plain types, for record.py: widgets anywhere in their ranges, images and masks of odd sizes and
batches. CLASSES in the environment names the classes, separated by commas, SEED the seed, CALLS the number of calls of each:

    CLASSES=ImageGrid,Canny python tests/nodecalls/record.py COMFYUI tests/nodecalls/random_cases.py

writes random_calls.json.gz beside it. Copied to a package's testdata, nodecalls.Run makes the calls again and compares. Another file of cases may run
this one and call randomly() for its classes, as nodes/all/testdata/cases_random.py does."""
import random

LIMIT = 600  # values of a tensor that are kept
DESCRIBE["HookKeyframeGroup"] = lambda g: [[float(k.strength), k.start_percent, k.guarantee_steps] for k in g.keyframes]
TOLERANCE = 2e-5
LARGEST = 64  # of sizes in pixels, 3 to 64 where the class allows
rand = random.Random(int(os.environ.get("SEED", "1")))
frames = lambda: rand.choice([1, 1, 1, 2, 3])
side = lambda: rand.choice([rand.randint(1, 6), rand.randint(2, 48)])
seed = lambda: rand.randrange(1, 10**6)
WORDS = ["", "a", "Grüße, ΑΣ", "one two\nthree", '{"a": [1, {"b": null}], "x": "y"}', "a1b22c333", "[1, 2]", "  spaced ", "0.5", "(a+)b", "日本", "a,b,c", "#ff0000", r"\d+", "{a}"]


def text():
    return rand.choice(WORDS)


def image(channels=None):
    shape = (frames(), side(), side(), channels or rand.choice([3, 3, 3, 4]))
    return rand.choice([img, smooth])(*shape, seed=seed())


VALUES = {
    "IMAGE": lambda: image(), "MASK": lambda: rnd(frames(), side(), side(), seed=seed(), lo=0, hi=1),
    "LATENT": lambda: latent(rnd(frames(), 4, rand.randint(1, 9), rand.randint(1, 9), seed=seed(), lo=-2, hi=2)),
    "CONDITIONING": lambda: cond(*[(rnd(1, rand.randint(1, 4), 4, seed=seed()), rand.choice([{}, {"pooled_output": rnd(1, 5, seed=seed())}, {"strength": 0.5}])) for _ in range(rand.randint(1, 2))]),
    "AUDIO": lambda: audio(rnd(rand.choice([1, 1, 2]), rand.choice([1, 2, 2]), rand.randint(1, 3000), seed=seed(), lo=-1, hi=1), rand.choice([8000, 22050, 44100, 48000])),
    "CLIP_VISION_OUTPUT": lambda: vision(rnd(1, rand.randint(1, 3), 8, seed=seed())),
    "BOUNDING_BOX": lambda: {"x": rand.randint(0, 50), "y": rand.randint(0, 50), "width": rand.randint(1, 60), "height": rand.randint(1, 60)},
    "COLOR": lambda: "#%06x" % rand.randrange(1 << 24),
    "ARRAY": lambda: [rand.choice([1, 2.5, "a", None, True]) for _ in range(rand.randint(0, 4))],
    "DICT": lambda: {rand.choice("abc"): rand.choice([1, 2.5, "x", None, [1]]) for _ in range(rand.randint(0, 3))},
    "FLOATS": lambda: [round(rand.uniform(-1, 2), 3) for _ in range(rand.randint(1, 5))],
    "INT,FLOAT,STRING,BOOLEAN": lambda: rand.choice([rand.randint(-10**12, 10**12), rand.uniform(-5, 5), rand.choice(["12", " 3.5 ", "x", "1e3"]), True]),
}


BOUNDS = {}  # (least, most) of numbers by the names of class and input, or of the input
LISTS = {}  # lengths of lists by the names of inputs of classes that take lists


class Unknown(Exception):
    """An input of a type that has no random values here."""


def widget(kind, options, bounds=None):
    if bounds:
        options = {**options, "min": bounds[0], "max": bounds[1]}
        if kind == "FLOAT":
            return round(rand.uniform(*bounds), 3)
    if kind == "INT":
        lo, hi, step = options.get("min", 0), options.get("max", 100), options.get("step", 1) or 1
        if hi < 2**40 and not bounds:
            hi = min(hi, max(lo + step, LARGEST if lo < LARGEST else 2 * lo))
        return lo + step * rand.randint(0, max(0, int(hi - lo) // int(step)))
    if kind == "FLOAT":
        lo, hi = options.get("min", 0.0), options.get("max", 1.0)
        if rand.random() < 0.3 and options.get("default") is not None:
            return float(options["default"])
        return round(rand.uniform(max(lo, -1000), min(hi, rand.choice([1.0, 10.0, 1000.0]) if hi > 1 and lo < 1 else hi)), 3)
    if kind == "BOOLEAN":
        return rand.random() < 0.5
    if kind == "STRING":
        return text()
    raise Unknown(kind)


def value(name, description, out, cls=""):
    kind, options = description[0], description[1] if len(description) > 1 else {}
    if isinstance(kind, list) or kind == "COMBO":
        choices = kind if isinstance(kind, list) else options.get("options") or []
        if not choices:
            raise Unknown("COMBO")
        out[name] = rand.choice(choices)
    elif kind == "COMFY_DYNAMICCOMBO_V3":
        chosen = rand.choice(options["options"])
        out[name] = chosen["key"]
        for group in ["required", "optional"]:
            for k, d in chosen["inputs"].get(group, {}).items():
                value(f"{name}.{k}", d, out, cls)
    elif kind == "COMFY_AUTOGROW_V3":
        template = options["template"]
        (k, d), = [*template["input"].get("required", {}).items(), *template["input"].get("optional", {}).items()]
        count = rand.randint(max(1, template.get("min", 1)), min(template.get("max", 4), 4))
        names = template.get("names") or [f"{template['prefix']}{i}" for i in range(count)]
        for item in names[:count]:
            value(f"{name}.{item}", d, out, cls)
    elif kind in VALUES:
        out[name] = VALUES[kind]()
    elif "default" in options or kind in ("INT", "FLOAT", "BOOLEAN", "STRING"):
        out[name] = widget(kind, options, BOUNDS.get((cls, name)) or BOUNDS.get(name))
    else:
        raise Unknown(kind)


def described(cls):
    """A class's entry of /object_info."""
    obj = nodes.NODE_CLASS_MAPPINGS[cls]
    obj.hidden = SimpleNamespace(unique_id=None, prompt=None, extra_pnginfo=None)
    if hasattr(obj, "define_schema"):
        return obj.GET_NODE_INFO_V1()
    return {"input": obj.INPUT_TYPES(), "is_input_list": getattr(obj, "INPUT_IS_LIST", False)}


def randomly(cls, count, tolerance=TOLERANCE):
    """Records random calls of a class."""
    info = described(cls)
    for _ in range(count):
        inputs = {}
        lengths = {}
        for name, d in info["input"].get("required", {}).items():
            if name not in LISTS or not info.get("is_input_list"):
                value(name, d, inputs, cls)
                continue
            n = lengths.setdefault(LISTS[name], rand.randint(1, LISTS[name]))
            inputs[name] = []
            for _ in range(n):
                one = {}
                value(name, d, one, cls)
                inputs[name].append(one[name])
        for name, d in info["input"].get("optional", {}).items():
            if rand.random() < 0.5:
                try:
                    value(name, d, inputs, cls)
                except Unknown:
                    pass
        if info.get("is_input_list"):
            inputs = {k: v if k in LISTS and isinstance(v, list) else [v] for k, v in inputs.items()}
        case(cls, tolerance, **inputs)


for cls in os.environ.get("CLASSES", "").split(",") if "CLASSES" in os.environ else []:
    try:
        randomly(cls, int(os.environ.get("CALLS", "20")))
    except Unknown as e:
        print("left out", cls, "for its input of type", e)
