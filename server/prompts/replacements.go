package prompts

import (
	_ "embed" // the table
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// replacementsJSON says which node classes took the place of older ones, and how their inputs map.
//
//go:embed replacements.json
var replacementsJSON []byte

var replacements = sync.OnceValues(func() (*pyjson.Object, error) { return pyjson.UnmarshalObject(replacementsJSON) })

// GetNodeReplacements returns the node classes that replace older ones.
func (s *Service) GetNodeReplacements(c echo.Context) error {
	table, err := replacements()
	if err != nil {
		return err
	}
	return s.Reply.JSON(c, http.StatusOK, table)
}

// link is an input that another node feeds.
type link struct {
	node, input string
	value       []any
}

// replaceNodes puts the successors of classes that are not there any more into a prompt. It fails on prompts that
// upstream breaks down on.
func (s *Service) replaceNodes(prompt *pyjson.Object) error {
	table, err := replacements()
	if err != nil {
		return err
	}
	var old []string
	links := map[string][]link{}
	for id, v := range prompt.All() {
		node, ok, err := replaceable(v)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		class, _ := node.Get("class_type")
		switch class := class.(type) {
		case string:
			if _, there := s.Registry.Get(class); !there && table.Has(class) {
				old = append(old, id)
			}
		case []any, *pyjson.Object:
			return reply.Trouble("reading node %s: class_type is a %s", id, pyjson.TypeName(class))
		}
		for input, v := range node.Object("inputs").All() {
			if l, ok := v.([]any); ok && isLink(l) {
				from := l[0].(string)
				links[from] = append(links[from], link{id, input, l})
			}
		}
	}
	for _, id := range old {
		if err := s.replaceNode(prompt, id, table, links[id]); err != nil {
			return err
		}
	}
	return nil
}

// replaceable returns a node that has a class and inputs.
func replaceable(v any) (node *pyjson.Object, ok bool, err error) {
	for _, key := range []string{"class_type", "inputs"} {
		if given, err := reply.Has(v, key); err != nil || !given {
			return nil, false, err
		}
	}
	node, isObject := v.(*pyjson.Object)
	if !isObject {
		return nil, false, reply.Trouble("reading a node: it is a %s, not an object", pyjson.TypeName(v))
	}
	if inputs, _ := node.Get("inputs"); node.Object("inputs") == nil {
		return nil, false, reply.Trouble("reading a node: its inputs are a %s, not an object", pyjson.TypeName(inputs))
	}
	return node, true, nil
}

// isLink reports whether a list is a node's id and a slot.
func isLink(l []any) bool {
	if len(l) != 2 {
		return false
	}
	if _, ok := l[0].(string); !ok {
		return false
	}
	switch l[1].(type) {
	case float64, bool:
		return true
	}
	return pyjson.IsInt(l[1])
}

func (s *Service) replaceNode(prompt *pyjson.Object, id string, table *pyjson.Object, links []link) error {
	node := prompt.Object(id)
	v, _ := table.Get(node.String("class_type"))
	list, _ := v.([]any)
	if len(list) == 0 {
		return nil
	}
	rule, _ := list[0].(*pyjson.Object)
	class := rule.String("new_node_id")
	if _, there := s.Registry.Get(class); !there {
		return nil
	}
	if node.Object("_meta") == nil {
		return reply.Trouble("replacing node %s: it has no _meta", id)
	}
	inputs, err := mappedInputs(rule, node.Object("inputs"))
	if err != nil {
		return err
	}
	prompt.Set(id, node.Clone().Set("inputs", inputs).Set("class_type", class))
	outputs, _ := rule.Get("output_mapping")
	maps, _ := outputs.([]any)
	for _, l := range links {
		for _, m := range maps {
			o, _ := m.(*pyjson.Object)
			from, _ := o.Get("old_idx")
			if to, _ := o.Get("new_idx"); pyjson.Repr(from) == pyjson.Repr(l.value[1]) {
				l.value[1] = to
			}
		}
	}
	return nil
}

func mappedInputs(rule, old *pyjson.Object) (*pyjson.Object, error) {
	inputs := pyjson.NewObject()
	v, _ := rule.Get("input_mapping")
	maps, _ := v.([]any)
	for _, m := range maps {
		o, _ := m.(*pyjson.Object)
		if value, ok := o.Get("set_value"); ok {
			inputs.Set(o.String("new_id"), value)
			continue
		}
		from := o.String("old_id")
		value, ok := old.Get(from)
		if !ok {
			return nil, reply.Trouble("replacing a node: it has no input %q", from)
		}
		inputs.Set(o.String("new_id"), value)
	}
	return inputs, nil
}
