# What comfy_extras/nodes_audio.py tells the client; see tests/nodecalls/record.py.
saves("PreviewAudio", audio=audio(rnd(1, 2, 900, lo=-0.5, hi=0.5), 44100))
saves("PreviewAudio", audio=audio(rnd(2, 1, 900, lo=-0.5, hi=0.5), 22050), prompt={"1": {}}, workflow={"nodes": []})
saves("SaveAudio", audio=audio(rnd(2, 1, 900, lo=-0.5, hi=0.5), 22050), filename_prefix="audio/x %batch_num%")
saves("SaveAudio", audio=audio(rnd(1, 2, 900, lo=-0.5, hi=0.5), 44100), filename_prefix="x")
