package residency

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
)

// FakeSession is a session without a runtime.
type FakeSession struct {
	OnRun   func() error
	OnClose func()
	// Keeps is the number of bytes that it reports to keep after a run.
	Keeps int64
}

// Kept returns Keeps.
func (f *FakeSession) Kept() int64 { return f.Keeps }

// Captured implements session.
func (*FakeSession) Captured() int { return 0 }

// Inputs has none.
func (f *FakeSession) Inputs() []ort.Info { return nil }

// Run gives no outputs and the error of OnRun.
func (f *FakeSession) Run(context.Context, map[string]ort.Value, []string) (map[string]ort.Value, error) {
	return nil, f.OnRun()
}

// NewBinding gives none.
func (f *FakeSession) NewBinding(...string) (*ort.Binding, error) { return nil, nil }

// Close calls OnClose.
func (f *FakeSession) Close() { f.OnClose() }

// OpenWith has sessions made by f.
func (s *Sessions) OpenWith(f func(key Key) (*FakeSession, error)) {
	s.open = func(_ context.Context, key Key, _ bool, _ *onnx.Graph) (session, error) {
		made, err := f(key)
		if err != nil {
			return nil, err
		}
		return made, nil
	}
}

// Sizes returns the shapes with which a graph with adapters is made ready to be streamed.
func Sizes(g *onnx.Graph, a Adapted) (map[string][]int, error) { return withFactors(g, a) }

// RunInParts computes outputs of a graph as a streamed network does: a share of the weights stays, the others go through a ring, as
// far ahead as it has room, and values are where the layout has them. The memory is the host's and holds NaN where nothing was written. run computes a part.
func RunInParts(g *onnx.Graph, share float64, inputs map[string]ort.Value, outputs []string, run func(p onnx.Part, in map[string]ort.Value) (map[string]ort.Value, error)) (map[string]ort.Value, error) {
	c, err := divide(g)
	if err != nil {
		return nil, err
	}
	shapes := map[string][]int{}
	for name, v := range inputs {
		shapes[name] = v.Shape
	}
	l, err := c.layout(shapes)
	if err != nil {
		return nil, err
	}
	h := &host{streamed: c, layout: l, values: nans(l.bytes), r: newRing()}
	all, most := 0, 0
	for i, p := range c.parts {
		all += p.bytes
		most = max(most, p.bytes+c.parts[(i+1)%len(c.parts)].bytes)
	}
	h.resident, h.ring = nans(int(c.place(int64(share*float64(all)), most))), nans(most)
	for name, v := range inputs {
		if place, ok := l.places[name]; ok {
			copy(h.values[place.at:], v.Data)
		}
	}
	for _, p := range c.parts {
		if p.fixed {
			if err := h.fill(p); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range c.parts {
		if err := h.ahead(); err != nil {
			return nil, err
		}
		if err := h.runPart(p, inputs, run); err != nil {
			return nil, err
		}
		if !p.fixed {
			h.r.give()
		}
	}
	out := map[string]ort.Value{}
	for _, name := range outputs {
		out[name] = h.value(h.values, c.wanted[name].DType, l.places[name].shape, l.places[name].at)
	}
	return out, nil
}

// host is a streamed network in memory of the host.
type host struct {
	*streamed
	layout                 *layout
	values, resident, ring []byte
	r                      *ring
	next                   int // the part that is loaded next
}

func nans(n int) []byte { return slices.Repeat([]byte{0xff}, n) }

func (h *host) value(from []byte, t dtype.DType, shape []int, at int) ort.Value {
	v := ort.NewValue(t, shape...)
	copy(v.Data, from[at:at+len(v.Data)])
	return v
}

// ahead loads the next parts that are not fixed, while there is room.
func (h *host) ahead() error {
	for ; h.next < len(h.parts); h.next++ {
		p := h.parts[h.next]
		if p.fixed {
			continue
		}
		if slices.ContainsFunc(h.r.live, func(l [2]int) bool { return l[0] < p.place+p.bytes && p.place < l[1] }) {
			return nil
		}
		if !h.r.take(context.Background(), p.place, p.bytes) {
			return fmt.Errorf("the ring has no room")
		}
		if err := h.fill(p); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) home(p *streamedPart) []byte {
	if p.fixed {
		return h.resident
	}
	return h.ring
}

func (h *host) fill(p *streamedPart) error {
	block := h.home(p)[p.place : p.place+p.bytes]
	copy(block, nans(len(block)))
	for i, w := range p.Weights {
		src := w.Source.(nn.Source)
		data := make([]byte, src.Size())
		for _, task := range src.Tasks(data, nn.Kernels{}) {
			if err := task(); err != nil {
				return err
			}
		}
		if err := fillIn(block[p.at[i]:], src, data); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) runPart(p *streamedPart, inputs map[string]ort.Value, run func(p onnx.Part, in map[string]ort.Value) (map[string]ort.Value, error)) error {
	for name, whole := range p.Writes { // a result that took the place of an operand would be seen
		place := h.layout.places[whole]
		copy(h.values[place.at:], nans(len(ort.NewValue(p.shapes[name].DType, place.shape...).Data)))
	}
	in := map[string]ort.Value{}
	for i, w := range p.Weights {
		in[w.Input] = h.value(h.home(p), w.DType, w.Shape, p.place+p.at[i])
	}
	for name, whole := range p.Reads {
		v := p.shapes[name]
		if given, ok := inputs[whole]; ok && !v.DType.IsFloat() {
			in[name] = given
			continue
		}
		place, ok := h.layout.places[whole]
		if !ok {
			return fmt.Errorf("input %s is missing", whole)
		}
		in[name] = h.value(h.values, v.DType, place.shape, place.at)
	}
	out, err := run(p.Part, in)
	if err != nil {
		return err
	}
	for name, whole := range p.Writes {
		place := h.layout.places[whole]
		if !slices.Equal(out[name].Shape, place.shape) {
			return fmt.Errorf("%s has shape %v, and its place is for %v", whole, out[name].Shape, place.shape)
		}
		copy(h.values[place.at:], out[name].Data)
	}
	return nil
}
