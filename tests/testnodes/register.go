//go:build testnodes

package testnodes

import "comfygo/nodes"

func init() { nodes.Register(All()...) }
