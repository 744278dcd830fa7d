// Package latents holds the latent formats that several model families share. It registers no family.
package latents

import "comfygo/engine/sampling"

// Flux is the latent format of the 16-channel VAE of Flux.1, which many later families use. Upstream: latent_formats.Flux.
var Flux = sampling.LatentFormat{
	Channels: 16, Scale: 0.3611, Shift: 0.1159, Downscale: 8, TinyVAE: "taef1_decoder",
	RGB: [][3]float32{
		{-0.0346, 0.0244, 0.0681},
		{0.0034, 0.0210, 0.0687},
		{0.0275, -0.0668, -0.0433},
		{-0.0174, 0.0160, 0.0617},
		{0.0859, 0.0721, 0.0329},
		{0.0004, 0.0383, 0.0115},
		{0.0405, 0.0861, 0.0915},
		{-0.0236, -0.0185, -0.0259},
		{-0.0245, 0.0250, 0.1180},
		{0.1008, 0.0755, -0.0421},
		{-0.0515, 0.0201, 0.0011},
		{0.0428, -0.0012, -0.0036},
		{0.0817, 0.0765, 0.0749},
		{-0.1264, -0.0522, -0.1103},
		{-0.0280, -0.0881, -0.0499},
		{-0.1262, -0.0982, -0.0778},
	},
	RGBBias: [3]float32{-0.0329, -0.0718, -0.0851},
}
