// Package dryrun inspects model families without a runtime: weight files from a list of names and shapes, and a runner that
// only builds the graphs.
package dryrun

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// listed is a weight file that a list of names and shapes describes.
type listed struct {
	names    []string
	entries  map[string]weights.Entry
	metadata map[string]string
}

// Names implements weights.Source.
func (l *listed) Names() []string { return l.names }

// Lookup implements weights.Source.
func (l *listed) Lookup(name string) (weights.Entry, bool) {
	e, ok := l.entries[name]
	return e, ok
}

// Metadata implements weights.Source.
func (l *listed) Metadata() map[string]string { return l.metadata }

// Path implements weights.Source.
func (l *listed) Path() string { return "listed" }

// Close implements weights.Source.
func (l *listed) Close() error { return nil }

// The bounds of what List reads, since fuzzing hands it anything.
const (
	mostNames    = 2000
	mostElements = 1 << 20
)

// List returns a weight file of lines like "conv_first.weight 64 3 3 3", all of zeros in float32. Tensors of more than a
// million elements have no data.
func List(text string) weights.Source {
	l := &listed{entries: map[string]weights.Entry{}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || len(l.names) > mostNames {
			continue
		}
		e := weights.Entry{Name: words[0], DType: dtype.F32, TypeName: "F32", File: "listed"}
		elements := 1
		for _, w := range words[1:] {
			n, err := strconv.Atoi(w)
			if err != nil || n < 0 || n > 1<<16 || len(e.Shape) > 4 {
				n = 1
			}
			e.Shape = append(e.Shape, n)
			elements = min(elements*max(n, 1), 2*mostElements)
		}
		if elements <= mostElements {
			e.Data = make([]byte, 4*e.Count())
		}
		if !slices.Contains(l.names, e.Name) {
			l.names = append(l.names, e.Name)
		}
		l.entries[e.Name] = e
	}
	return l
}

// Runner builds the graphs that a network runs and gives zeros as their outputs.
type Runner struct {
	// Spec is what graphs are built for.
	Spec family.Spec
	// Role is the role of the network that runs; Exercise sets it.
	Role family.Role
	// Target, when set, chooses the target of each graph of a network with a role, in place of Spec's.
	Target func(role family.Role, g family.Graph) (nn.Target, error)
	// Built, when set, is called with each graph that was built, instead of Graphs.
	Built func(role family.Role, g family.Graph, built *onnx.Graph)
	// Failed, when set, is called with each part that does not run in Exercise.
	Failed func(part string, err error)
	// Graphs are the built graphs, Err is the first error of building one.
	Graphs []*onnx.Graph
	Err    error
}

var _ family.Runner = (*Runner)(nil)

// multiple matches a dimension that is a symbol, a multiple of one or more by a number, "h", "2*h" or "T+2".
var multiple = regexp.MustCompile(`^(?:([1-9]\d*)\*)?([A-Za-z_]\w*)([+-][1-9]\d*)?$`)

// number reads a number that multiple matched, or the given one for none. One that is too large for an int is too large for a shape.
func number(text string, none int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return none
	}
	return n
}

// Run implements family.Runner.
func (r *Runner) Run(_ context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	built, err := r.build(g)
	if err != nil {
		if r.Err == nil {
			r.Err = err
		}
		return nil, err
	}
	symbols := map[string]int{}
	for _, v := range built.Inputs() {
		i := slices.IndexFunc(in, func(x family.Value) bool { return x.Name == v.Name })
		if i < 0 {
			return nil, fmt.Errorf("running graph %s: input %s is missing", built.Name, v.Name)
		}
		shape := in[i].Shape
		if in[i].Tensor != nil {
			shape = in[i].Tensor.Shape
		}
		for k, d := range v.Shape {
			if m := multiple.FindStringSubmatch(d.String()); k < len(shape) && !d.Known() && m != nil {
				by, more := number(m[1], 1), number(m[3], 0)
				if n := shape[k] - more; n%by != 0 || n < 0 {
					return nil, fmt.Errorf("running graph %s: input %s has shape %v, and axis %d is %s", built.Name, v.Name, shape, k, d)
				}
				symbols[m[2]] = (shape[k] - more) / by
			}
		}
	}
	out := map[string]*tensor.Tensor{}
	for _, v := range built.Outputs() {
		if !slices.Contains(outputs, v.Name) {
			continue
		}
		shape := make([]int, len(v.Shape))
		for i, d := range v.Shape {
			if shape[i], err = d.Eval(symbols); err != nil {
				return nil, fmt.Errorf("running graph %s: output %s: %w", built.Name, v.Name, err)
			}
		}
		out[v.Name] = tensor.New(shape...)
	}
	return out, nil
}

func (r *Runner) build(g family.Graph) (*onnx.Graph, error) {
	spec := r.Spec
	if r.Target != nil {
		var err error
		if spec.Target, err = r.Target(r.Role, g); err != nil {
			return nil, err
		}
	}
	built, err := g.Build(spec)
	if err != nil {
		return nil, err
	}
	if r.Built != nil {
		r.Built(r.Role, g, built)
	} else {
		r.Graphs = append(r.Graphs, built)
	}
	return built, nil
}

// Patched implements family.Runner.
func (r *Runner) Patched(src weights.Source) (weights.Source, error) {
	return r.Spec.Adapters.Source(src)
}

// Fits implements family.Runner.
func (r *Runner) Fits(int64) bool { return true }

// Check implements family.Runner.
func (r *Runner) Check(string, int64) error { return nil }

// Log implements family.Runner.
func (r *Runner) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }
