"""Records what ComfyUI's own command line does with the argument lists of cases.txt.

  python3 record.py PATH_OF_COMFYUI_0.33.0 > argparse.json

One list a line, words quoted as in a shell. For each: the exit code, the closing message on stderr
and the values that differ from the defaults.
"""
import contextlib, io, json, os, runpy, shlex, sys

comfy = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, comfy)
os.environ["COLUMNS"] = "80"
import comfy.options
comfy.options.args_parsing = True


def parse(words):
    sys.argv = ["main.py", *words]
    err, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
        try:
            args = runpy.run_path(os.path.join(sys.path[0], "comfy", "cli_args.py"))["args"]
            return 0, "", vars(args)
        except SystemExit as e:
            text = err.getvalue().strip().splitlines()
            return e.code, text[-1].partition(": error: ")[2] if text else "", {}


def plain(v):
    if hasattr(v, "value"):
        return v.value
    if v == float("inf"):
        return "inf"
    if isinstance(v, (set, frozenset)):
        return sorted(plain(x) for x in v)
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    return v


default = parse([])[2]
rows = []
for line in open(os.path.join(here, "cases.txt"), encoding="utf-8"):
    if not line.strip() or line.startswith("#"):
        continue
    words = shlex.split(line)
    code, message, values = parse(words)
    changed = {k: plain(v) for k, v in values.items() if plain(v) != plain(default[k])}
    rows.append({"args": words, "exit": code, "error": message, "values": changed})
print("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]")
