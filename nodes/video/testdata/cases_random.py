# Random calls of each class that loads, cuts or makes videos; see tests/nodecalls/record.py. What savers write is in saved.py. 20 of each were
# compared: make golden makes all of them again, make test the first three, since each runs ffmpeg.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "cases.py")).read().split("# A step of")[0], "cases.py", "exec"))
LIMIT = 60  # values of a tensor that are kept
r = random.Random(16)
# A step of the audio decoders' rounding.
CLOSE = 1e-4
SILENT = ["wide.mp4", "deep.mp4", "vp9.webm", "jpeg.avi", "png.mov", "rgb.mkv", "vfr.mkv", "turned90.mp4", "turned180.mp4", "set/a.mp4"]
# Of the others upstream does not know the number of frames, which docs/conformance.md tells of.
COUNTED = [f for f in SILENT if f.endswith((".mp4", ".avi", ".mov"))]
time = lambda lo, hi: r.choice([0.0, round(r.uniform(lo, hi), 3)])


def images():
    return img(r.randint(1, 5), r.randint(1, 9), r.randint(1, 9), r.choice([3, 3, 4]), seed=r.randint(1, 10**6))


def some():
    return r.choice([None, audio(rnd(1, r.choice([1, 2]), r.randint(1, 400), seed=r.randint(1, 10**6), lo=-1), r.choice([8000, 44100]))])


def created():
    return call("CreateVideo", images=images(), fps=r.choice([1.0, 24.0, 29.97, 60.0, round(r.uniform(1, 120), 2)]), audio=some(), bit_depth=r.choice([8, 10]))


def cut(name):
    return call("Video Slice", video=call("LoadVideo", file=name), start_time=time(-0.4, 0.4), duration=time(0.05, 0.6), strict_duration=False)


def video():
    return r.choice([lambda: call("LoadVideo", file=r.choice(SILENT + ["sound.mp4"])), created, lambda: cut(r.choice(["wide.mp4", "vfr.mkv", "turned90.mp4"]))])()


for i in range(int(os.environ.get("CALLS", "20"))):
    case("LoadVideo", CLOSE, file=r.choice(SILENT + ["sound.mp4", "alpha.webm"]))
    case("GetVideoComponents", CLOSE, video=video())
    case("CreateVideo", images=images(), fps=r.choice([1.0, 120.0, round(r.uniform(1, 120), 3)]), audio=some(), bit_depth=r.choice([8, 10]))
    # Without audio, whose first sample is one earlier or later here.
    case("Video Slice", CLOSE, video=r.choice([lambda: call("LoadVideo", file=r.choice([f for f in SILENT if f != "vp9.webm"])), lambda: cut("wide.mp4")])(), start_time=time(-0.6, 0.6), duration=time(0.02, 0.6), strict_duration=r.random() < 0.4)
    case("VideoTemporalCrop", CLOSE, video=call("LoadVideo", file=r.choice(COUNTED)), start_frame=r.randint(0, 12), length=r.randint(1, 14))
    case("VideoRandomTemporalCrop", CLOSE, video=call("LoadVideo", file=r.choice(COUNTED)), length=r.randint(1, 14), seed=r.randint(0, 2**64 - 1))
    case("VideoFrameSample", CLOSE, video=call("LoadVideo", file=r.choice(COUNTED)), num_frames=r.randint(1, 14), strategy=r.choice(["uniform", "head", "tail", "random"]), seed=r.randint(0, 2**64 - 1))
    lists = {"videos": [created() for _ in range(r.randint(1, 4))], "seed": [r.randint(0, 2**64 - 1)]}
    case("ShuffleVideoDataset", **lists)
    case("ShuffleVideoTextDataset", texts=[f"t{k}" for k in range(len(lists["videos"]) + r.choice([0, 0, 0, 1]))], **lists)
    # Encoders of other versions quantize differently.
    case("LTXVPreprocess", 0.15, image=smooth(r.randint(1, 2), r.randint(16, 40), r.randint(16, 40), 3, seed=r.randint(1, 9)), img_compression=r.randint(0, 40))
    for cls in ["LoadVideoDataSetFromFolder", "LoadVideoTextDataSetFromFolder"]:
        case(cls, CLOSE, folder=r.choice(["set", "set/2_twice", "./set", "set/", "set/../set", "set/plain", "nothing", "../testdata", "set/2_twice/"]))
