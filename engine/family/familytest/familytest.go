// Package familytest runs the graphs of model families in tests, on the CPU in float32, without the engine.
package familytest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/ortlib"
)

// lib is the runtime of a test binary; a process can have no more than one.
var lib *ort.Runtime

// Main is the TestMain of a package that uses Runner. Such a package makes no engine.Runtime.
func Main(m *testing.M) int {
	path, err := ortlib.Find(ortlib.Options{})
	if err == nil {
		lib, err = ort.Open(ort.Config{Library: path})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := lib.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Runner makes a session for each call and keeps none.
type Runner struct{}

var _ family.Runner = Runner{}

// Run implements family.Runner.
func (Runner) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	target, err := nn.TargetFor(nn.TargetOptions{MapWeights: g.Streamed})
	if err != nil {
		return nil, err
	}
	graph, err := g.Build(family.Spec{Target: target})
	if err != nil {
		return nil, err
	}
	s, err := session(ctx, graph)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	inputs := map[string]ort.Value{}
	for _, v := range in {
		if v.Tensor != nil {
			inputs[v.Name] = ort.Floats(v.Tensor.Data, v.Tensor.Shape...)
		} else {
			inputs[v.Name] = ort.Ints(v.Ints, v.Shape...)
		}
	}
	res, err := s.Run(ctx, inputs, outputs)
	if err != nil {
		return nil, err
	}
	out := map[string]*tensor.Tensor{}
	for name, v := range maps.All(res) {
		data, err := v.Float32s()
		if err != nil {
			return nil, err
		}
		out[name] = &tensor.Tensor{Shape: v.Shape, Data: data}
	}
	return out, nil
}

// inlineBelow is the size in bytes under which weights are written into the model, as the engine does.
const inlineBelow = 1024

func session(ctx context.Context, g *onnx.Graph) (*ort.Session, error) {
	var inits []ort.Initializer
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		data, err := bytesOf(in)
		if err != nil || len(data) < inlineBelow {
			return onnx.Placement{Inline: data}, err
		}
		inits = append(inits, ort.Initializer{Name: in.Name, DType: in.DType, Shape: in.Shape, Data: data})
		location, err := lib.Location("")
		return onnx.Placement{Location: location, Length: int64(len(data))}, err
	})
	if err != nil {
		return nil, err
	}
	return lib.NewSession(ctx, ort.SessionSpec{Name: g.Name, Model: model, Initializers: inits, OptLevel: ort.OptExtended})
}

// bytesOf makes a weight's bytes.
func bytesOf(in onnx.Initializer) ([]byte, error) {
	switch src := in.Source.(type) {
	case []byte:
		return src, nil
	case nn.Source:
		if e, ok := src.InPlace(); ok {
			return e.Data, nil
		}
		dst := make([]byte, src.Size())
		for _, task := range src.Tasks(dst, nn.Kernels{}) {
			if err := task(); err != nil {
				return nil, err
			}
		}
		return dst, nil
	}
	return nil, fmt.Errorf("the weight %s comes from %T", in.Name, in.Source)
}

// Patched implements family.Runner.
func (Runner) Patched(src weights.Source) (weights.Source, error) { return src, nil }

// Fits implements family.Runner.
func (Runner) Fits(int64) bool { return true }

// Check implements family.Runner.
func (Runner) Check(string, int64) error { return nil }

// Log implements family.Runner.
func (Runner) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }
