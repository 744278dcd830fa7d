package cudakernels

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/onnx"
)

// Missing is an operator with floating-point tensors that CUDA has no kernel for.
type Missing struct {
	// Op is the operator with its domain, such as "Conv" or "comfygo.Widen".
	Op string
	// Types are the floating-point types of its inputs and outputs, such as "bfloat16,float".
	Types string
	// Opset is the version that the graph imports.
	Opset int
}

// String describes the operator for messages.
func (m Missing) String() string { return fmt.Sprintf("%s(%s) at opset %d", m.Op, m.Types, m.Opset) }

// Find lists the operators of g that have no CUDA kernel, each kind once. Operators that see only integers and booleans
// are left out: they compute shapes, and ONNX Runtime runs them on the CPU.
func Find(g *onnx.Graph) ([]Missing, error) {
	t, err := load()
	if err != nil {
		return nil, err
	}
	var out []Missing
	seen := map[Missing]bool{}
	g.Walk(func(n onnx.Node) {
		types := floats(n)
		m := Missing{Op: n.Op, Types: strings.Join(types, ","), Opset: g.Opset()}
		if n.Domain != onnx.DomainONNX {
			m.Op = n.Domain + "." + n.Op
		}
		if len(types) == 0 || seen[m] {
			return
		}
		seen[m] = true
		if !slices.ContainsFunc(t.fits(n.Domain, n.Op, g.Opset()), func(k kernel) bool { return k.takes(types) }) {
			out = append(out, m)
		}
	})
	return out, nil
}

// floats are the floating-point types that an operator sees, sorted.
func floats(n onnx.Node) []string {
	var out []string
	for _, v := range slices.Concat(n.In, n.Out) {
		if v == nil || !v.DType.IsFloat() {
			continue
		}
		if name := names[v.DType]; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Check fails the test when g has an operator that CUDA has no kernel for.
func Check(tb testing.TB, g *onnx.Graph) {
	tb.Helper()
	missing, err := Find(g)
	if err != nil {
		tb.Fatal(err)
	}
	for _, m := range missing {
		tb.Errorf("graph %s: CUDA has no kernel for %v", g.Name, m)
	}
}
