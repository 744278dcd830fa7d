//go:build drygpu && linux

package drygpu_test

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/internal/golden"
	"comfygo/tests/cudacheck"
)

// sessions makes a session of each graph of the samples that cover all families.
func sessions(ctx context.Context, p *player) error {
	root, err := golden.Root()
	if err != nil {
		return err
	}
	samples, err := cudacheck.Samples(root)
	if err != nil {
		return err
	}
	known, err := cudacheck.Known()
	if err != nil {
		return err
	}
	lib, err := library()
	if err != nil {
		return err
	}
	made, shaped := 0, 0
	var failed []error
	for _, s := range samples {
		if f := known[s.Name]; f == nil || !f.Short {
			continue
		}
		seen := map[string]bool{}
		dryrun.Exercise(ctx, family.Open(family.Default, s.Source(dtype.Invalid)), &dryrun.Runner{
			Target: func(role family.Role, g family.Graph) (nn.Target, error) {
				return engine.Target(engine.TargetOptions{Device: ort.Device{Kind: ort.CUDA}, Role: role, Compute: p.UNet, Streamed: g.Streamed, Wide: g.Wide})
			},
			Built: func(_ family.Role, g family.Graph, built *onnx.Graph) {
				if seen[g.Part+g.Variant] {
					return
				}
				seen[g.Part+g.Variant] = true
				if built.ComputesShapes() {
					shaped++
				}
				if err := session(ctx, lib, built); err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", s.Name, err))
				}
				made++
			},
		})
	}
	fmt.Printf("%d sessions, of which %d compute sizes on the CPU\n", made, shaped)
	return errors.Join(append(failed, lib.Close())...)
}

// session makes a session of zeros.
func session(ctx context.Context, lib *ort.Runtime, g *onnx.Graph) error {
	var inits []ort.Initializer
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		n := in.DType.Size()
		for _, d := range in.Shape {
			n *= d
		}
		if n < 1024 {
			return onnx.Placement{Inline: make([]byte, n)}, nil
		}
		inits = append(inits, ort.Initializer{Name: in.Name, DType: in.DType, Shape: in.Shape, Data: zeros(n)})
		location, err := lib.Location("")
		return onnx.Placement{Location: location, Length: int64(n)}, err
	})
	if err != nil {
		return err
	}
	spec := ort.SessionSpec{Name: g.Name, Model: model, Initializers: inits, Device: ort.Device{Kind: ort.CUDA}, OptLevel: ort.OptExtended, OnDevice: !g.ComputesShapes()}
	s, err := lib.NewSession(ctx, spec)
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

var none []byte

// zeros are n bytes that no one writes to.
func zeros(n int) []byte {
	if n > len(none) {
		none = make([]byte, n)
	}
	return none[:n:n]
}
