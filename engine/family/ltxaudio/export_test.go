package ltxaudio

import "comfygo/engine/family"

// Pieces sets the number of latent values and frames that a VAE processes at once.
func Pieces(a family.Autoencoder, values, frames int) {
	v := a.(*vae)
	v.piece, v.frames = values, frames
}
