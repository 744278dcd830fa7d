# Calls of SeedVR2TemporalChunk; see tests/nodecalls/record.py.
for frames in [1, 5, 11]:
    for per, overlap in [(1, 0), (5, 1), (9, 0), (9, 2), (13, 16384), (45, 1)]:
        case("SeedVR2TemporalChunk", latent=latent(rnd(1, 16, frames, 1, 2)), temporal_overlap=overlap, **{"chunking_mode": "manual", "chunking_mode.frames_per_chunk": per})
# Small latents fit into any memory, with the model beside them or not.
case("SeedVR2TemporalChunk", latent=latent(rnd(1, 16, 1, 2, 2)), temporal_overlap=1, chunking_mode="auto")
case("SeedVR2TemporalChunk", latent=latent(rnd(1, 16, 2, 2)), temporal_overlap=1, chunking_mode="auto")
case("SeedVR2TemporalChunk", latent=latent(rnd(1, 4, 2, 2, 2)), temporal_overlap=1, chunking_mode="auto")
case("SeedVR2TemporalChunk", latent=latent(rnd(1, 16, 9, 1, 1)), temporal_overlap=0, **{"chunking_mode": "manual", "chunking_mode.frames_per_chunk": 6})
case("SeedVR2TemporalChunk", latent=latent(rnd(1, 16, 9, 1, 1)), temporal_overlap=-1, **{"chunking_mode": "manual", "chunking_mode.frames_per_chunk": 5})
