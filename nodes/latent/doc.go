// Package latent holds the nodes that make, load, save, change, encode and decode latents: upstream's latent nodes of
// nodes.py and of comfy_extras/nodes_latent.py.
//
// Latents are [B,C,H,W], for videos [B,C,T,H,W]. The arithmetic lives in internal/imaging and engine; the package knows
// nothing of queues or HTTP.
package latent
