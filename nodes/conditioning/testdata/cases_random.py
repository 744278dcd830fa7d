# 20 random calls of each class of hooks and tracks; see tests/nodecalls/record.py. Files of hooks lie in the folder hooks.
import random

import folder_paths

here = os.path.join(os.path.dirname(cases_path), "hooks")
for kind in ["loras", "checkpoints"]:
    folder_paths.folder_names_and_paths[kind] = ([os.path.join(here, kind)], {".safetensors"})
keyframes = lambda g: [[float(k.strength), k.start_percent, k.guarantee_steps] for k in g.keyframes]
DESCRIBE["HookKeyframeGroup"] = keyframes
DESCRIBE["HookGroup"] = lambda g: [[float(h._strength_model), float(h._strength_clip), keyframes(h.hook_keyframe)] for h in g.hooks]
LIMIT = 100  # values of a tensor that are kept
r = random.Random(16)
f = lambda lo, hi: r.choice([float(r.randint(int(lo), int(hi))), round(r.uniform(lo, hi), 3)])
METHODS = ["linear", "ease_in", "ease_out", "ease_in_out"]


def maybe(name, make, chance=0.5):
    return {name: make()} if r.random() < chance else {}


def frame(depth=0):
    if r.random() < 0.5 or depth > 2:
        return call("CreateHookKeyframe", strength_mult=f(-20, 20), start_percent=round(r.uniform(0, 1), 3), **(maybe("prev_hook_kf", lambda: frame(depth + 1)) if depth < 3 else {}))
    return call("CreateHookKeyframesFromFloats", floats_strength=[f(-2, 2) for _ in range(r.randint(1, 4))], start_percent=0.1, end_percent=0.9, print_keyframes=False)


def hooks(depth=0):
    kind = r.randrange(4)
    previous = maybe("prev_hooks", lambda: hooks(depth + 1)) if depth < 3 else {}
    if kind == 0 or depth > 3:
        return call("CreateHookLora", lora_name=r.choice(["a.safetensors", "b.safetensors"]), strength_model=f(-3, 3), strength_clip=f(-3, 3), **previous)
    if kind == 1:
        return call("CreateHookLoraModelOnly", lora_name="a.safetensors", strength_model=f(-3, 3), **previous)
    if kind == 2:
        return call("SetHookKeyframes", hooks=hooks(depth + 1), **maybe("hook_kf", frame))
    return call("CombineHooks2", hooks_A=hooks(depth + 1), **maybe("hooks_B", lambda: hooks(depth + 1)))


for i in range(20):
    case("CreateHookKeyframe", strength_mult=f(-20, 20), start_percent=round(r.uniform(0, 1), 3), **maybe("prev_hook_kf", frame))
    # Powers and cosines in float32.
    a, b = sorted([round(r.uniform(0, 1), 3), round(r.uniform(0, 1), 3)], reverse=r.random() < 0.2)
    case("CreateHookKeyframesInterpolated", 1e-5, strength_start=f(0, 10), strength_end=f(0, 10), interpolation=r.choice(METHODS), start_percent=a, end_percent=b, keyframes_count=r.randint(2, 12), print_keyframes=r.random() < 0.5, **maybe("prev_hook_kf", frame))
    case("CreateHookKeyframesFromFloats", 1e-12, floats_strength=r.choice([f(-2, 2), [f(-2, 2) for _ in range(r.randint(1, 6))]]), start_percent=a, end_percent=b, print_keyframes=False, **maybe("prev_hook_kf", frame))
    case("CreateHookLora", lora_name=r.choice(["a.safetensors", "b.safetensors"]), strength_model=f(-20, 20), strength_clip=f(-20, 20), **maybe("prev_hooks", hooks))
    case("CreateHookLoraModelOnly", lora_name=r.choice(["a.safetensors", "b.safetensors"]), strength_model=f(-20, 20), **maybe("prev_hooks", hooks))
    case("SetHookKeyframes", hooks=hooks(), **maybe("hook_kf", frame, 0.8))
    for n in [2, 4, 8]:
        case(f"CombineHooks{n}", **{k: v for letter in "ABCDEFGH"[:n] for k, v in maybe(f"hooks_{letter}", lambda: hooks(2)).items()})


def points():
    return "[" + ", ".join(f'{{"x": {f(-50, 900)}, "y": {f(-50, 600)}}}' for _ in range(4)) + "]"


def path(frames=None):
    at = {k: round(r.uniform(-0.2, 1.2), 3) for k in ["start_x", "start_y", "mid_x", "mid_y", "end_x", "end_y"]}
    return dict(width=r.choice([16, 64, 832]), height=r.choice([16, 48, 480]), num_frames=frames or r.randint(1, 12), num_tracks=r.randint(1, 5), track_spread=round(r.uniform(0, 0.3), 3), bezier=r.random() < 0.5,
                interpolation=r.choice(METHODS + ["constant"]), **at, **maybe("track_mask", lambda: rnd(r.randint(1, 12), r.randint(1, 4), r.randint(1, 4), seed=r.randint(1, 10**6), lo=-1), 0.3))


for i in range(20):
    # Positions in float32.
    case("GenerateTracks", 5e-4, **path())
    case("WanMoveTracksFromCoords", track_coords=r.choice([points(), "[" + ", ".join(points() for _ in range(r.randint(1, 4))) + "]"]), **maybe("track_mask", lambda: rnd(r.randint(1, 5), r.randint(1, 4), r.randint(1, 4), seed=r.randint(1, 10**6), lo=-1)))
    n = r.randint(1, 6)
    case("WanMoveConcatTrack", 5e-4, tracks_1=call("GenerateTracks", **path(n)), **maybe("tracks_2", lambda: call("GenerateTracks", **path(n if r.random() < 0.8 else n + 1)), 0.8))
    case("WanMoveVisualizeTracks", images=img(r.choice([n, n, 1, n + 1]), r.randint(8, 48), r.randint(8, 64), 3, seed=r.randint(1, 10**6)), line_resolution=r.randint(1, 30), circle_size=r.randint(1, 12), opacity=round(r.uniform(0, 1), 2),
         line_width=r.randint(1, 9), **maybe("tracks", lambda: call("GenerateTracks", **{**path(n), "width": 64, "height": 48}), 0.9))
    case("WanCameraEmbedding", 2e-5, camera_pose=r.choice(["Static", "Pan Up", "Pan Down", "Pan Left", "Pan Right", "Zoom In", "Zoom Out", "Anti Clockwise (ACW)", "ClockWise (CW)"]), width=16 * r.randint(1, 4), height=16 * r.randint(1, 4), length=4 * r.randint(0, 4) + 1,
         speed=round(r.uniform(0, 10), 1), **{k: round(r.uniform(0.01, 1), 3) for k in ["fx", "fy", "cx", "cy"]})
