// Package dataset holds the nodes that load, change and save lists of images, videos and texts for training (upstream:
// comfy_extras/nodes_dataset.py).
//
// The package knows nothing of queues or HTTP.
package dataset
