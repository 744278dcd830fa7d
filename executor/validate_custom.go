package executor

import (
	"slices"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// validates reports whether the class's own validator reads an input.
func (n *nodeCheck) validates(name string) bool { return slices.Contains(n.class.Validates, name) }

// custom runs the class's own validator and reports its verdict for each input that it reads.
func (n *nodeCheck) custom() error {
	if !n.class.HasValidator() {
		return nil
	}
	all := constants(n.class, n.inputs)
	seen, names := pyjson.NewObject(), []string{}
	missing := map[string]bool{}
	for key, v := range all.values.All() {
		if n.validates(key) || n.validates("**") {
			seen.Set(key, v)
			names = append(names, key)
			missing[key] = all.missing[key]
		}
	}
	if n.validates("input_types") {
		names = append(names, "input_types")
	}
	c := caller{id: n.id, promptID: n.v.id, services: n.v.services, log: n.v.e.log, class: n.class, inputs: inputSet{seen, missing}, linked: n.types}
	_, err := c.each(n.v.ctx, func(node nodes.Node, ctx *nodes.Context) (any, error) {
		return nil, node.(nodes.Validator).ValidateInputs(ctx)
	})
	if err != nil {
		if reason, ok := nodes.Verdict(err); ok {
			n.refuse(names, forClients(n.v.env.Folders, reason))
			return nil
		}
		if len(n.reasons) > 0 {
			return nil // values that could not be converted have been reported
		}
		return err
	}
	return nil
}

func (n *nodeCheck) refuse(names []string, reason string) {
	for _, name := range names {
		details := name
		if reason != "" {
			details += " - " + reason
		}
		n.reasons = append(n.reasons, problemObject("custom_validation_failed", "Custom validation failed for node", details, pyjson.NewObject("input_name", name)))
	}
}
