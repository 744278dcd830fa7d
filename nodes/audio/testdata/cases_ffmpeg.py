# Calls of audio classes that run ffmpeg. Recorded by
#   python tests/nodecalls/record.py COMFYUI nodes/audio/testdata/cases_ffmpeg.py
import os

import folder_paths  # noqa: E402

folder_paths.set_input_directory(os.path.join(os.path.dirname(cases_path), "input"))

case("LoadAudio", audio="mulaw.wav")
# Lossy decoders of other versions differ in their rounding: a few steps of 16 bits.
for name in ("a.mp3", "a.opus", "a.m4a", "cut.mp3"):
    case("LoadAudio", 1e-4, audio=name)
    case("RecordAudio", 1e-4, audio=name)
case("LoadAudio", audio="noise.mp3")
