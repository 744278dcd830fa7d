"""Windows, weights, fused predictions and the order of noise as ComfyUI 0.33.0 has them.

usage: python windows.py COMFYUI OUT
"""
import json, sys
sys.path.insert(0, sys.argv[1])
out = sys.argv[2]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
import comfy.context_windows as cw

cases = []
for schedule in ("standard_static", "standard_uniform", "looped_uniform", "batched"):
    for n, length, overlap, stride, closed in ((21, 8, 2, 1, False), (21, 8, 2, 1, True), (33, 8, 3, 3, False), (40, 6, 1, 4, True), (9, 8, 4, 2, False), (8, 8, 4, 1, False)):
        for step in (0, 1, 2, 3, 5):
            for fuse in ("pyramid", "relative", "flat", "overlap-linear"):
                if fuse != "pyramid" and (step != 1 or n != 21 or closed):
                    continue
                h = cw.IndexListContextHandler(cw.get_matching_context_schedule(schedule), cw.get_matching_fuse_method(fuse), length, overlap, stride, closed, dim=0)
                h._step = step
                windows = h.context_schedule.func(n, h, {})
                if any(p >= n for w in windows for p in w):
                    continue  # upstream fails where it is to be sampled
                case = dict(schedule=schedule, fuse=fuse, n=n, length=length, overlap=overlap, stride=stride, closed=closed, step=step, windows=windows)
                if step == 1:
                    x = torch.zeros(n, 1)
                    sums, counts, biases = [torch.zeros(n, 1)], [torch.ones(n, 1) if fuse == "relative" else torch.zeros(n, 1)], [[0.0] * n]
                    for i, w in enumerate(windows):
                        window = cw.IndexListContextWindow(w, dim=0, total_frames=n, context_overlap=overlap)
                        y = torch.tensor([[float(p * p % 7 + i)] for p in w])
                        h.combine_context_window_results(x, [y], None, window, i, len(windows), None, sums, counts, biases)
                    fused = sums[0] if fuse == "relative" else sums[0] / counts[0]
                    case["fused"] = fused[:, 0].tolist()
                cases.append(case)
noise = [dict(n=n, length=length, overlap=overlap, seed=seed, order=cw.apply_freenoise(torch.arange(n).float(), 0, length, overlap, seed).int().tolist())
         for n, length, overlap, seed in ((21, 8, 2, 42), (50, 9, 4, 7), (10, 8, 6, 2 ** 63 + 5), (7, 8, 2, 1))]
json.dump(dict(cases=cases, noise=noise), open(out, "w"), separators=(",", ":"))
