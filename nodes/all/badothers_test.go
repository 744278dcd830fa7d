package all_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/nodes"
)

// TestBadInputsOfClassesWithModels is TestBadInputsOfEachClass for the classes that need models, without one: what they check before they ask it must
// not panic either.
func TestBadInputsOfClassesWithModels(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("testdata/without_model.txt")
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Split(strings.TrimSpace(string(list)), "\n")
	base := recordedInputs(t)
	nodes.Default().Walk(func(c *nodes.Class) bool {
		if slices.Contains(without, c.Name) || slices.Contains(outside, c.Name) {
			return true
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tryBad(t, c, base[c.Name])
		})
		return true
	})
}
