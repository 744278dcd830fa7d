package executor

import (
	"slices"

	"comfygo/nodes"
)

// askLazy asks a node which of its inputs it needs and makes it wait for those that have no value yet.
func (r *run) askLazy(n *node, c *caller) (wait bool, err error) {
	answers, err := c.each(r.ctx, func(node nodes.Node, ctx *nodes.Context) (any, error) { return node.(nodes.LazyInputs).CheckLazy(ctx) })
	if err != nil {
		return false, err
	}
	var need []string
	for _, a := range answers {
		names, _ := a.([]string)
		for _, name := range names {
			if (c.inputs.missing[name] || !c.inputs.values.Has(name)) && !slices.Contains(need, name) {
				need = append(need, name)
			}
		}
	}
	for _, name := range need {
		if err := r.plan.need(n, name); err != nil {
			return false, err
		}
	}
	return len(need) > 0, nil
}
