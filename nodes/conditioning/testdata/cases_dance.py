# Calls of WanDancer's classes for keyframes; see tests/nodecalls/record.py.
for seconds, rate in [(1.0, 100), (0.1, 100), (3.33, 48), (0.75, 60)]:
    sound = audio(rnd(1, 2, int(seconds * rate)), rate)
    for n in [1, 3, 8]:
        for index, length in [(0, 10), (1, 10), (2, 7), (0, 149), (9, 30)]:
            case("WanDancerPadKeyframes", images=img(n, 2, 1, 3), segment_length=length, segment_index=index, audio=sound)
        case("WanDancerPadKeyframesList", images=img(n, 1, 2, 3), segment_length=12, num_segments=3, audio=sound)
