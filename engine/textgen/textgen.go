// Package textgen chooses tokens from the logits of a language model: greedily, or by chance after penalties, temperature and
// filters (upstream: text_encoders/llama.py BaseGenerate.sample_token).
//
// It knows no network and no tokenizer.
package textgen

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/torchrand"
)

// Options are how tokens are chosen. The zero value is greedy: the token of the highest logit.
type Options struct {
	// Sample chooses by chance; the other fields count only then.
	Sample bool
	// Temperature divides the logits; 0 is greedy.
	Temperature float64
	// TopK keeps the k highest logits; 0 means all.
	TopK int
	// TopP keeps the most probable tokens whose probabilities add up to it, at least one; 1 keeps all.
	TopP float64
	// MinP drops tokens less probable than this share of the most probable one; 0 drops none.
	MinP float64
	// Repetition divides the positive logits of tokens that were generated before, and multiplies the negative ones; 1 has
	// no effect.
	Repetition float64
	// Presence is subtracted from the logits of tokens that were generated before.
	Presence float64
	// Seed is the seed of the random numbers, which equal those of torch on the CPU.
	Seed uint64
}

// Chooser chooses one token after another.
type Chooser struct {
	o    Options
	rand *torchrand.Generator
	seen map[int32]bool
}

// New returns a chooser at the start of a text. It fails for options outside their ranges.
func New(o Options) (*Chooser, error) {
	if o.Sample {
		for _, v := range []struct {
			name     string
			is, most float64
		}{
			{"temperature", o.Temperature, math.MaxFloat32},
			{"top_k", float64(o.TopK), math.MaxInt32},
			{"top_p", o.TopP, 1},
			{"min_p", o.MinP, 1},
			{"repetition_penalty", o.Repetition, math.MaxFloat32},
			{"presence_penalty", o.Presence, math.MaxFloat32},
		} {
			if !(v.is >= 0 && v.is <= v.most) {
				return nil, fmt.Errorf("choosing tokens: %s is %v, wanted a number from 0 to %v", v.name, v.is, v.most)
			}
		}
	}
	c := &Chooser{o: o, seen: map[int32]bool{}}
	if o.Sample {
		c.rand = torchrand.New(o.Seed)
	}
	return c, nil
}

// dropped is the logit of a token that a filter removed, torch.finfo(float32).min.
const dropped = -math.MaxFloat32

// token is a token with its logit.
type token struct {
	id    int32
	logit float32
}

// Next returns the token that follows, and counts it as generated. It changes logits, one for each token. It fails when no
// logit is a number.
func (c *Chooser) Next(logits []float32) (int32, error) {
	best := int32(-1)
	for i, v := range logits {
		if !math.IsNaN(float64(v)) && (best < 0 || v > logits[best]) {
			best = int32(i)
		}
	}
	if best < 0 || math.IsInf(float64(logits[best]), 0) {
		return 0, fmt.Errorf("choosing a token: the model's output holds no finite numbers")
	}
	id := best
	if c.o.Sample && c.o.Temperature != 0 {
		var err error
		if id, err = c.draw(logits); err != nil {
			return 0, err
		}
	}
	c.seen[id] = true
	return id, nil
}

// Count adds tokens to those that were generated before, for the penalties. Tokens outside the vocabulary have no effect.
func (c *Chooser) Count(ids []int32) {
	for _, id := range ids {
		c.seen[id] = true
	}
}

// draw chooses by chance. Each step computes in float32, as upstream's tensors do.
func (c *Chooser) draw(logits []float32) (int32, error) {
	c.penalize(logits)
	if t := float32(c.o.Temperature); t != 1 {
		for i := range logits {
			logits[i] /= t
		}
	}
	list := c.candidates(logits)
	if c.o.MinP > 0 {
		p := softmax(list)
		least := float32(c.o.MinP) * slices.Max(p)
		for i := range list {
			if p[i] < least {
				list[i].logit = dropped
			}
		}
	}
	if c.o.TopP < 1 {
		nucleus(list, c.o.TopP, false)
	}
	p := softmax(list)
	if slices.ContainsFunc(p, func(v float32) bool { return math.IsNaN(float64(v)) }) {
		return 0, fmt.Errorf("choosing a token: a temperature of %v and a repetition penalty of %v leave no finite probabilities", c.o.Temperature, c.o.Repetition)
	}
	return list[c.multinomial(p)].id, nil
}

// penalize changes the logits of tokens that were generated before.
func (c *Chooser) penalize(logits []float32) {
	repetition, presence := float32(c.o.Repetition), float32(c.o.Presence)
	for id := range c.seen {
		if int(id) >= len(logits) {
			continue
		}
		v := logits[id]
		if repetition != 1 {
			if v < 0 {
				v *= repetition
			} else {
				v /= repetition
			}
		}
		logits[id] = v - presence
	}
}

// candidates are all tokens in their order, or the highest ones from the highest on.
func (c *Chooser) candidates(logits []float32) []token {
	list := make([]token, len(logits))
	for i, v := range logits {
		list[i] = token{int32(i), v}
	}
	if c.o.TopK == 0 {
		return list
	}
	slices.SortStableFunc(list, higher)
	return list[:min(c.o.TopK, len(list))]
}

// higher orders tokens by their logits, the highest first.
func higher(a, b token) int { return cmp.Compare(b.logit, a.logit) }

// softmax returns the probabilities of tokens.
func softmax(list []token) []float32 {
	highest := float32(math.Inf(-1))
	for _, t := range list {
		highest = max(highest, t.logit)
	}
	p := make([]float32, len(list))
	var sum float32
	for i, t := range list {
		p[i] = float32(math.Exp(float64(t.logit - highest)))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// nucleus drops the tokens with which the probabilities, from the greatest on, add up to more than most; through keeps the first of them.
// The most probable token is kept in any case.
func nucleus(list []token, most float64, through bool) {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return higher(list[a], list[b]) })
	sorted := make([]token, len(list))
	for i, at := range order {
		sorted[i] = list[at]
	}
	sum := 0.0
	for i, p := range softmax(sorted) {
		reached := sum
		if sum += float64(p); !through {
			reached = sum
		}
		if i > 0 && float32(reached) > float32(most) {
			list[order[i]].logit = dropped
		}
	}
}

// multinomial draws an index by probability: the one whose probability over an exponential variable is greatest, as torch
// draws a single sample.
func (c *Chooser) multinomial(p []float32) int {
	wait := make([]float32, len(p))
	c.rand.Exponential(wait)
	best := 0
	for i := range p {
		p[i] /= wait[i]
		if p[i] > p[best] {
			best = i
		}
	}
	return best
}
