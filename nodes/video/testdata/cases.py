# Calls of video classes, which run ffmpeg. Recorded by
#   python tests/nodecalls/record.py COMFYUI nodes/video/testdata/cases.py
import os
import random

import folder_paths  # noqa: E402

folder_paths.set_input_directory(os.path.join(os.path.dirname(cases_path), "input"))
LIMIT = 600  # values of a tensor that are stored
rng = random.Random(17)


def described(v):
    c = v.get_components()
    return {"size": v.get_dimensions(), "depth": v.get_bit_depth(), "space": v.get_color_space(), "duration": v.get_duration(), "rate": float(v.get_frame_rate()),
            "images": c.images, "audio": c.audio}


DESCRIBE["VideoFromFile"] = described
DESCRIBE["VideoFromComponents"] = described

# A step of the audio decoders' rounding; frames are equal but for lossy decoders of other versions.
CLOSE = 1e-4
FILES = ["sound.mp4", "wide.mp4", "deep.mp4", "vp9.webm", "alpha.webm", "jpeg.avi", "png.mov", "rgb.mkv", "vfr.mkv", "turned90.mp4", "turned180.mp4"]
for name in FILES:
    case("GetVideoComponents", CLOSE, video=call("LoadVideo", file=name))
for name in ("cut.mp4", "cut.webm", "noise.mp4"):
    case("GetVideoComponents", CLOSE, video=call("LoadVideo", file=name))
case("LoadVideo", CLOSE, file="deep.mp4")
case("LoadVideo", CLOSE, file="rgb.mkv")

for i in range(6):
    name = rng.choice(["sound.mp4", "wide.mp4", "vfr.mkv", "turned90.mp4"])
    case("Video Slice", CLOSE, video=call("LoadVideo", file=name), start_time=rng.choice([0.0, 0.1, -0.25, 0.2, 0.333, round(rng.uniform(-0.5, 0.5), 3)]),
         duration=rng.choice([0.0, 0.1, 0.25, round(rng.uniform(0.05, 0.5), 3), 30.0]), strict_duration=rng.random() < 0.3)
case("Video Slice", CLOSE, video=call("Video Slice", video=call("LoadVideo", file="sound.mp4"), start_time=0.2, duration=0.5, strict_duration=False), start_time=0.1, duration=0.2, strict_duration=True)

for i in range(4):
    case("CreateVideo", images=img(rng.randint(1, 4), 6, 8, 3, seed=i), fps=rng.choice([1.0, 24.0, 29.97, 60.0]), audio=rng.choice([None, audio(rnd(1, 2, 90, seed=i), 8000)]), bit_depth=rng.choice([8, 10]))

for i in range(3):
    case("VideoTemporalCrop", CLOSE, video=call("LoadVideo", file=rng.choice(["sound.mp4", "wide.mp4"])), start_frame=rng.choice([0, 3, 7, 500]), length=rng.choice([1, 2, 5, 99]))
    # Without audio: upstream cuts it by the rounding of its arithmetic, a sample earlier or later.
    case("VideoRandomTemporalCrop", CLOSE, video=call("LoadVideo", file="wide.mp4"), length=rng.choice([1, 2, 5, 99]), seed=rng.randint(0, 2**64 - 1))
for i in range(8):
    case("VideoFrameSample", CLOSE, video=call("LoadVideo", file=rng.choice(["sound.mp4", "wide.mp4"])), num_frames=rng.choice([1, 2, 5, 99]),
         strategy=["uniform", "head", "tail", "random"][i % 4], seed=rng.randint(0, 2**64 - 1))
case("LoadVideoDataSetFromFolder", CLOSE, folder="set")
case("LoadVideoDataSetFromFolder", CLOSE, folder="set/2_twice")
case("LoadVideoDataSetFromFolder", folder="../testdata")
case("LoadVideoTextDataSetFromFolder", CLOSE, folder="set")
case("LoadVideoTextDataSetFromFolder", CLOSE, folder="set/2_twice")
case("LoadVideoTextDataSetFromFolder", folder="nothing")
