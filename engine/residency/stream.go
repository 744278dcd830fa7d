package residency

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/internal/protect"
)

// streamed runs a network whose weights do not fit into a GPU's memory. Its graph is cut into parts, one for each block of the network;
// equal parts have one session, since weights are inputs. The weights of some parts stay on the GPU, those of the others are copied into
// a ring while the parts before them run.
type streamed struct {
	owner    *Sessions
	lib      *ort.Runtime
	key      Key
	ctl      onnx.Interface
	parts    []*streamedPart
	sessions []*ort.Session
	plans    map[[32]byte]*onnx.Graph
	given    map[string]*onnx.Value // inputs of the whole graph
	wanted   map[string]*onnx.Value // outputs

	resident *ort.Region
	ringMem  *ort.Region
	values   *ort.Region
	closed   func()      // is called at the end
	leave    func()      // gives back the shared arena
	turn     *sync.Mutex // held while it runs, as it shares the arena

	// sizes is the layout of the values for the run before, and bound what its inputs hold.
	sizes *layout
	bound map[string]ort.Value
	// arena is the estimate of the memory that the sessions share.
	arena onnx.GPUArena
	known map[string]bool
	// moved are the bytes of weights that were copied in all, last those of the last run.
	moved, last atomic.Int64
}

// streamedPart is one part with its weights.
type streamedPart struct {
	onnx.Part
	shapes map[string]*onnx.Value // of inputs and outputs, by their names in the part
	// bytes are those of the block that holds the weights, each at its place.
	bytes int
	at    []int
	// fixed reports that the block stays on the GPU. place is where it lies, there or in the ring.
	fixed   bool
	place   int
	session *ort.Session
	// pinned, when set, is a copy of the block on the host.
	pinned *ort.Pinned
}

// errUncut reports that a graph has no parts to stream.
var errUncut = errors.New("the network has no blocks that could be on the GPU one after another")

// group is the block that a weight belongs to: its name up to the first number. What several blocks share is a group by itself.
func group(in onnx.Initializer) string {
	of := func(name string) string {
		words := strings.Split(name, ".")
		for i, w := range words {
			if _, err := strconv.Atoi(w); err == nil {
				return strings.Join(words[:i+1], ".")
			}
		}
		return ""
	}
	names := strings.Split(in.Name, "+")
	first := of(names[0])
	for _, n := range names[1:] {
		if of(n) != first {
			return in.Name
		}
	}
	return first
}

// newStreamed prepares a network for runs within the given memory of a GPU. inputs are the shapes of the inputs and parameters of its first run.
func (s *Sessions) newStreamed(ctx context.Context, sh *shelf, key Key, g *onnx.Graph, inputs map[string][]int, have int64) (_ *streamed, err error) {
	lib, err := s.cfg.Library()
	if err != nil {
		return nil, err
	}
	c, err := divide(g)
	if err != nil {
		return nil, err
	}
	c.owner, c.turn, c.lib, c.key = s, &sh.streaming, lib, key
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err := c.arrange(inputs, have); err != nil {
		return nil, err
	}
	if c.leave, err = lib.SharePool(key.Device); err != nil {
		return nil, err
	}
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	for _, p := range c.parts {
		if p.fixed {
			if err := c.load(ctx, p); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// divide cuts a network into parts. It has no memory and no sessions yet.
func divide(g *onnx.Graph) (*streamed, error) {
	c := &streamed{
		ctl: g.Interface(), plans: map[[32]byte]*onnx.Graph{}, given: map[string]*onnx.Value{}, wanted: map[string]*onnx.Value{},
		bound: map[string]ort.Value{}, known: map[string]bool{},
	}
	for _, v := range g.Inputs() {
		c.given[v.Name] = v
	}
	for _, p := range g.Parameters() {
		c.given[p.Name] = p.Value
	}
	for _, v := range g.Outputs() {
		c.wanted[v.Name] = v
	}
	parts, err := g.Cut(group)
	if err != nil {
		return nil, err
	}
	if len(parts) < 2 {
		return nil, errUncut
	}
	for _, p := range parts {
		part := &streamedPart{Part: p, shapes: map[string]*onnx.Value{}}
		for _, v := range append(p.Inputs(), p.Outputs()...) {
			part.shapes[v.Name] = v
		}
		for _, w := range p.Weights {
			src, ok := w.Source.(nn.Source)
			if !ok {
				return nil, fmt.Errorf("streaming weight %s: its source is a %T", w.Name, w.Source)
			}
			part.at = append(part.at, part.bytes)
			part.bytes += onGPU(src.Size())
		}
		c.parts = append(c.parts, part)
		c.plans[p.Form] = p.Planner()
	}
	return c, nil
}

// arrange decides which parts stay on the GPU, and allocates memory: what they and the values of a run take has to be within have.
func (c *streamed) arrange(inputs map[string][]int, have int64) error {
	l, err := c.layout(inputs)
	if err != nil {
		return err
	}
	if err := c.estimate(l); err != nil {
		return err
	}
	have -= have / 20 // for handles of CUDA's libraries
	values := int64(l.bytes) + c.arena.Bytes()/8*9
	pairs, most, all := 0, 0, int64(0)
	for i, p := range c.parts {
		most = max(most, p.bytes)
		pairs = max(pairs, p.bytes+c.parts[(i+1)%len(c.parts)].bytes)
		all += int64(p.bytes)
	}
	ring := pairs
	if values+int64(ring) > have {
		ring = most
	}
	if values+int64(ring) > have {
		return &MemoryError{What: "running " + c.key.Network() + " on " + c.key.Device.String() + " block by block", Needed: values + int64(ring), Present: have}
	}
	fixed := c.place(c.owner.residentBytes(have, have-values-int64(ring)), ring)
	if c.ringMem, err = c.lib.NewRegion(c.key.Device, ring); err != nil {
		return err
	}
	if c.resident, err = c.lib.NewRegion(c.key.Device, int(fixed)); err != nil {
		return err
	}
	c.owner.cfg.Log.Info("the weights do not fit on the GPU together: some are copied there in each step", "network", c.key.Network(), "device", c.key.Device.String(),
		"stay_mib", fixed>>20, "copied_mib", (all-fixed)>>20, "ring_mib", ring>>20, "values_mib", values>>20)
	return nil
}

// place chooses the parts that stay on the GPU within the room for them, and gives each part's block its place among them or in the ring. It
// returns the bytes of those that stay.
func (c *streamed) place(room int64, ring int) (fixed int64) {
	all, due := int64(0), int64(0)
	for _, p := range c.parts {
		all += int64(p.bytes)
	}
	// Parts that stay are spread over the network, so that the others are copied while they run.
	for _, p := range c.parts {
		due += room * int64(p.bytes) / max(all, 1)
		if size := int64(p.bytes); size > 0 && due >= size && fixed+size <= room {
			p.fixed = true
			due -= size
			fixed += size
		}
	}
	for _, p := range c.parts { // the rest of the room
		if size := int64(p.bytes); !p.fixed && size > 0 && fixed+size <= room {
			p.fixed = true
			fixed += size
		}
	}
	next, at := 0, 0
	for _, p := range c.parts {
		if p.fixed {
			p.place = at
			at += p.bytes
			continue
		}
		if next+p.bytes > ring {
			next = 0
		}
		p.place = next
		next += p.bytes
	}
	return fixed
}

// open makes a session for each form of parts, and for each part that has initializers: they lie where the part's block does.
func (c *streamed) open(ctx context.Context) error {
	known := map[[32]byte]*ort.Session{}
	for _, p := range c.parts {
		if ready := known[p.Form]; ready != nil {
			p.session = ready
			continue
		}
		var inits []ort.Initializer
		for i, w := range p.Weights {
			if w.Bound {
				inits = append(inits, ort.Initializer{Name: w.Input, DType: w.DType, Shape: w.Shape, On: c.home(p), At: p.place + p.at[i]})
			}
		}
		location, err := c.lib.Location("")
		if err != nil {
			return err
		}
		model, err := p.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
			n := int64(in.DType.Size())
			for _, d := range in.Shape {
				n *= int64(d)
			}
			return onnx.Placement{Location: location, Length: n}, nil
		})
		if err != nil {
			return err
		}
		p.session, err = c.lib.NewSession(ctx, ort.SessionSpec{
			Name: p.Name, Model: model, Initializers: inits, Device: c.key.Device, Threads: c.owner.cfg.Threads, OptLevel: ort.OptExtended,
			TF32: c.owner.cfg.TF32, Pooled: true, Flash: c.key.Target.Flash, OnDevice: !p.ComputesShapes(),
		})
		if err != nil {
			return err
		}
		c.sessions = append(c.sessions, p.session)
		if len(inits) == 0 {
			known[p.Form] = p.session
		}
	}
	return nil
}

// home is the region that a part's block is in.
func (c *streamed) home(p *streamedPart) *ort.Region {
	if p.fixed {
		return c.resident
	}
	return c.ringMem
}

// load copies the weights of a part to their place.
func (c *streamed) load(ctx context.Context, p *streamedPart) error {
	to, base := c.home(p), p.place
	if p.pinned != nil {
		return to.Push(base, p.pinned, 0, p.bytes)
	}
	var list []onnx.Initializer
	for _, w := range p.Weights {
		if _, stored := inParts(w.Source.(nn.Source)); !stored {
			list = append(list, w.Initializer)
		}
	}
	made, err := c.owner.weights.prepare(ctx, list, c.owner.cfg.Threads)
	if err != nil {
		return err
	}
	defer made.release()
	if pinned := c.owner.pin(c.lib, c.key.Device, p.bytes); pinned != nil && !p.fixed {
		for i, w := range p.Weights {
			if err := fillIn(pinned.Data[p.at[i]:], w.Source.(nn.Source), made.data[w.Name]); err != nil {
				c.owner.unpin(pinned)
				return fmt.Errorf("loading weight %s: %w", w.Name, err)
			}
		}
		p.pinned = pinned
		return to.Push(base, pinned, 0, p.bytes)
	}
	for i, w := range p.Weights {
		if err := write(to, base+p.at[i], w.Source.(nn.Source), made.data[w.Name]); err != nil {
			return fmt.Errorf("loading weight %s: %w", w.Name, err)
		}
	}
	return nil
}

// fillIn copies a weight to the host's memory: data, or the stored tensors that it consists of.
func fillIn(to []byte, src nn.Source, data []byte) error {
	parts, ok := inParts(src)
	if !ok {
		copy(to, data)
		return nil
	}
	for _, e := range parts {
		if err := e.Probe(0, len(e.Data)); err != nil {
			return fmt.Errorf("reading %v of %s: %w", e, e.File, err)
		}
		to = to[copy(to, e.Data):]
		e.Release()
	}
	return nil
}

// run computes outputs.
func (c *streamed) run(ctx context.Context, inputs map[string]ort.Value, outputs []string) (map[string]ort.Value, error) {
	shapes := make(map[string][]int, len(inputs))
	for name, v := range inputs {
		shapes[name] = v.Shape
	}
	l, err := c.layout(shapes)
	if err != nil {
		return nil, err
	}
	if err := c.estimate(l); err != nil {
		return nil, err
	}
	if err := c.bind(l, inputs); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := newRing()
	ready := make(chan struct{}, len(c.parts)) // for each part in the ring, in order
	var loading protect.Group
	loading.Go(func() error {
		defer close(ready)
		err := protect.Call(func() error { return c.loadAll(ctx, r, ready) })
		if err != nil {
			cancel(err)
		}
		return err
	})
	moved := int64(0)
	for _, p := range c.parts {
		if !p.fixed {
			if _, ok := <-ready; !ok {
				err = context.Cause(ctx)
				break
			}
			moved += int64(p.bytes)
		}
		if err = c.runPart(ctx, l, p, inputs); err != nil {
			break
		}
		if !p.fixed {
			r.give()
		}
	}
	cancel(err)
	_ = loading.Wait() // its error is the cause of ctx
	c.last.Store(moved)
	c.moved.Add(moved)
	if err != nil {
		return nil, err
	}
	out := make(map[string]ort.Value, len(outputs))
	for _, name := range outputs {
		place, ok := l.places[name]
		v := c.wanted[name]
		if !ok || v == nil {
			return nil, fmt.Errorf("there is no output %q", name)
		}
		value := ort.NewValue(v.DType, place.shape...)
		if err := c.values.Read(place.at, value.Data); err != nil {
			return nil, err
		}
		out[name] = value
	}
	return out, nil
}

// loadAll copies the weights of the parts in the ring there, one after another, as soon as their places are free.
func (c *streamed) loadAll(ctx context.Context, r *ring, ready chan<- struct{}) error {
	for _, p := range c.parts {
		if p.fixed {
			continue
		}
		if !r.take(ctx, p.place, p.bytes) {
			return nil // ctx has ended
		}
		if err := c.load(ctx, p); err != nil {
			return err
		}
		ready <- struct{}{}
	}
	return nil
}

// bind copies the inputs that changed since the run before to the GPU.
func (c *streamed) bind(l *layout, inputs map[string]ort.Value) error {
	if c.sizes != l {
		clear(c.bound)
		if c.values == nil || c.values.Size() < l.bytes {
			c.values.Close()
			region, err := c.lib.NewRegion(c.key.Device, l.bytes)
			c.values = region
			if err != nil {
				return err
			}
		}
		c.sizes = l
	}
	for name, v := range inputs {
		place, ok := l.places[name]
		if !ok || same(c.bound[name], v) { // sizes stay on the host, and some inputs are not read
			continue
		}
		if want := c.given[name]; want.DType != v.DType {
			return fmt.Errorf("input %s was given %v, wanted %v", name, v.DType, want.DType)
		}
		v.Data = aligned(v.Data)
		delete(c.bound, name)
		if err := c.values.Write(place.at, v.Data); err != nil {
			return err
		}
		c.bound[name] = v
	}
	return nil
}

func (c *streamed) runPart(ctx context.Context, l *layout, p *streamedPart, inputs map[string]ort.Value) error {
	in, out := map[string]ort.Placed{}, map[string]ort.Placed{}
	for i, w := range p.Weights {
		if !w.Bound {
			in[w.Input] = ort.Placed{Value: ort.Value{DType: w.DType, Shape: w.Shape}, On: c.home(p), At: p.place + p.at[i]}
		}
	}
	placed := func(name, whole string) ort.Placed {
		place := l.places[whole]
		return ort.Placed{Value: ort.Value{DType: p.shapes[name].DType, Shape: place.shape}, On: c.values, At: place.at}
	}
	for name, whole := range p.Reads {
		if v, given := inputs[whole]; given && !p.shapes[name].DType.IsFloat() {
			in[name] = ort.Placed{Value: v}
			continue
		}
		if _, ok := l.places[whole]; !ok {
			return fmt.Errorf("input %s is missing", whole)
		}
		in[name] = placed(name, whole)
	}
	for name, whole := range p.Writes {
		out[name] = placed(name, whole)
	}
	return p.session.RunPlaced(ctx, in, out)
}

// bytes is the memory that it takes on the GPU.
func (c *streamed) bytes() int64 {
	n := c.arena.Bytes()
	for _, r := range []*ort.Region{c.resident, c.ringMem, c.values} {
		if r != nil {
			n += int64(r.Size())
		}
	}
	return n
}

// Close frees it.
func (c *streamed) Close() {
	for _, s := range c.sessions {
		s.Close()
	}
	c.sessions = nil
	for _, p := range c.parts {
		c.owner.unpin(p.pinned)
		p.pinned = nil
	}
	c.resident.Close()
	c.ringMem.Close()
	c.values.Close()
	if c.leave != nil {
		c.leave()
		c.leave = nil
	}
	if c.closed != nil {
		c.closed()
		c.closed = nil
	}
}

// runStreamed is Run and Step of a network that is streamed.
func (n *Network) runStreamed(ctx context.Context, a Adapted, inputs map[string]ort.Value, outputs []string) (map[string]ort.Value, error) {
	if len(n.parameters) > 0 {
		f, err := n.factorsFor(ctx, a)
		if err != nil {
			return nil, err
		}
		defer n.drop(f)
		strengths, err := n.strengths(a)
		if err != nil {
			return nil, err
		}
		inputs = maps.Clone(inputs)
		maps.Copy(inputs, f.values)
		maps.Copy(inputs, strengths)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streamed.turn.Lock()
	defer n.streamed.turn.Unlock()
	end := n.watch(ctx)
	out, err := n.streamed.run(ctx, inputs, outputs)
	end(err)
	n.moved(n.streamed.last.Load())
	now := n.streamed.bytes()
	if delta := now - n.onGPU; delta != 0 {
		n.adjust(delta)
		n.onGPU = now
	}
	return out, err
}
