// Package sdxl is the family of Stable Diffusion XL: U-Nets that read the joint text encoding of CLIP-L and CLIP-G and a
// vector of the pooled encoding with sizes and crops.
package sdxl

import "comfygo/engine/sampling"

// Latent is the latent format of Stable Diffusion XL. Upstream: latent_formats.SDXL.
var Latent = sampling.LatentFormat{
	Channels: 4, Scale: 0.13025, Downscale: 8, TinyVAE: "taesdxl_decoder",
	RGB:     [][3]float32{{0.3651, 0.4232, 0.4341}, {-0.2533, -0.0042, 0.1068}, {0.1076, 0.1111, -0.0362}, {-0.3165, -0.2492, -0.2188}},
	RGBBias: [3]float32{0.1084, -0.0175, -0.0011},
}

// Playground25Latent is the latent format of Playground v2.5. Upstream: latent_formats.SDXL_Playground_2_5.
var Playground25Latent = sampling.LatentFormat{
	Channels: 4, Scale: 0.5, Downscale: 8,
	Mean: []float32{-1.6574, 1.886, -1.383, 2.5155}, Deviation: []float32{8.4927, 5.9022, 6.5498, 5.2299}, TinyVAE: "taesdxl_decoder",
	RGB: [][3]float32{{0.3920, 0.4054, 0.4549}, {-0.2634, -0.0196, 0.0653}, {0.0568, 0.1687, -0.0755}, {-0.3112, -0.2359, -0.2076}},
}
