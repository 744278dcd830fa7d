package moge

import (
	"strings"

	"comfygo/engine/weights"
)

// topNames are the names of the backbone's single tensors as Meta gave them, and as transformers does.
var topNames = map[string]string{
	"patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
	"patch_embed.proj.bias":   "embeddings.patch_embeddings.projection.bias",
	"cls_token":               "embeddings.cls_token",
	"pos_embed":               "embeddings.position_embeddings",
	"register_tokens":         "embeddings.register_tokens",
	"mask_token":              "embeddings.mask_token",
	"norm.weight":             "layernorm.weight",
	"norm.bias":               "layernorm.bias",
}

// blockNames are those of tensors of a block.
var blockNames = strings.NewReplacer("ls1.gamma", "layer_scale1.lambda1", "ls2.gamma", "layer_scale2.lambda1", "attn.proj.", "attention.output.dense.",
	"mlp.w12.", "mlp.weights_in.", "mlp.w3.", "mlp.weights_out.")

// projections are the parts of a fused projection, in order.
var projections = []string{"query", "key", "value"}

// layout shows a source with the backbone's tensors under the names of transformers.
type layout struct {
	weights.Source
	names []string
	// from are the names in the file; of a fused projection, part is the third of it.
	from map[string]string
	part map[string]int
}

// renamed shows a model whose backbone has Meta's names under those of transformers. Upstream: ldm/moge/model.py _remap_state_dict.
func renamed(src weights.Source, prefix string) weights.Source {
	l := &layout{Source: src, from: map[string]string{}, part: map[string]int{}}
	for _, n := range src.Names() {
		rest, ok := strings.CutPrefix(n, prefix)
		if !ok {
			l.add(n, n)
			continue
		}
		block, inBlock := strings.CutPrefix(rest, "blocks.")
		switch number, name, _ := strings.Cut(block, "."); {
		case topNames[rest] != "":
			l.add(prefix+topNames[rest], n)
		case !inBlock:
			l.add(n, n)
		case name == "attn.qkv.weight" || name == "attn.qkv.bias":
			for i, p := range projections {
				to := prefix + "encoder.layer." + number + ".attention.attention." + p + strings.TrimPrefix(name, "attn.qkv")
				l.part[to] = i
				l.add(to, n)
			}
		default:
			l.add(prefix+"encoder.layer."+number+"."+blockNames.Replace(name), n)
		}
	}
	return l
}

func (l *layout) add(to, from string) {
	if _, ok := l.from[to]; !ok {
		l.names = append(l.names, to)
	}
	l.from[to] = from
}

// Names implements weights.Source.
func (l *layout) Names() []string { return l.names }

// Close implements weights.Source.
func (l *layout) Close() error { return nil }

// Lookup implements weights.Source. A fused projection whose rows are no three parts is shown whole, so that its shape is reported.
func (l *layout) Lookup(name string) (weights.Entry, bool) {
	from, ok := l.from[name]
	if !ok {
		return weights.Entry{}, false
	}
	e, ok := l.Source.Lookup(from)
	i, fused := l.part[name]
	if !ok || !fused || len(e.Shape) == 0 || e.Shape[0]%len(projections) != 0 {
		return e, ok
	}
	rows := e.Shape[0] / len(projections)
	if part, err := e.Rows(i*rows, rows); err == nil {
		e = part
	}
	return e, true
}
