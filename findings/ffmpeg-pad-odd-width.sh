#!/usr/bin/env bash
# FFmpeg's filter "pad" loses the last column of subsampled YUV images of odd width: it comes out black. The last row of an odd
# height stays. A careful guess is that padding keeps every input pixel, or treats both axes alike.
#
# Where it meets our users: ComfyUI 0.33.0 pads lossy WebP and AVIF images with this filter, so that images of odd width end in
# a black column there; docs/conformance.md says what comfygo does.
#
# Seen with PyAV 18.1.0 (its own FFmpeg libraries), Linux x86-64:
#   5x5 yuv420p, luma 200, padded to 8x8: row 0 is 200 200 200 200 16 16 16 16, column 0 has five times 200; yuv444p keeps all.
# Fails when that changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5
"$dir/venv/bin/python" - <<'PY'
import av
import numpy as np
from av.filter import Graph


def padded(fmt):
    frame = av.VideoFrame(5, 5, fmt)
    for i, plane in enumerate(frame.planes):
        plane.update(np.full(plane.buffer_size, 200 if i == 0 else 128, np.uint8).tobytes())
    graph = Graph()
    source = graph.add_buffer(width=5, height=5, format=fmt, time_base="1/1")
    pad = graph.add("pad", "w=8:h=8:x=0:y=0")
    sink = graph.add("buffersink")
    source.link_to(pad)
    pad.link_to(sink)
    graph.configure()
    source.push(frame)
    out = sink.pull()
    plane = out.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : out.width]


sub, full = padded("yuv420p"), padded("yuv444p")
print("PyAV", av.__version__)
print("yuv420p row 0   ", sub[0].tolist())
print("yuv420p column 0", sub[:, 0].tolist())
print("yuv444p row 0   ", full[0].tolist())
assert sub[0].tolist() == [200] * 4 + [16] * 4, "the last column of an odd width is kept now"
assert sub[:, 0].tolist() == [200] * 5 + [16] * 3, "the last row of an odd height is lost now, too"
assert full[0].tolist()[:5] == [200] * 5, "4:4:4 loses pixels, too"
PY
