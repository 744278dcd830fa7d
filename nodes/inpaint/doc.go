// Package inpaint holds the nodes that prepare latents, conditionings and models for changing a part of an image
// (upstream: nodes.py, nodes_ip2p.py, nodes_differential_diffusion.py).
//
// The arithmetic of masks is here; images are scaled by internal/imaging and encoded by engine.
package inpaint
