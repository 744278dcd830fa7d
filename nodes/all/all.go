// Package all brings every family of nodes into the default registry. It holds nothing but imports.
package all

import (
	_ "comfygo/nodes/conditioning" // nodes.py
	_ "comfygo/nodes/image"        // nodes.py, nodes_images.py
	_ "comfygo/nodes/latent"       // nodes.py, nodes_latent.py
	_ "comfygo/nodes/loaders"      // nodes.py
	_ "comfygo/nodes/sampling"     // nodes.py
)
