package wan

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// OptionPoseCache is the run option, of type *PoseCache, by which Wan Animate 2 keeps the results of a pose video's branch: it is the same at all
// sampling steps. Upstream: WanAnimate2Cache.
const OptionPoseCache = "animate2_cache"

// PoseCache keeps the values that the blocks of a pose video read, per video. Values that were not used for a minute are
// dropped.
type PoseCache struct {
	// bits is the number of bits of a value, 32 for unquantized ones.
	bits  int
	mu    sync.Mutex
	slots []poseSlot
	timer *time.Timer
}

// poseSlot holds the cached values of one video.
type poseSlot struct {
	key    [sha256.Size]byte
	blocks []keptTokens
}

const (
	poseIdle  = time.Minute
	poseSlots = 8 // windows of a video are kept one by one
)

// NewPoseCache returns an empty cache of values of 32, 8 or 4 bits.
func NewPoseCache(bits int) *PoseCache { return &PoseCache{bits: bits} }

func (c *PoseCache) find(key [sha256.Size]byte) ([]keptTokens, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.slots {
		if s.key == key {
			c.touch()
			return s.blocks, true
		}
	}
	return nil, false
}

func (c *PoseCache) keep(s poseSlot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.slots) == poseSlots {
		c.slots = slices.Delete(c.slots, 0, 1)
	}
	c.slots = append(c.slots, s)
	c.touch()
}

// touch puts off when the cache is emptied. c.mu is held.
func (c *PoseCache) touch() {
	if c.timer != nil {
		c.timer.Reset(poseIdle)
		return
	}
	c.timer = time.AfterFunc(poseIdle, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.slots = nil
	})
}

// keptTokens are tokens [1,S,C] in few bits: each token is rotated, so that no value stands out, and divided by its own scale.
type keptTokens struct {
	shape  []int
	plain  []float32
	bits   int
	packed []byte
	scales []float32
}

// rotation is the greatest number of values that are rotated together.
const rotation = 256

func pack(x *tensor.Tensor, bits int) keptTokens {
	k := keptTokens{shape: slices.Clone(x.Shape), bits: bits}
	if bits >= 32 {
		k.plain = x.Data
		return k
	}
	width := x.Dim(2)
	most := float32(int(1)<<(bits-1) - 1)
	k.scales = make([]float32, x.Len()/width)
	k.packed = make([]byte, (x.Len()*bits+7)/8)
	row := make([]float32, width)
	for t := range k.scales {
		copy(row, x.Data[t*width:])
		rotate(row)
		var peak float32
		for _, v := range row {
			peak = max(peak, float32(math.Abs(float64(v))))
		}
		scale := peak / most
		k.scales[t] = scale
		if scale == 0 {
			continue
		}
		for i, v := range row {
			q := int8(math.RoundToEven(float64(min(max(v/scale, -most), most))))
			at := t*width + i
			if bits == 8 {
				k.packed[at] = byte(q)
			} else {
				k.packed[at/2] |= byte(q) & 15 << (at % 2 * 4)
			}
		}
	}
	return k
}

func (k keptTokens) unpacked() *tensor.Tensor {
	if k.plain != nil {
		return &tensor.Tensor{Shape: k.shape, Data: k.plain}
	}
	out := tensor.New(k.shape...)
	width := k.shape[2]
	for t, scale := range k.scales {
		row := out.Data[t*width : (t+1)*width]
		for i := range row {
			at := t*width + i
			if k.bits == 8 {
				row[i] = float32(int8(k.packed[at])) * scale
			} else {
				row[i] = float32(int8(k.packed[at/2]>>(at%2*4)<<4)>>4) * scale
			}
		}
		rotate(row)
	}
	return out
}

// rotate applies an orthonormal Hadamard matrix, its own inverse, to groups of a row; the values that fill no group stay.
func rotate(row []float32) {
	for len(row) >= 2 {
		n := 2
		for n < rotation && 2*n <= len(row) {
			n *= 2
		}
		group := row[:n]
		for half := 1; half < n; half *= 2 {
			for from := 0; from < n; from += 2 * half {
				for i := from; i < from+half; i++ {
					a, b := group[i], group[i+half]
					group[i], group[i+half] = a+b, a-b
				}
			}
		}
		scale := float32(1 / math.Sqrt(float64(n)))
		for i := range group {
			group[i] *= scale
		}
		row = row[n:]
	}
}

func poseBlock(i int) string { return fmt.Sprint("pose_block", i) }

// remembered replaces the pose video's branch by cached values. If they do not fit into memory the branch runs at each step.
func (m *model) remembered(ctx context.Context, run family.Runner, b *batch) error {
	cache, ok := b.call.Inputs.Options[OptionPoseCache].(*PoseCache)
	if !ok || m.form != formAnimate2 || !b.v.Pose {
		return nil
	}
	tokens := b.sizes["Fp"] * b.grid.Tokens()
	if !run.Fits(family.Product(m.blocks, tokens, m.hidden, 4) + m.memory(b.v, b.symbols())) {
		run.Log().Warn("the cache of the pose video does not fit into memory: its branch runs at each step", "tokens", tokens)
		return nil
	}
	in := map[string]*tensor.Tensor{}
	for _, v := range b.in {
		if v.Tensor != nil {
			in[v.Name] = v.Tensor
		}
	}
	h := sha256.New()
	first := map[string]*tensor.Tensor{}
	for _, name := range []string{inputPose, inputPoseText, inputPoseImage} {
		if t := in[name]; t != nil {
			first[name] = t.Slice(0, 1)
			d := digestOf(first[name])
			h.Write(d[:])
		}
	}
	key := [sha256.Size]byte(h.Sum(nil))
	blocks, ok := cache.find(key)
	if !ok {
		var err error
		if blocks, err = m.fill(ctx, run, b, first, in, cache.bits); err != nil {
			return err
		}
		cache.keep(poseSlot{key, blocks})
	}
	b.in = slices.DeleteFunc(b.in, func(v family.Value) bool {
		return v.Name == inputPose || v.Name == inputPoseText || v.Name == inputPoseImage
	})
	b.v.Cached, b.v.PoseImage = true, 0
	for i, k := range blocks {
		b.add(poseBlock(i), k.unpacked())
	}
	return nil
}

// fill runs the branch of the pose video on one row.
func (m *model) fill(ctx context.Context, run family.Runner, b *batch, first, in map[string]*tensor.Tensor, bits int) ([]keptTokens, error) {
	v := variant{Frames: b.v.Frames, Pose: true, PoseImage: b.v.PoseImage}
	g := family.Graph{Part: "unet", Variant: family.Digest("pose", v), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("wan pose", m.src, func(builder *nn.Builder, s *weights.Scope) {
			(&writer{Builder: builder, network: m.network, v: v}).writeBranch(s)
		})
	}}
	values := []family.Value{family.Vector("timesteps", []float32{1})}
	for name, t := range first {
		values = append(values, family.Floats(name, t))
	}
	tokens := b.sizes["Fp"] * b.grid.Tokens()
	for _, name := range []string{"cos", "sin"} {
		t := in[name]
		cut := tensor.New(1, tokens, t.Dim(2))
		copy(cut.Data, t.Data[len(t.Data)-len(cut.Data):])
		values = append(values, family.Floats(name, cut))
	}
	var names []string
	for i := range m.blocks {
		names = append(names, poseBlock(i))
	}
	out, err := run.Run(ctx, g, values, names...)
	if err != nil {
		return nil, err
	}
	kept := make([]keptTokens, len(names))
	for i, name := range names {
		kept[i] = pack(out[name], bits)
		delete(out, name)
	}
	return kept, nil
}

// writeBranch writes the branch of a pose video alone. Outputs: what each block reads [1,Sp,C].
func (w *writer) writeBranch(s *weights.Scope) {
	size := onnx.Sym("h").Times(onnx.Sym("w"))
	c := conditions{rope: dit.RotaryInputs(w.Builder, w.frames("Fp").Times(size), headWidth)}
	c.timesteps = w.times(&c, nil)
	x, p := w.branchOf(s, &c)
	for i := range w.blocks {
		dit.Output(w.Builder, poseBlock(i), x)
		if i+1 < w.blocks {
			x = w.blockBy(s.At("blocks").Index(i), x, p, func(s *weights.Scope, y *onnx.Value) *onnx.Value { return w.selfAttention(s, y, p.rope) })
		}
	}
}

// cachedKeys returns the keys and values of block i of a pose video whose block input is cached.
func (w *writer) cachedKeys(s *weights.Scope, i int, p conditions, rows onnx.Dim) (k, v *onnx.Value) {
	tokens := p.rope.Cos.Dim(1)
	x := dit.Input(w.Builder, poseBlock(i), onnx.D(1), tokens, onnx.D(w.hidden))
	m := w.modulations(s, p.time, p, 6)
	k, v = w.keysValues(s.At("self_attn"), w.modulate(x, m[0], m[1], p), p.rope)
	wide := onnx.D(w.hidden)
	return w.Expand(k, rows, tokens, wide), w.Expand(v, rows, tokens, wide)
}
