package all

import (
	"comfygo/nodes"
	"comfygo/nodes/catalog"
)

// Registry returns the default registry in upstream's order. Classes that upstream does not have come last.
func Registry() *nodes.Registry { return nodes.Default().Arranged(catalog.Names()) }
