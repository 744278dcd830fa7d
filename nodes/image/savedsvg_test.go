package image_test

import (
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/nodes/image"
	"comfygo/tests/nodecalls"
)

// TestSavedSVG compares the files of SaveSVGNode.
func TestSavedSVG(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_saved.json.gz", nodecalls.Options{
		Described: func(v any) (any, bool) {
			data, ok := v.(image.SVG)
			texts := []any{}
			for _, d := range data {
				texts = append(texts, string(d))
			}
			return texts, ok
		},
		Makers: map[string]func(*pyjson.Object, func(any) any) any{
			"svg": func(recipe *pyjson.Object, _ func(any) any) any {
				texts, _ := recipe.Get("texts")
				var out image.SVG
				for _, text := range texts.([]any) {
					out = append(out, []byte(text.(string)))
				}
				return out
			},
		},
	})
}
