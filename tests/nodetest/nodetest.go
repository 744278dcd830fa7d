// Package nodetest is the common part of tests of node classes that run networks: the runtime of a test program, recorded networks of families as
// files, contexts and calls.
package nodetest

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/safetensors"
	"comfygo/folders"
	"comfygo/internal/ortlib"
	"comfygo/nodes"
)

// Main runs the tests of a package with a runtime at the given place and returns the program's exit code. There is one for all tests, as a process can have
// one library open. families are those that the runtime knows, nil for all that are linked in.
func Main(m *testing.M, at **engine.Runtime, families *family.Registry) int {
	*at = engine.New(engine.Config{
		Library:  func() (string, error) { return ortlib.Find(ortlib.Options{}) },
		Families: families,
		Log:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	code := m.Run()
	if err := (*at).Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// Recorded returns the tensors of the network that engine/family/FAMILY/testdata/NAME describes, for tests of a package in nodes/.
func Recorded(t *testing.T, family, name string) []safetensors.Tensor {
	t.Helper()
	_, src := familytest.Recorded(t, "../../engine/family/"+family+"/testdata/"+name, family)
	var list []safetensors.Tensor
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		list = append(list, safetensors.Tensor{Name: n, DType: e.DType, Shape: e.Shape, Data: e.Data})
	}
	return list
}

// Save writes a model file and returns its path.
func Save(t *testing.T, path string, list []safetensors.Tensor) string {
	t.Helper()
	if err := safetensors.Save(path, nil, list); err != nil {
		t.Fatal(err)
	}
	return path
}

// Context is that of a call on a server with a runtime and the given base folder.
func Context(t *testing.T, runtime *engine.Runtime, base string) *nodes.Context {
	t.Helper()
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	return nodes.TestContext(t.Context(), nodes.Services{Engine: runtime, Folders: f})
}

// Run returns the outputs of a node.
func Run(t *testing.T, ctx *nodes.Context, n nodes.Node) []any {
	t.Helper()
	r, err := n.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r.Values
}
