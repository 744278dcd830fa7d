package sam3

import (
	"fmt"
	"strings"

	"comfygo/engine/weights"
)

// view shows a checkpoint's network under the names of its layers: projections that lie together are apart, and the text encoder and tables that are
// computed are left out. Upstream: supported_models.py SAM3.process_unet_state_dict.
func view(src weights.Source) weights.Source {
	v := &named{Source: src, parts: map[string]piece{}}
	for _, n := range src.Names() {
		to := n
		if rest, ok := strings.CutPrefix(to, "tracker.model."); ok {
			to = "tracker." + rest
		}
		switch {
		case strings.Contains(to, "language_backbone") && !strings.Contains(to, "resizer"), strings.Contains(to, ".attn.freqs_cis"):
			continue
		case strings.Contains(to, "sam_mask_decoder.transformer."):
			to = decoderNames.Replace(to)
		}
		layer, fused := strings.CutSuffix(to, ".in_proj_weight")
		what := "weight"
		if !fused {
			layer, fused = strings.CutSuffix(to, ".in_proj_bias")
			what = "bias"
		}
		if !fused {
			v.add(to, piece{n, -1})
			continue
		}
		for i, name := range []string{"q_proj", "k_proj", "v_proj"} {
			v.add(fmt.Sprintf("%s.%s.%s", layer, name, what), piece{n, i})
		}
	}
	return v
}

var decoderNames = strings.NewReplacer(".mlp.lin1.", ".mlp.0.", ".mlp.lin2.", ".mlp.2.", ".norm_final_attn.", ".norm_final.")

// piece is a tensor of the file, or a third of its rows.
type piece struct {
	from  string
	third int
}

type named struct {
	weights.Source
	names []string
	parts map[string]piece
}

func (v *named) add(name string, p piece) {
	if _, taken := v.parts[name]; !taken {
		v.names = append(v.names, name)
		v.parts[name] = p
	}
}

// Names implements weights.Source.
func (v *named) Names() []string { return v.names }

// Close implements weights.Source.
func (*named) Close() error { return nil }

// Lookup implements weights.Source. A tensor whose rows are no multiple of three keeps its shape, which the layer that takes it reports.
func (v *named) Lookup(name string) (weights.Entry, bool) {
	p, ok := v.parts[name]
	if !ok {
		return weights.Entry{}, false
	}
	e, ok := v.Source.Lookup(p.from)
	if !ok || p.third < 0 || len(e.Shape) == 0 || e.Shape[0]%3 != 0 {
		return e, ok
	}
	if part, err := e.Rows(p.third*e.Shape[0]/3, e.Shape[0]/3); err == nil {
		return part, true
	}
	return e, true
}
