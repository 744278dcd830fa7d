#!/usr/bin/env python3
"""Writes small files in the formats of torch.save, without torch, byte for byte in its manner.

    python make_torch_files.py        # here: new.ckpt, deflated.ckpt, legacy.pth and expect.json

The classes below stand in for torch's and pickle under the same names, so that Python's own pickler makes the same
instructions. expect.json holds what each tensor must read as.
"""
import collections, io, json, pickle, struct, sys, types, zipfile

def module(name):
    m = sys.modules[name] = types.ModuleType(name)
    return m

def named(mod, name, value):
    value.__module__, value.__qualname__, value.__name__ = mod, name, name
    setattr(sys.modules[mod], name, value)
    return value

for n in ("torch", "torch._utils", "torch.storage", "pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint"):
    module(n)
TYPES = {"FloatStorage": "f", "HalfStorage": "e", "LongStorage": "q", "DoubleStorage": "d", "ByteStorage": "B", "BFloat16Storage": None, "UntypedStorage": "B"}
CLASSES = {n: named("torch.storage" if n == "UntypedStorage" else "torch", n, type(n, (), {})) for n in TYPES}
v2 = named("torch._utils", "_rebuild_tensor_v2", lambda *a: None)
v3 = named("torch._utils", "_rebuild_tensor_v3", lambda *a: None)
param = named("torch._utils", "_rebuild_parameter", lambda *a: None)
Checkpoint = named("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", type("ModelCheckpoint", (), {}))


class DType:                                     # torch.dtype pickles as the global torch.NAME
    def __init__(self, name): self.name = name
    def __reduce__(self): return "torch." + self.name


class Storage:
    def __init__(self, kind, raw, count): self.kind, self.raw, self.count = kind, raw, count


def storage(kind, values):
    if kind == "BFloat16Storage":
        return Storage(kind, b"".join(struct.pack("<f", v)[2:] for v in values), len(values))
    return Storage(kind, struct.pack("<%d%s" % (len(values), TYPES[kind]), *values), len(values))


class Tensor:
    def __init__(self, s, offset, size, stride, dtype=None): self.a, self.dtype = (s, offset, size, stride), dtype
    def __reduce__(self):
        a = self.a + (False, collections.OrderedDict())
        return (v3, a + (self.dtype, None)) if self.dtype else (v2, a)


class Parameter:
    def __init__(self, t): self.t = t
    def __reduce__(self): return param, (self.t, True, collections.OrderedDict())


class Pickler(pickle._Pickler):                 # the Python one: its save_global can be told about dtypes
    legacy = False
    def persistent_id(self, o):
        if not isinstance(o, Storage):
            return None
        key = self.keys.setdefault(id(o), (str(len(self.keys)), o))[0]
        pid = ("storage", CLASSES[o.kind], key, "cpu", o.count)
        return pid + (None,) if self.legacy else pid
    def save(self, o, save_persistent_id=True):
        if isinstance(o, DType):
            return self.write(b"ctorch\n" + o.name.encode() + b"\n")
        return super().save(o, save_persistent_id)


def dump(o, keys, legacy=False):
    b = io.BytesIO(); p = Pickler(b, protocol=2); p.keys, p.legacy = keys, legacy; p.dump(o)
    return b.getvalue()


def write_zip(path, o, method):
    keys = {}
    data = dump(o, keys)
    with zipfile.ZipFile(path, "w", method) as z:
        def add(name, content):
            i = zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)); i.compress_type = method; z.writestr(i, content)
        add("data.pkl", data); add("byteorder", b"little")
        for k, s in keys.values():
            add("data/" + k, s.raw)
        add("version", b"3\n")


def write_legacy(path, o):
    keys = {}
    value = dump(o, keys, legacy=True)
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with open(path, "wb") as f:
        for x in (0x1950a86a20f9469cfc6c, 1001, info):
            f.write(dump(x, {}))
        f.write(value)
        f.write(dump([k for k, _ in keys.values()], {}))
        for _, s in keys.values():
            f.write(struct.pack("<q", s.count) + s.raw)


base = storage("FloatStorage", [float(i) for i in range(24)])
half = storage("HalfStorage", [0.5, -1.25, 65504.0, 2.0 ** -24])
sd = collections.OrderedDict()
expect = {}
def put(name, tensor, dtype, shape, values):
    sd[name] = tensor; expect[name] = {"dtype": dtype, "shape": shape, "values": values}
put("whole", Tensor(base, 0, (2, 3, 4), (12, 4, 1)), "F32", [2, 3, 4], [float(i) for i in range(24)])
put("part", Tensor(base, 4, (2, 4), (4, 1)), "F32", [2, 4], [float(i) for i in range(4, 12)])
put("transposed", Tensor(base, 0, (4, 6), (1, 4)), "F32", [4, 6], [float(r + 4 * c) for r in range(4) for c in range(6)])
put("every.second", Tensor(base, 1, (5,), (2,)), "F32", [5], [1.0, 3.0, 5.0, 7.0, 9.0])
put("expanded", Tensor(base, 3, (2, 3), (0, 0)), "F32", [2, 3], [3.0] * 6)
put("scalar", Tensor(base, 23, (), ()), "F32", [], [23.0])
put("empty", Tensor(base, 0, (0, 3), (3, 1)), "F32", [0, 3], [])
put("half", Tensor(half, 0, (4,), (1,)), "F16", [4], [0.5, -1.25, 65504.0, 2.0 ** -24])
put("brain", Tensor(storage("BFloat16Storage", [1.0, -3.5]), 0, (2,), (1,)), "BF16", [2], [1.0, -3.5])
put("double", Tensor(storage("DoubleStorage", [0.1]), 0, (1,), (1,)), "F64", [1], [0.10000000149011612])
put("long", Tensor(storage("LongStorage", [0, -1, 76]), 0, (3,), (1,)), "I64", [3], [0.0, -1.0, 76.0])
put("parameter", Parameter(Tensor(base, 0, (3,), (1,))), "F32", [3], [0.0, 1.0, 2.0])
put("ключ", Tensor(storage("ByteStorage", [0, 255]), 0, (2,), (1,)), "U8", [2], [0.0, 255.0])
sd._metadata = {"": {"version": 1}}             # what torch's state dicts carry; makes a BUILD instruction
legacy = collections.OrderedDict(sd)
put("eight", Tensor(storage("UntypedStorage", [0x38, 0xb8]), 0, (2,), (1,), DType("float8_e4m3fn")), "F8_E4M3", [2], [1.0, -1.0])
callback = Checkpoint(); callback.best = 0.25; callback.path = "x"
whole = {"epoch": 7, "global_step": 2 ** 40, "lr": 1e-4, "callbacks": {Checkpoint: callback}, "flags": (True, None, [1, 2, 300, 70000]), "state_dict": sd}
write_zip("new.ckpt", whole, zipfile.ZIP_STORED)
write_zip("deflated.ckpt", {"model": sd}, zipfile.ZIP_DEFLATED)
write_legacy("legacy.pth", legacy)
json.dump(expect, open("expect.json", "w"), indent=1, ensure_ascii=False)
