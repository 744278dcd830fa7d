package ltxaudio

import "comfygo/engine/family"

// Pieces has a VAE work on so many latent values and frames at once.
func Pieces(a family.Autoencoder, values, frames int) {
	v := a.(*vae)
	v.piece, v.frames = values, frames
}
