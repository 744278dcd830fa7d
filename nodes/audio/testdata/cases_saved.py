# What the classes that save MP3 and Opus files tell the client, and the names of the files; see tests/nodecalls/record.py. saved.py has their content.
sound = audio(rnd(1, 2, 4500, lo=-0.5, hi=0.5), 44100)
two = audio(rnd(2, 1, 2000, lo=-0.5, hi=0.5), 24000)
for a in [sound, two]:
    saves("SaveAudioMP3", audio=a, filename_prefix="audio/x", quality="V0")
    saves("SaveAudioMP3", audio=a, filename_prefix="x", quality="128k")
    saves("SaveAudioOpus", audio=a, filename_prefix="audio/x", quality="64k")
    saves("SaveAudioOpus", audio=a, filename_prefix="x", quality="128k")
    for options in [{"format": "flac"}, {"format": "mp3", "format.quality": "V0"}, {"format": "opus", "format.quality": "96k"}]:
        saves("SaveAudioAdvanced", audio=a, filename_prefix="a/x", **options)
