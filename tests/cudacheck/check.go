// Package cudacheck writes the graphs of all model families for CUDA, without a GPU, and looks each operator up in the
// list of the CUDA kernels of the pinned library. `make cuda-check` writes all graphs and compares them with graphs.txt; the
// package's test writes those of a few samples, which cover all families, and looks up what graphs.txt does not know.
package cudacheck

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/tests/cudakernels"
)

// Computed are the compute types that a GPU has.
var Computed = []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}

// Stored are the types that weights have in files; Invalid means those that a sample has.
var Stored = []dtype.DType{dtype.Invalid, dtype.F16, dtype.BF16, dtype.F32}

// Part describes the graphs of one part of a sample's networks, such as its U-Net.
type Part struct {
	// Nodes counts the operators of all of the part's graphs, Digest identifies them.
	Nodes  int
	Digest string
	// Missing are the operators that CUDA has no kernel for.
	Missing []cudakernels.Missing
}

// Checker writes graphs.
type Checker struct {
	registry *family.Registry

	mu       sync.Mutex
	families map[*watched]bool // to whether a graph was written
	read     []*watched        // by the networks of the sample that is being checked
}

// New returns a checker for the families of a registry.
func New(reg *family.Registry) *Checker {
	c := &Checker{families: map[*watched]bool{}}
	c.registry = c.watch(reg)
	return c
}

// Check writes the graphs of a sample's networks in each compute type, from weights in a stored type, and looks their
// operators up. It returns the results by compute type and part, and the families of the graphs. Graphs that cannot be
// written are an error; others are written all the same.
func (c *Checker) Check(ctx context.Context, s Sample, stored dtype.DType) (map[dtype.DType]map[string]*Part, []string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = nil
	file := family.Open(c.registry, s.Source(stored))
	found, roles := map[dtype.DType]map[string]*Part{}, map[family.Role]bool{}
	var errs []error
	for _, compute := range Computed {
		parts := map[string]*Part{}
		run := &dryrun.Runner{
			Target: func(role family.Role, g family.Graph) (nn.Target, error) {
				return engine.Target(engine.TargetOptions{
					Device: ort.Device{Kind: ort.CUDA}, Role: role, Compute: compute, Block: 16, Linear: true, Streamed: g.Streamed, Wide: g.Wide,
				})
			},
			Built: func(role family.Role, g family.Graph, built *onnx.Graph) {
				roles[role] = true
				p := parts[g.Part]
				if p == nil {
					p = &Part{}
					parts[g.Part] = p
				}
				errs = append(errs, p.add(built))
			},
		}
		dryrun.Exercise(ctx, file, run)
		if run.Err != nil {
			errs = append(errs, fmt.Errorf("%s in %s: %w", s.Name, compute, run.Err))
		}
		if len(parts) > 0 {
			found[compute] = parts
		}
	}
	var names []string
	for _, w := range c.read {
		if roles[w.role] {
			c.families[w] = true
			names = append(names, w.String())
		}
	}
	slices.Sort(names)
	return found, slices.Compact(names), errors.Join(errs...)
}

// add adds one more graph of the part.
func (p *Part) add(g *onnx.Graph) error {
	model, err := g.Marshal(func(onnx.Initializer) (onnx.Placement, error) { return onnx.Placement{Inline: []byte{}}, nil })
	if err != nil {
		return fmt.Errorf("writing graph %s: %w", g.Name, err)
	}
	missing, err := cudakernels.Find(g)
	if err != nil {
		return err
	}
	const digits = 6
	sum := sha256.Sum256(append([]byte(p.Digest), model...))
	p.Nodes, p.Digest, p.Missing = p.Nodes+g.Nodes(), hex.EncodeToString(sum[:digits]), append(p.Missing, missing...)
	return nil
}

// Unwritten lists the families for whose networks no graph has been written, nor for another family of the same role and
// package, with their packages.
func (c *Checker) Unwritten() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	type place struct {
		role family.Role
		path string
	}
	of := func(w *watched) place { return place{w.role, reflect.TypeOf(w.Family).PkgPath()} }
	covered := map[place]bool{}
	for w, written := range c.families {
		covered[of(w)] = covered[of(w)] || written
	}
	out := map[string]string{}
	for w := range c.families {
		if p := of(w); !covered[p] {
			out[w.String()] = strings.TrimPrefix(p.path, "comfygo/")
		}
	}
	return out
}
