package nodes

import (
	"fmt"

	"comfygo/internal/pyjson"
)

// TextEntry is one text that a saved file carries about its making.
type TextEntry struct{ Key, Value string }

// FileText returns the metadata of a saved file as JSON: the prompt, then everything that the client sent to be stored. It is nil if metadata
// are disabled.
func (c *Context) FileText() ([]TextEntry, error) {
	if !c.Metadata {
		return nil, nil
	}
	var list []TextEntry
	add := func(key string, value any) error {
		json, err := pyjson.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing the metadata %q: %w", key, err)
		}
		list = append(list, TextEntry{key, string(json)})
		return nil
	}
	if prompt := c.Prompt(); prompt != nil {
		if err := add("prompt", prompt); err != nil {
			return nil, err
		}
	}
	if extra := c.ExtraPNGInfo(); extra != nil {
		for key, value := range extra.All() {
			if err := add(key, value); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}
