// Package sd15 is the family of Stable Diffusion 1.x: U-Nets of 320 channels that read CLIP-L's text encoding, with
// variants for inpainting and for editing by instructions.
package sd15

import "comfygo/engine/sampling"

// Latent is the latent format of Stable Diffusion 1.x and 2.x. Upstream: latent_formats.SD15.
var Latent = sampling.LatentFormat{
	Channels: 4, Scale: 0.18215, Downscale: 8, TinyVAE: "taesd_decoder",
	RGB: [][3]float32{{0.3512, 0.2297, 0.3227}, {0.3250, 0.4974, 0.2350}, {-0.2829, 0.1762, 0.2721}, {-0.2120, -0.2616, -0.7177}},
}
