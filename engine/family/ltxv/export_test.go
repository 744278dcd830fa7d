package ltxv

import "comfygo/engine/family"

// LimitFrames limits the bytes that a VAE passes from layer to layer at once.
func LimitFrames(a family.Autoencoder, bytes int64) { a.(*vae).decoder.Limit = bytes }
