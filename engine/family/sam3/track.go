package sam3

import (
	"context"
	"errors"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// mostPointers is the number of frames whose pointers are read, with the present one.
const mostPointers = 16

// remembered is what is kept of a frame: its memory [B,grid²,memory], the features of its image [1,grid²,d] (SAM 3.1 alone) and the pointers of its
// objects [B,slots,d].
type remembered struct{ memory, image, pointers *tensor.Tensor }

// history holds what is remembered of a video: of the frame whose masks were given, and of frames after it.
type history struct {
	at    int
	start *remembered
	rest  map[int]*remembered
}

// forget drops what is too old to be read.
func (h *history) forget(frame, memories int) {
	for i := range h.rest {
		if i < frame-max(memories, mostPointers) {
			delete(h.rest, i)
		}
	}
}

// tracker follows objects through one video.
type tracker struct {
	*model

	ctx    context.Context
	run    family.Runner
	call   family.TrackCall
	angles []family.Value
	places *tensor.Tensor
	// times are the embeddings [frames,memory] of a frame's age, scale and bias what a mask is changed by before it is remembered.
	times       *tensor.Tensor
	scale, bias float32
}

// Track implements family.Segmenter.
func (m *model) Track(ctx context.Context, run family.Runner, c family.TrackCall) (*family.Tracks, error) {
	times, err := m.stored(run, "tracker.maskmem_tpos_enc", m.frames, 1, 1, m.memory)
	if err != nil {
		return nil, err
	}
	t := &tracker{model: m, ctx: ctx, run: run, call: c, angles: table("", m.grid, m.ropeWidth(), 1), places: sines(m.grid, m.d), times: times, scale: 20, bias: -10}
	if c.Initial == nil && len(c.Texts) == 0 {
		return nil, errors.New("following objects: give masks of the objects in the first frame, or a text that describes them")
	}
	if m.multiplex {
		t.scale, t.bias = 2, -1
		return (&group{tracker: t}).follow()
	}
	if c.Initial == nil {
		return nil, errors.New("following objects: SAM 3 finds no new objects in a video: give masks of the objects in the first frame (initial_mask), or use SAM 3.1")
	}
	return t.followEach()
}

// look computes what the network reads of a frame.
func (t *tracker) look(i int) (*tensor.Tensor, error) {
	if err := context.Cause(t.ctx); err != nil {
		return nil, err
	}
	frame, err := t.call.Frame(i)
	if err != nil {
		return nil, err
	}
	return t.Look(t.ctx, t.run, frame)
}

// room asks whether the masks of so many objects fit the memory.
func (t *tracker) room(objects int) error {
	if t.call.Room == nil {
		return nil
	}
	return t.call.Room(objects)
}

// progress tells of a frame that is done.
func (t *tracker) progress(done int) {
	if t.call.Progress != nil {
		t.call.Progress(done)
	}
}

// fused are the features of a frame [B,d,grid,grid] after it attended to what is remembered of buckets groups of objects.
func (t *tracker) fused(seen *tensor.Tensor, h *history, frame, buckets int) (*tensor.Tensor, error) {
	type place struct {
		*remembered
		age int // as an index of times
	}
	age := t.frames - 1
	if d := frame - h.at; t.multiplex && d > 0 && d < t.frames {
		age = t.frames - d - 1
	}
	list := []place{{h.start, age}}
	for ago := t.frames - 1; ago > 0; ago-- {
		if r := h.rest[frame-ago]; r != nil {
			list = append(list, place{r, ago - 1})
		}
	}
	cells := t.cells()
	n := len(list)
	spatial := tensor.New(buckets, n*cells, t.memory)
	images, placed := tensor.New(1, n*cells, t.d), tensor.New(1, n*cells, t.memory)
	own := sines(t.grid, t.memory)
	for i, p := range list {
		size := cells * t.memory
		for b := range min(buckets, p.memory.Dim(0)) {
			copy(spatial.Data[(b*n+i)*size:][:size], p.memory.Index(b).Data)
		}
		row := t.times.Data[p.age*t.memory:][:t.memory]
		for k, v := range own.Data {
			placed.Data[i*size+k] = v + row[k%t.memory]
		}
		if t.multiplex {
			copy(images.Data[i*cells*t.d:], p.image.Data)
		}
	}
	in := append([]family.Value{family.Floats("seen", seen), family.Floats("places", t.places), family.Floats("spatial", spatial)}, t.angles...)
	if t.multiplex {
		in = append(in, family.Floats("images", images), family.Floats("image places", placed))
	} else {
		in = append(in, family.Floats("spatial places", placed))
	}
	out, err := t.run.Run(t.ctx, t.recall(), append(in, t.pointers(h, frame, buckets)...), "fused")
	if err != nil {
		return nil, err
	}
	return out["fused"], nil
}

// pointers are those of the objects in earlier frames, and the embeddings of how long ago these were.
func (t *tracker) pointers(h *history, frame, buckets int) []family.Value {
	list, ages := []*remembered{h.start}, []int{frame - h.at}
	most := min(t.call.Frames, mostPointers)
	for ago := 1; ago < most && ago <= frame; ago++ {
		if r := h.rest[frame-ago]; r != nil {
			list, ages = append(list, r), append(ages, ago)
		}
	}
	n, size := len(list), t.slots*t.d
	ptr, times := tensor.New(buckets, n*t.slots, t.d), tensor.New(n, t.d)
	for i, r := range list {
		for b := range min(buckets, r.pointers.Dim(0)) {
			copy(ptr.Data[(b*n+i)*size:][:size], r.pointers.Index(b).Data)
		}
		ageOf(times.Index(i).Data, float32(ages[i])/float32(max(most-1, 1)))
	}
	return []family.Value{family.Floats("pointers", ptr), family.Floats("times", times)}
}

// ageOf embeds a number: sines, then cosines.
func ageOf(dst []float32, age float32) {
	half := len(dst) / 2
	for i := range half {
		angle := float64(age) / math.Pow(theta, 2*float64(i/2)/float64(half))
		dst[i], dst[half+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
	}
}

// keep makes what is remembered of a frame of masks [B,C,16·grid,16·grid] and of the slots whose objects are hidden [B,slots].
func (t *tracker) keep(seen, masks, hidden, pointers *tensor.Tensor) (*remembered, error) {
	outputs := []string{"memory"}
	if t.multiplex {
		outputs = append(outputs, "image")
	}
	out, err := t.run.Run(t.ctx, t.remember(), []family.Value{family.Floats("seen", seen), family.Floats("masks", masks), family.Floats("hidden", hidden)}, outputs...)
	if err != nil {
		return nil, err
	}
	return &remembered{memory: out["memory"], image: out["image"], pointers: pointers}, nil
}

// trusted is a mask as it is remembered: its logits become 0…1, scaled and shifted.
func (t *tracker) trusted(logits []float32) []float32 {
	out := make([]float32, len(logits))
	for i, v := range logits {
		out[i] = float32(1/(1+math.Exp(-float64(v))))*t.scale + t.bias
	}
	return out
}

// binary are masks [N,h,w] in the size of the network's images, one where a value exceeds threshold.
func (m *model) binary(masks *tensor.Tensor, threshold float32) (*tensor.Tensor, error) {
	x, err := masks.Reshape(masks.Dim(0), 1, masks.Dim(1), masks.Dim(2))
	if err != nil {
		return nil, err
	}
	if x, err = imaging.Upscale(x, m.side(), m.side(), "bilinear", ""); err != nil {
		return nil, err
	}
	for i, v := range x.Data {
		x.Data[i] = 0
		if v > threshold {
			x.Data[i] = 1
		}
	}
	return x, nil
}

// The values from which on a mask given by a user is one, and the area in cells of what tidy mends.
const (
	givenThreshold = 0.5
	specksEach     = 200
	specksGroup    = 16
)

// followEach follows each object by itself, as SAM 3 does.
func (t *tracker) followEach() (*family.Tracks, error) {
	if err := t.room(t.call.Initial.Dim(0)); err != nil {
		return nil, err
	}
	initial, err := t.binary(t.call.Initial, givenThreshold)
	if err != nil {
		return nil, err
	}
	n := initial.Dim(0)
	out := &family.Tracks{Frames: t.call.Frames, Objects: n, Side: t.side()}
	histories := make([]history, n)
	for i := range n {
		histories[i].rest = map[int]*remembered{}
		out.Scores = append(out.Scores, 1)
	}
	for frame := range t.call.Frames {
		seen, err := t.look(frame)
		if err != nil {
			return nil, err
		}
		for i := range n {
			mask, err := t.step(seen, &histories[i], frame, initial.Slice(i, i+1))
			if err != nil {
				return nil, err
			}
			out.Masks = t.pack(out.Masks, mask.Data)
		}
		t.progress(frame + 1)
	}
	return out, nil
}

// step finds the mask logits [1,1,side,side] of one object in a frame, and remembers them.
func (t *tracker) step(seen *tensor.Tensor, h *history, frame int, initial *tensor.Tensor) (*tensor.Tensor, error) {
	var list []object
	var err error
	if frame == 0 {
		list, err = t.given(t.ctx, t.run, seen, initial)
	} else {
		var fused *tensor.Tensor
		if fused, err = t.fused(seen, h, frame, 1); err == nil {
			list, err = t.point(t.ctx, t.run, pointing{fused: true}, seen, fused, nil, []point{{label: labelNone}, {label: labelNone}}, false)
		}
	}
	if err != nil {
		return nil, err
	}
	o := list[0]
	tidy(o.mask.Data, 4*t.grid, specksEach)
	high, err := imaging.Upscale(o.mask, t.side(), t.side(), "bilinear", "")
	if err != nil {
		return nil, err
	}
	mask := &tensor.Tensor{Shape: high.Shape, Data: t.trusted(high.Data)}
	hidden := tensor.New(1, 1)
	if !(o.score > 0) {
		hidden.Data[0] = 1
	}
	pointer := &tensor.Tensor{Shape: []int{1, 1, t.d}, Data: o.pointer}
	r, err := t.keep(seen, imaging.Antialias(mask, 16*t.grid, 16*t.grid, imaging.Bilinear), hidden, pointer)
	if err != nil {
		return nil, err
	}
	if frame == 0 {
		h.start = r
	} else {
		h.rest[frame] = r
		h.forget(frame, t.frames)
	}
	return high, nil
}
