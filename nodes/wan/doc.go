// Package wan holds the nodes that prepare conditionings and latents for the models of Wan (upstream: comfy_extras/nodes_wan.py).
//
// The package knows nothing of queues or HTTP.
package wan
