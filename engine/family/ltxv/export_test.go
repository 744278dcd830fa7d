package ltxv

import "comfygo/engine/family"

// LimitFrames has a VAE hand so many bytes at once from layer to layer.
func LimitFrames(a family.Autoencoder, bytes int64) { a.(*vae).decoder.Limit = bytes }
