package sam3

import (
	"context"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Smaller returns a network for images of fewer cells along a side.
func Smaller(n family.Segmenter, grid int) family.Segmenter {
	m := n.(*model)
	small := &model{config: m.config, src: m.src}
	small.grid = grid
	return small
}

// Kinds is kinds.
func Kinds(prompt string) (texts []string, most []int) {
	for _, k := range kinds(prompt) {
		texts, most = append(texts, k.text), append(most, k.most)
	}
	return texts, most
}

// Logits has f called with each mask of each frame before it is packed.
func Logits(n family.Segmenter, f func(mask []float32)) { n.(*model).packed = f }

// Followed are the objects of a group of SAM 3.1 in a frame of 4x4 cells: the mask logits, and what group keeps of each.
type Followed struct {
	Low           [][]float32
	Scores        []float32
	Alive, Hidden []int
}

// planes are masks of 4x4 cells [N,4,4].
func planes(list [][]float32) *tensor.Tensor {
	return &tensor.Tensor{Shape: []int{len(list), 4, 4}, Data: slices.Concat(list...)}
}

// group returns the objects as a group; an object without a score has 1, without alive 1, and without hidden -1.
func (f Followed) group(most int, run family.Runner) *group {
	g := &group{tracker: &tracker{model: &model{config: config{multiplex: true, grid: 1, patch: 4, d: 1, slots: 2}}, scale: 2, bias: -1}}
	g.ctx, g.run, g.call.Most = context.Background(), run, most
	g.low = planes(f.Low)
	g.high = g.low.Clone()
	for i := range f.Low {
		g.scores, g.alive, g.hidden = append(g.scores, 1), append(g.alive, 1), append(g.hidden, -1)
		if f.Alive != nil {
			g.alive[i] = f.Alive[i]
		}
		if f.Hidden != nil {
			g.hidden[i] = f.Hidden[i]
		}
	}
	return g
}

// followed are the objects of a group.
func (g *group) followed() Followed {
	f := Followed{Scores: g.scores, Alive: g.alive, Hidden: g.hidden}
	for i := range g.count() {
		f.Low = append(f.Low, g.low.Index(i).Data)
	}
	return f
}

// Suppress applies the rule for masks that cross in a frame.
func (f Followed) Suppress(frame int) Followed {
	g := f.group(0, nil)
	g.suppress(frame)
	return g.followed()
}

// Lost tells the objects that others cover.
func (f Followed) Lost() []bool { return f.group(0, nil).lost() }

// Match compares the objects with what was found, of which most are followed; run remembers the masks.
func (f Followed) Match(found [][]float32, scores []float32, most int, run family.Runner) (Followed, error) {
	g := f.group(most, run)
	err := g.match(nil, &remembered{pointers: tensor.New(1, 2, 1)}, planes(found), scores)
	return g.followed(), err
}
