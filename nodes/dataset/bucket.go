package dataset

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ResolutionBucket{})
}

// ResolutionBucket sorts latents and conditionings by the size of the latents.
type ResolutionBucket struct {
	Latents      []engine.Latent       `in:"latents" type:"LATENT" tooltip:"Latents to group."`
	Conditioning []engine.Conditioning `in:"conditioning" type:"CONDITIONING" tooltip:"Conditionings, one a latent."`
}

// Spec implements nodes.Node.
func (*ResolutionBucket) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ResolutionBucket", DisplayName: "Resolution Bucket", Category: "model/training",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "LATENT", Name: "latents", List: true, Tooltip: "The latents, one batch a size."}, {Type: "CONDITIONING", Name: "conditioning", List: true, Tooltip: "The conditionings, one list a size."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Groups latents and conditionings into batches of one size.",
		SearchAliases: []string{"bucket by resolution", "group by resolution", "batch by resolution"},
		Uses:          nodes.UsesNothing,
	}
}

func (*ResolutionBucket) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Within()
}

// Run implements nodes.Node. Every row of a latent goes with the entry of the same number in its conditioning.
func (n *ResolutionBucket) Run(*nodes.Context) (nodes.Result, error) {
	if len(n.Latents) != len(n.Conditioning) {
		return nodes.Result{}, nodes.Errorf("ValueError", "grouping latents: there are %d latents and %d conditionings", len(n.Latents), len(n.Conditioning))
	}
	type bucket struct {
		rows    []*tensor.Tensor
		entries engine.Conditioning
	}
	var order [][2]int
	buckets := map[[2]int]*bucket{}
	for i, l := range n.Latents {
		if l.Samples == nil || len(l.Samples.Shape) < 3 {
			return nodes.Result{}, nodes.Errorf("ValueError", "grouping latents: latent %d has no samples", i)
		}
		for row := range l.Samples.Shape[0] {
			if row >= len(n.Conditioning[i]) {
				return nodes.Result{}, nodes.Errorf("IndexError", "grouping latents: latent %d has %d rows, its conditioning %d entries", i, l.Samples.Shape[0], len(n.Conditioning[i]))
			}
			size := [2]int{l.Samples.Dim(-2), l.Samples.Dim(-1)}
			b := buckets[size]
			if b == nil {
				b = &bucket{}
				buckets[size], order = b, append(order, size)
			}
			sample := l.Samples.Slice(row, row+1)
			if len(b.rows) > 0 && !tensor.SameShape(b.rows[0], sample) {
				return nodes.Result{}, nodes.Errorf("RuntimeError", "grouping latents: shapes %v and %v differ beyond the size", b.rows[0].Shape[1:], sample.Shape[1:])
			}
			b.rows, b.entries = append(b.rows, sample), append(b.entries, n.Conditioning[i][row])
		}
	}
	latents, conditionings := []engine.Latent{}, []engine.Conditioning{}
	for _, size := range order {
		b := buckets[size]
		samples, err := imaging.Concat(0, b.rows...)
		if err != nil {
			return nodes.Result{}, fmt.Errorf("grouping latents: %w", err)
		}
		latents, conditionings = append(latents, engine.Latent{Samples: samples}), append(conditionings, b.entries)
	}
	return nodes.Out(latents, conditionings), nil
}
