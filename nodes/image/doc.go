// Package image holds the nodes that load, save, make and change images: upstream's image nodes of nodes.py and of
// comfy_extras/nodes_images.py, nodes_post_processing.py and nodes_compositing.py.
//
// Images are [B,H,W,C] in 0…1, masks [B,H,W] in 0…1. The arithmetic lives in internal/imaging; the package knows
// nothing of models, queues or HTTP.
package image
