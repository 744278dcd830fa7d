package all

import (
	_ "embed" // for the list
	"strings"

	"comfygo/nodes"
)

// order has the names of upstream's classes as its /object_info lists them; front ends show them in that order.
//
//go:embed order.txt
var order string

// Registry returns the default registry in upstream's order. Classes that upstream does not have come last.
func Registry() *nodes.Registry { return nodes.Default().Arranged(strings.Split(order, "\n")) }
