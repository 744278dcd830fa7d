// Package mask holds the nodes that make and change masks, and those that compose images and latents under a mask:
// upstream's comfy_extras/nodes_mask.py.
//
// Masks are [B,H,W] in 0…1. The package knows nothing of models, queues or HTTP.
package mask
