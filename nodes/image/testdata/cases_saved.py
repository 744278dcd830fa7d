# Files of SaveSVGNode; see tests/nodecalls/record.py.
from io import BytesIO

from comfy_api.latest import IO


def svg(*texts):
    """An SVG of texts."""
    return Recipe({"$": "svg", "texts": list(texts)}, lambda: IO.SVG.Type([BytesIO(t.encode()) for t in texts]))


DESCRIBE["SVG"] = lambda v: [b.getvalue().decode() for b in v.data]
prompt = {"1": {"class_type": "SaveSVGNode", "inputs": {}}}
saves("SaveSVGNode", svg=svg("<svg></svg>"), filename_prefix="svg/x", prompt=prompt, workflow={"nodes": []})
saves("SaveSVGNode", svg=svg("<svg><path d='M0 0'/></svg>", "<?xml version='1.0'?><svg viewBox='0 0 1 1'>ü</svg>"), filename_prefix="x", prompt=prompt)
saves("SaveSVGNode", svg=svg("no tag"), filename_prefix="x")
saves("SaveSVGNode", svg=svg("<svg>a</svg>"), filename_prefix="x", before=[("SaveSVGNode", dict(svg=svg("<svg/>"), filename_prefix="x"))])
