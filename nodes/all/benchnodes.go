//go:build benchnodes

package all

import (
	"comfygo/nodes"
	"comfygo/tests/benchnodes"
)

// Every family is registered by now: a package's init functions run after those of its imports.
func init() { benchnodes.Pad(nodes.Default()) }
