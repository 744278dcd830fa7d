package executor

import (
	"context"
	"fmt"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/nodes/catalog"
)

type workflowKey struct{}

// InWorkflow carries the saved workflow that a prompt was made from to Validate, which names the node pack of a class that is missing by it. A nil
// workflow is allowed.
func InWorkflow(ctx context.Context, workflow *pyjson.Object) context.Context {
	return context.WithValue(ctx, workflowKey{}, workflow)
}

// missingClass describes a node whose class is not registered. pending explains why it may still be registered later, or is "".
func missingClass(ctx context.Context, id string, n *pyjson.Object, class any, there bool, pending string) (*pyjson.Object, error) {
	switch class.(type) {
	case []any, *pyjson.Object:
		return nil, badPrompt("the class of node %s is no text", id)
	}
	var title any
	if there {
		title = class
	}
	if meta, ok := n.Get("_meta"); ok {
		m, isObject := meta.(*pyjson.Object)
		if !isObject {
			return nil, badPrompt("_meta of node %s is no object", id)
		}
		if t, ok := m.Get("title"); ok {
			title = t
		}
	}
	name, _ := class.(string)
	workflow, _ := ctx.Value(workflowKey{}).(*pyjson.Object)
	reason := pending
	if reason == "" {
		reason = reasonMissing(name, workflow)
	}
	message := fmt.Sprintf("Node '%s' not found. %s", pyjson.Str(title), reason)
	if !there {
		shown := title
		if !pyjson.Truthy(shown) {
			shown = "ID #" + id
		}
		message = fmt.Sprintf("Node '%s' has no class_type. The workflow may be corrupted or a custom node is missing.", pyjson.Str(shown))
	}
	return problemObject("missing_node_type", message, fmt.Sprintf("Node ID '#%s'", id),
		pyjson.NewObject("node_id", id, "class_type", class, "node_title", title)), nil
}

// corePack is the cnr_id of ComfyUI's own classes in saved workflows.
const corePack = "comfy-core"

// reasonMissing explains why a class is missing and, if known, how to get it.
func reasonMissing(class string, workflow *pyjson.Object) string {
	if c, ok := catalog.Get(class); ok {
		return fmt.Sprintf("'%s' is a core node of ComfyUI %s, not available in comfygo yet; it uses %s.", class, catalog.Version, c.Uses)
	}
	p := packOf(class, workflow)
	switch {
	case p.id == corePack:
		return fmt.Sprintf("The workflow has '%s' as a core node of ComfyUI%s; comfygo has the nodes of ComfyUI %s.", class, p.version(), catalog.Version)
	case p.id != "":
		return fmt.Sprintf("It belongs to the custom node pack '%s'%s, which is not installed.", p.id, p.version())
	case p.repository != "":
		return fmt.Sprintf("It belongs to the custom node pack github.com/%s%s, which is not installed.", p.repository, p.version())
	}
	return "The custom node may not be installed."
}

// pack is the node pack that a saved workflow names for a class: its id in the registry of custom nodes, or owner/name on GitHub.
type pack struct{ id, repository, ver string }

func (p pack) version() string {
	if p.ver == "" {
		return ""
	}
	return " " + p.ver
}

// packOf looks a class up in a saved workflow and its subgraphs.
func packOf(class string, workflow *pyjson.Object) pack {
	if workflow == nil || class == "" {
		return pack{}
	}
	graphs := []any{workflow}
	if definitions := workflow.Object("definitions"); definitions != nil {
		subgraphs, _ := definitions.Get("subgraphs")
		graphs = append(graphs, objects(subgraphs)...)
	}
	for _, g := range graphs {
		graph, ok := g.(*pyjson.Object)
		if !ok {
			continue
		}
		list, _ := graph.Get("nodes")
		for _, n := range objects(list) {
			node, ok := n.(*pyjson.Object)
			if !ok || node.String("type") != class {
				continue
			}
			properties := node.Object("properties")
			if properties == nil {
				continue
			}
			p := pack{named(properties, "cnr_id"), named(properties, "aux_id"), named(properties, "ver")}
			if p.id != "" || p.repository != "" {
				return p
			}
		}
	}
	return pack{}
}

// objects returns the elements of a list; old workflows have objects of them.
func objects(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case *pyjson.Object:
		var list []any
		for _, e := range v.All() {
			list = append(list, e)
		}
		return list
	}
	return nil
}

// named returns a text of a workflow on one line, cut where it is longer than any name is.
func named(o *pyjson.Object, key string) string {
	const longest = 100
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, o.String(key))
	if r := []rune(text); len(r) > longest {
		return string(r[:longest])
	}
	return text
}
