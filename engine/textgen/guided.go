package textgen

import (
	"fmt"
	"math"
	"slices"
)

// Guided samples from some of the tokens by the logits of a positive and a negative prompt, or of a single prompt (upstream:
// text_encoders/ace15.py sample_manual_loop_no_classes). Filters come before the temperature; there are no penalties.
type Guided struct {
	Chooser
	scale float32
	from  int
}

// NewGuided returns a chooser among tokens from a number on, for a guidance scale. It fails for options outside their ranges; a TopP
// above 1 keeps all.
func NewGuided(o Options, scale float64, from int) (*Guided, error) {
	o.TopP, o.Repetition, o.Presence = min(o.TopP, 1), 1, 0
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	return &Guided{Chooser: *c, scale: float32(scale), from: from}, nil
}

// Next returns the next token, from the logits of the tokens that may be chosen.
func (g *Guided) Next(logits [][]float32, all int) (int32, error) {
	list := make([]token, len(logits[0]))
	best := 0
	for i := range list {
		v := logits[0][i]
		if len(logits) > 1 {
			away := logits[1][i]
			v = away + g.scale*(v-away)
		}
		list[i] = token{int32(g.from + i), v} //nolint:gosec // below the number of tokens
		if v-v != 0 {
			return 0, fmt.Errorf("choosing a token: the model's output holds values that are no finite numbers")
		}
		if v > list[best].logit {
			best = i
		}
	}
	if !g.o.Sample || g.o.Temperature == 0 {
		return list[best].id, nil
	}
	g.filter(list)
	for i := range list {
		list[i].logit /= float32(g.o.Temperature)
	}
	return list[g.drawAmong(list, max(all, g.from+len(list)))].id, nil
}

// filter drops tokens by top k, min p and top p.
func (g *Guided) filter(list []token) {
	if k := g.o.TopK; k > 0 {
		sorted := slices.Clone(list)
		slices.SortStableFunc(sorted, higher)
		least := sorted[min(k, len(sorted))-1].logit
		drop(list, func(i int) bool { return list[i].logit < least })
	}
	if g.o.MinP > 0 {
		p := softmax(list)
		least := float32(g.o.MinP) * slices.Max(p)
		drop(list, func(i int) bool { return p[i] < least })
	}
	if g.o.TopP < 1 {
		nucleus(list, g.o.TopP, true)
	}
}

func drop(list []token, which func(i int) bool) {
	for i := range list {
		if which(i) {
			list[i].logit = dropped
		}
	}
}

// drawAmong draws an index into list by probability; there is a random number for each of all tokens.
func (g *Guided) drawAmong(list []token, all int) int {
	p, wait := softmax(list), make([]float32, all)
	g.rand.Exponential(wait)
	best, most := 0, float32(math.Inf(-1))
	for i, v := range p {
		if v /= wait[g.from+i]; v > most {
			best, most = i, v
		}
	}
	return best
}
