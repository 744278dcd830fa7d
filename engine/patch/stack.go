package patch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"comfygo/engine/nn"
	"comfygo/engine/weights"
)

// Stack is a list of adapter files with strengths, applied to a model one after the other. The zero value is empty; a Stack
// is immutable.
type Stack struct {
	layers []stacked
	stored func(key string) Storage
	parts  *parts
}

// parts keeps the parts of a stack, which a sampler asks for at each step.
type parts struct {
	mu   sync.Mutex
	made map[partKey]*Part
}

type partKey struct {
	prefix string
	stored bool
}

type stacked struct {
	file     *File
	strength float64
}

// With returns the stack with one more file.
func (s Stack) With(f *File, strength float64) Stack {
	s.layers = append(s.layers[:len(s.layers):len(s.layers)], stacked{f, strength})
	s.parts = &parts{made: map[partKey]*Part{}}
	return s
}

// Storing returns the stack with the storage that of returns for the weight of a key after its changes, except for adapters that
// change the outputs of layers. Without it weights keep the computed form. All calls for a stack must agree.
func (s Stack) Storing(of func(key string) Storage) Stack {
	s.stored = of
	return s
}

// Len returns the number of files.
func (s Stack) Len() int { return len(s.layers) }

// Suspects names the files that may have driven a model's numbers beyond all bounds, with their strengths and the largest factors in them; ""
// for an empty stack.
func (s Stack) Suspects() string {
	var texts []string
	for _, l := range s.layers {
		text := fmt.Sprintf("%s at strength %g", l.file.path, l.strength)
		if key, factor := l.file.Steepest(); factor != 0 {
			text += fmt.Sprintf(" (its largest factor, alpha divided by the rank, is %.4g, for %s)", factor, key)
		}
		texts = append(texts, text)
	}
	return several(texts)
}

// Part returns what the stack changes in one part of a model: the weights whose keys start with prefix, which ends in a
// dot. It is nil when it changes nothing there.
func (s Stack) Part(prefix string) *Part {
	if s.parts == nil {
		return nil
	}
	s.parts.mu.Lock()
	defer s.parts.mu.Unlock()
	key := partKey{prefix, s.stored != nil}
	p, ok := s.parts.made[key]
	if !ok {
		p = s.part(prefix)
		s.parts.made[key] = p
	}
	return p
}

// part computes Part.
func (s Stack) part(prefix string) *Part {
	p := &Part{branches: map[string][]nn.Branch{}, baked: map[string][]applied{}}
	byKey := s.byName(prefix)
	slot := map[int]int{} // of a file's strength, by the file's place in the stack
	if len(byKey) == 0 {
		return nil
	}
	keys := make([]string, 0, len(byKey))
	for k := range byKey {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		computed := dependent(byKey[k])
		for i, a := range byKey[k] {
			r, ok := a.Adapter.(*LowRank)
			if !ok || !r.plain() || a.Target.Baked || a.stored != (Storage{}) || i < computed {
				p.baked[k] = append(p.baked[k], a)
				continue
			}
			at := a.place
			if _, ok := slot[at]; !ok {
				slot[at] = len(p.strengths)
				p.strengths = append(p.strengths, float32(a.strength))
			}
			branch, err := r.branch(a.Target, slot[at])
			if err != nil { // Read has checked the shapes
				p.err = fmt.Errorf("applying the LoRA %s to %s: %w", s.layers[at].file.path, a.Target.Key, err)
			}
			p.branches[k] = append(p.branches[k], branch)
		}
		if bs := p.branches[k]; len(bs) > 1 {
			for i := range bs {
				bs[i] = joinable(bs[i])
			}
		}
	}
	p.structure, p.values = p.structureOf(keys), p.valuesOf(keys)
	p.digest = p.digestOf(keys)
	return p
}

// byName lists the changes of the weights of a part, by their names in it. Those of a layer's output come last: they are added to what
// the weight gives after all of its own changes.
func (s Stack) byName(prefix string) map[string][]applied {
	out := map[string][]applied{}
	for _, output := range []bool{false, true} {
		for i, l := range s.layers {
			for _, c := range l.file.patches {
				name, ok := strings.CutPrefix(c.Target.Key, prefix)
				if !ok || l.file.ofOutput(c.Adapter) != output || inert(c.Adapter) != "" {
					continue
				}
				a := applied{Patch: c, strength: l.strength, place: i}
				if s.stored != nil && !output {
					a.stored = s.stored(c.Target.Key)
				}
				out[name] = append(out[name], a)
			}
		}
	}
	return out
}

// dependent returns the number of patches of a weight that have to be computed in order: those up to the last one that
// depends on the weight as changed by the patches before it.
func dependent(as []applied) int {
	for i := len(as) - 1; i >= 0; i-- {
		r, low := as[i].Adapter.(*LowRank)
		sum, ok := as[i].Adapter.(additive)
		if !ok || sum.dora() != nil || low && !r.plain() {
			return i + 1
		}
	}
	return 0
}

// branch returns the change as nn computes it beside the weight.
func (a *LowRank) branch(t Target, slot int) (nn.Branch, error) {
	rank := a.Rank()
	up, err := a.Up.Reshape(a.Up.Shape[0], rank)
	if err == nil && t.SwapHalves {
		var first, second weights.Entry
		half := up.Shape[0] / 2
		if first, err = up.Rows(0, half); err == nil {
			second, err = up.Rows(half, up.Shape[0]-half)
		}
		if err == nil {
			up, err = weights.Concat(0, second, first)
		}
	}
	return nn.Branch{Up: up, Row: t.From, Mid: a.Mid, Down: a.Down, Scale: float32(a.Scale()), Strength: slot}, err
}

// joinable returns a branch that can be joined with others of the same weight: its mid factor is multiplied into the down factor.
// Otherwise a graph would have three layers for each branch.
func joinable(b nn.Branch) nn.Branch {
	if b.Mid == nil {
		return b
	}
	mid, down := *b.Mid, b.Down
	rank, in := mid.Shape[0], down.Count()/down.Shape[0]
	values := &passing{compute: func() ([]float32, error) { return tuckerCore(&mid, down) }}
	b.Down = weights.Compute(down.Name, append([]int{rank, in}, mid.Shape[2:]...), weights.Computation{
		Op: "mid times down", Parts: []weights.Entry{mid, down}, Read: values.read,
	})
	b.Mid = nil
	return b
}

// Part holds the changes of a Stack in one part of a model. It is immutable.
type Part struct {
	branches  map[string][]nn.Branch
	strengths []float32
	baked     map[string][]applied
	structure string
	values    string
	digest    string
	err       error
}

// Structure identifies the graphs that the changes need: which weights have branches, in what form, and which weights are computed.
// Equal structures give equal graphs, except where a change stores weights in another form; code that exchanges them has to check that.
// The files of branches, their ranks and how many of them are stacked on a weight are not part of it: a graph has the factors of branches
// as parameters, and possibly also the computed weights.
func (p *Part) Structure() string {
	if p == nil {
		return ""
	}
	return p.structure
}

// structureOf computes Structure.
func (p *Part) structureOf(keys []string) string {
	h := sha256.New()
	for _, k := range keys {
		fmt.Fprintf(h, "%q", k)
		var joined []string
		for _, b := range p.branches[k] {
			s := b.Structure()
			if b.Mid != nil { // these stay apart in the graph: their number and order count
				fmt.Fprintf(h, "branch %s", s)
			} else if !slices.Contains(joined, s) {
				joined = append(joined, s)
			}
		}
		slices.Sort(joined)
		fmt.Fprintf(h, "joined %q", joined)
		if as := p.baked[k]; len(as) > 0 {
			fmt.Fprintf(h, "computed %+v", storage(as))
		}
		for _, a := range p.baked[k] {
			if r, ok := a.Adapter.(*LowRank); ok && r.Reshape != nil {
				fmt.Fprintf(h, " %v", r.Reshape)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// valuesOf computes Values.
func (p *Part) valuesOf(keys []string) string {
	h := sha256.New()
	for _, k := range keys {
		for _, a := range p.baked[k] {
			fmt.Fprintf(h, "%q %+v %+v %s %g", k, a.Target, a.stored, a.Adapter.Form(), a.strength)
			if r, ok := a.Adapter.(interface{ scale() float64 }); ok {
				fmt.Fprintf(h, " %g", r.scale())
			}
			entries(h, a.Adapter.Entries()...)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Values identifies the weights that are computed, strengths included.
func (p *Part) Values() string {
	if p == nil {
		return ""
	}
	return p.values
}

// digestOf computes Adapters.Digest.
func (p *Part) digestOf(keys []string) string {
	h := sha256.New()
	fmt.Fprint(h, p.values)
	for _, k := range keys {
		fmt.Fprintf(h, "%q", k)
		for _, b := range p.branches[k] {
			fmt.Fprintf(h, "branch %d %g %d", b.Row, b.Scale, b.Strength)
			entries(h, b.Up, b.Down)
			if b.Mid != nil {
				entries(h, *b.Mid)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func entries(h hash.Hash, es ...weights.Entry) {
	for _, e := range es {
		fmt.Fprintf(h, "%q", e.Key())
	}
}

// Source returns src, the tensors of the part, with the changes that are not branches. It fails when one of them cannot be
// computed.
func (p *Part) Source(src weights.Source) (weights.Source, error) {
	if p == nil {
		return src, nil
	}
	return computed(src, p.baked)
}

// Adapters returns the branches, for building one graph and running it, or nil without changes.
func (p *Part) Adapters() *Adapters {
	if p == nil {
		return nil
	}
	return &Adapters{part: p, used: map[string]bool{}}
}

// Adapters provides the branches of a Part to the builder of one graph and keeps track of them.
type Adapters struct {
	part *Part
	mu   sync.Mutex
	used map[string]bool
}

var _ nn.Adapters = (*Adapters)(nil)

// Digest implements nn.Adapters.
func (a *Adapters) Digest() string {
	if a == nil {
		return ""
	}
	return a.part.digest
}

// Strengths implements nn.Adapters.
func (a *Adapters) Strengths() []float32 {
	if a == nil {
		return nil
	}
	return a.part.strengths
}

// Branches implements nn.Adapters.
func (a *Adapters) Branches(key string) []nn.Branch {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	bs := a.part.branches[key]
	if len(bs) > 0 {
		a.used[key] = true
	}
	return bs
}

// Err reports branches that the graph does not compute, after it was built: the family applies these weights by something
// other than the layers of nn, or the graph is but a part of the model.
func (a *Adapters) Err() error {
	if a == nil {
		return nil
	}
	if a.part.err != nil {
		return a.part.err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var left []string
	for k := range a.part.branches {
		if !a.used[k] {
			left = append(left, k)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("the graph leaves out the LoRA changes of %d weights: %s", len(left), describe(left, 4))
}
