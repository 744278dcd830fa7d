// Package all brings every family of nodes into the default registry. It holds nothing but imports.
package all

import (
	_ "comfygo/nodes/conditioning"
	_ "comfygo/nodes/image"
	_ "comfygo/nodes/latent"
	_ "comfygo/nodes/loaders"
	_ "comfygo/nodes/sampling"
)
