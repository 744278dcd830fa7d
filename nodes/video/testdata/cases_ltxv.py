# Calls of LTXVPreprocess. Recorded by
#   python tests/nodecalls/record.py COMFYUI nodes/video/testdata/cases_ltxv.py
LIMIT = 600  # values of a tensor that are stored

# Encoders of other versions quantize differently.
ENCODED = 0.12
for size, crf in (((1, 32, 48), 35), ((2, 33, 47), 10), ((1, 64, 64), 1), ((1, 16, 16), 29)):
    case("LTXVPreprocess", ENCODED, image=smooth(size[0], size[1], size[2], 3, seed=2), img_compression=crf)
case("LTXVPreprocess", image=img(1, 5, 7, 3), img_compression=0)
