# Calls of nodes_seed, nodes_color, nodes_toolkit, nodes_resolution and nodes_number_convert; see tests/nodecalls/record.py.
import itertools  # noqa: E402

for seed in [0, 5, 2**63 - 1, -3]:
    case("SeedNode", seed=seed)
for color in ["#ffffff", "#0A0b0C", "#12345680", "#1234567", "", "ffffff", "#gggggg", "red", "#00000000", "#éééaaa"]:
    case("ColorToRGBInt", color=color)
case("CreateList", **{"inputs.input0": [1, 2], "inputs.input1": ["a"], "inputs.input3": []})
case("CreateList", **{"inputs.input0": [img(1, 1, 1, 3)]})
ratios = ["1:1 (Square)", "2:3 (Portrait Photo)", "3:2 (Photo)", "3:4 (Portrait Standard)", "4:3 (Standard)", "9:16 (Portrait Widescreen)", "16:9 (Widescreen)", "21:9 (Ultrawide)"]
for ratio, mp, multiple in itertools.product(ratios, [0.1, 1.0, 2.3, 16.0], [8, 12, 64, 128]):
    case("ResolutionSelector", aspect_ratio=ratio, megapixels=mp, multiple=multiple)
numbers = [True, False, 0, -7, 10**30, 2**63, 10**400, 1.5, -2.99, 1e300, nan, inf, "12", " -3.7 ", "1_000", "1__0", "_1", "0x10", "1e3", "1.e2", ".5", "5.", "", "  ", "inf", "nan", "-Infinity",
           "1e400", "abc", "١٢٣", "12345678901234567890123", "1e-400", "+5", "--5", "1 2", "1_0.5_0", "٣.٥", "1,5", "𝟗", "1_", "1e1_0", "\u200912\u3000", "0b1", "1.5.2", "9" * 4301]
for v in numbers:
    case("ComfyNumberConvert", value=v)
case("ComfyNumberConvert", value=[1])
case("ComfyNumberConvert", value=None)
