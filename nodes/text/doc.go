// Package text holds the nodes that work on text (upstream: comfy_extras/nodes_string.py). Text is counted and compared as Python
// does: by code points, with Unicode's full case mappings.
//
// The package knows nothing of queues or HTTP.
package text
