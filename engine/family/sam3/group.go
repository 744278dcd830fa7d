package sam3

import (
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// group follows all objects of a video together, as SAM 3.1 does, and finds new ones. Upstream: tracker.py SAM31Tracker.
type group struct {
	*tracker

	history
	// low and high are the mask logits [N,4·grid,4·grid] and [N,side,side] of the objects in the present frame.
	low, high *tensor.Tensor
	// scores are the objects' detection scores, alive counts how often detection agreed, hidden is the last frame in which each was hidden.
	scores []float32
	alive  []int
	hidden []int
}

// Numbers of the rules by which objects are kept.
const (
	mostObjects = 64
	mostAlive   = 8
	leastAlive  = -4
	// sure is the score from which on a detection replaces a mask, crossing the overlap at which one of two masks is suppressed, shrinking the share of
	// its cells that a mask must keep.
	sure, crossing, shrinking = 0.8, 0.3, 0.3
	suppressed                = -10
)

// count is the number of objects.
func (g *group) count() int {
	if g.low == nil {
		return 0
	}
	return g.low.Dim(0)
}

// buckets is the number of memories.
func (g *group) buckets() int { return (g.count() + g.slots - 1) / g.slots }

// most is the number of objects to follow.
func (g *group) most() int {
	if m := g.call.Most; m > 0 && m < mostObjects {
		return m
	}
	return mostObjects
}

// follow follows the objects.
func (g *group) follow() (*family.Tracks, error) {
	g.rest = map[int]*remembered{}
	counted := 0
	if g.call.Initial != nil {
		counted = g.call.Initial.Dim(0)
		if err := g.room(counted); err != nil {
			return nil, err
		}
	}
	frames := make([][]byte, g.call.Frames)
	for frame := range frames {
		seen, err := g.look(frame)
		if err != nil {
			return nil, err
		}
		if err := g.advance(frame, seen); err != nil {
			return nil, err
		}
		if n := g.count(); n > counted {
			if err := g.room(n); err != nil {
				return nil, err
			}
			counted = n
		}
		for i := range g.count() {
			mask := g.high.Index(i)
			if len(g.call.Texts) > 0 && g.alive[i] <= 0 {
				fill(mask, hiddenLogit)
			}
			frames[frame] = g.pack(frames[frame], mask.Data)
		}
		g.progress(frame + 1)
	}
	out := &family.Tracks{Frames: g.call.Frames, Objects: g.count(), Side: g.side(), Scores: g.scores}
	if out.Objects == 0 {
		return out, nil
	}
	size := out.Objects * g.side() * g.side() / 8
	out.Masks = make([]byte, len(frames)*size)
	for i, f := range frames { // objects that were found later have no mask in earlier frames
		copy(out.Masks[i*size:], f)
	}
	return out, nil
}

// advance finds the objects in a frame.
func (g *group) advance(frame int, seen *tensor.Tensor) error {
	if frame == 0 && g.call.Initial != nil {
		masks, err := g.binary(g.call.Initial, givenThreshold)
		if err != nil {
			return err
		}
		scores := make([]float32, masks.Dim(0))
		for i := range scores {
			scores[i] = 1
		}
		return g.begin(frame, seen, masks, scores, mostAlive)
	}
	looked := len(g.call.Texts) > 0 && frame%max(g.call.Interval, 1) == 0 && g.count() < g.most()
	found, scores := tensor.New(0, 4*g.grid, 4*g.grid), []float32(nil)
	if looked {
		var err error
		if found, scores, err = g.search(seen); err != nil {
			return err
		}
	}
	if g.count() == 0 {
		if len(scores) == 0 {
			return nil
		}
		n := min(len(scores), g.most())
		masks, err := g.binary(found.Slice(0, n), 0)
		if err != nil {
			return err
		}
		return g.begin(frame, seen, masks, scores[:n], 1)
	}
	r, err := g.propagated(frame, seen)
	if err != nil {
		return err
	}
	g.rest[frame] = r
	g.forget(frame, g.frames)
	if !looked {
		return nil
	}
	return g.match(seen, r, found, scores)
}

// search finds objects of the texts: their mask logits [N,h,w], those of the highest scores first.
func (g *group) search(seen *tensor.Tensor) (*tensor.Tensor, []float32, error) {
	var masks *tensor.Tensor
	var scores []float32
	for _, text := range g.call.Texts {
		s, err := g.Detect(g.ctx, g.run, seen, text, nil)
		if err != nil {
			return nil, nil, err
		}
		if masks == nil {
			masks = tensor.New(0, s.Masks.Dim(1), s.Masks.Dim(2))
		}
		for i, v := range s.Scores.Data {
			if p := float32(1 / (1 + math.Exp(-float64(v)))); p > g.call.Threshold {
				scores = append(scores, p)
				masks.Data = append(masks.Data, s.Masks.Index(i).Data...)
			}
		}
	}
	masks.Shape[0] = len(scores)
	if len(scores) > 1 {
		masks, scores = distinct(masks, scores)
	}
	return masks, scores, nil
}

// begin takes masks [N,1,side,side] of zeros and ones as the objects of a frame.
func (g *group) begin(frame int, seen, masks *tensor.Tensor, scores []float32, alive int) error {
	list, err := g.given(g.ctx, g.run, seen, masks)
	if err != nil {
		return err
	}
	n, side := len(list), g.side()
	g.low, g.high = tensor.New(n, 4*g.grid, 4*g.grid), tensor.New(n, side, side)
	g.scores, g.at = scores, frame
	pointers := tensor.New(g.buckets(), g.slots, g.d)
	var showing []bool
	for i, o := range list {
		copy(g.low.Index(i).Data, o.mask.Data)
		for k, v := range masks.Index(i).Data {
			g.high.Data[i*side*side+k] = v*20 - 10
		}
		copy(pointers.Data[i*g.d:], o.pointer)
		showing = append(showing, o.score > 0)
		g.alive, g.hidden = append(g.alive, alive), append(g.hidden, -1)
	}
	x, err := g.high.Reshape(n, 1, side, side)
	if err != nil {
		return err
	}
	x = &tensor.Tensor{Shape: x.Shape, Data: g.trusted(x.Data)}
	g.start, err = g.encode(seen, imaging.Antialias(x, 16*g.grid, 16*g.grid, imaging.Bilinear), showing, 0, pointers)
	return err
}

// encode makes what is remembered of masks [N,1,16·grid,16·grid]; those of objects from clean on are trusted.
func (g *group) encode(seen, masks *tensor.Tensor, showing []bool, clean int, pointers *tensor.Tensor) (*remembered, error) {
	n, side := masks.Dim(0), 16*g.grid
	plane := side * side
	in, hidden := tensor.New(g.buckets(), 2*g.slots, side, side), ones(g.buckets(), g.slots)
	for i := range n {
		b, slot := i/g.slots, i%g.slots
		at := (b*2*g.slots + slot) * plane
		copy(in.Data[at:], masks.Data[i*plane:(i+1)*plane])
		if i >= clean {
			at += g.slots * plane
			for k := range plane {
				in.Data[at+k] = 1
			}
		}
		if showing[i] {
			hidden.Data[i] = 0
		}
	}
	return g.keep(seen, in, hidden, pointers)
}

// propagated follows the objects into a frame by what is remembered.
func (g *group) propagated(frame int, seen *tensor.Tensor) (*remembered, error) {
	buckets, n := g.buckets(), g.count()
	fused, err := g.fused(seen, &g.history, frame, buckets)
	if err != nil {
		return nil, err
	}
	valid := tensor.New(buckets, g.slots, 1)
	for i := range n {
		valid.Data[i] = 1
	}
	in := []family.Value{family.Floats("seen", seen), family.Floats("fused", fused), family.Floats("valid", valid), family.Floats("zero", tensor.New(buckets, 1, 1))}
	out, err := g.run.Run(g.ctx, g.propagate(), in, "masks", "quality", "score", "pointer")
	if err != nil {
		return nil, err
	}
	masks, kinds := out["masks"], out["masks"].Dim(2)
	plane := masks.Dim(3) * masks.Dim(4)
	for i := range n {
		choice := best(out["quality"].Data[i*kinds : (i+1)*kinds])
		low := g.low.Index(i)
		copy(low.Data, masks.Data[(i*kinds+choice)*plane:][:plane])
		if !(out["score"].Data[i] > 0) {
			fill(low, hiddenLogit)
		}
	}
	if g.high, err = g.enlarged(g.low); err != nil {
		return nil, err
	}
	pointers := tensor.New(buckets, g.slots, g.d)
	copy(pointers.Data[:n*g.d], out["pointer"].Data)
	for i := range n {
		tidy(g.low.Index(i).Data, 4*g.grid, specksGroup)
	}
	g.suppress(frame)
	return g.recalled(seen, n, pointers)
}

// enlarged resizes masks [N,h,w] to the side of an image.
func (g *group) enlarged(masks *tensor.Tensor) (*tensor.Tensor, error) {
	x, err := masks.Reshape(masks.Dim(0), 1, masks.Dim(1), masks.Dim(2))
	if err == nil {
		x, err = imaging.Upscale(x, g.side(), g.side(), "bilinear", "")
	}
	if err != nil {
		return nil, err
	}
	return x.Reshape(masks.Dim(0), g.side(), g.side())
}

// suppress removes, of two masks that cross, the one of the object that was hidden later.
func (g *group) suppress(frame int) {
	n := g.count()
	if n < 2 {
		return
	}
	gone := make([]bool, n)
	for i := range n {
		for k := i + 1; k < n; k++ {
			if overlap(g.low.Index(i).Data, g.low.Index(k).Data) < crossing {
				continue
			}
			a, b := g.hidden[i], g.hidden[k]
			gone[i] = gone[i] || a > b && b > -1
			gone[k] = gone[k] || b > a && a > -1
		}
	}
	for i := range n {
		mask := g.low.Index(i)
		if gone[i] || !slices.ContainsFunc(mask.Data, func(v float32) bool { return v > 0 }) {
			g.hidden[i] = frame
		}
		if gone[i] {
			fill(mask, suppressed)
		}
	}
}

// recalled makes what is remembered of the present masks; those of objects from clean on are trusted.
func (g *group) recalled(seen *tensor.Tensor, clean int, pointers *tensor.Tensor) (*remembered, error) {
	n, side := g.count(), 16*g.grid
	low := g.low.Clone()
	for i, lost := range g.lost() {
		if lost {
			for k, v := range low.Index(i).Data {
				low.Index(i).Data[k] = min(v, suppressed)
			}
		}
	}
	x, err := low.Reshape(n, 1, low.Dim(1), low.Dim(2))
	if err == nil {
		x, err = imaging.Upscale(x, side, side, "bilinear", "")
	}
	if err != nil {
		return nil, err
	}
	showing := make([]bool, n)
	for i := range showing {
		showing[i] = slices.ContainsFunc(x.Index(i).Data, func(v float32) bool { return v > 0 })
	}
	return g.encode(seen, &tensor.Tensor{Shape: x.Shape, Data: g.trusted(x.Data)}, showing, clean, pointers)
}

// lost tells the objects of which other ones, with higher logits, cover most.
func (g *group) lost() []bool {
	n := g.count()
	out := make([]bool, n)
	if n < 2 {
		return out
	}
	plane := g.low.Dim(1) * g.low.Dim(2)
	before, after := make([]float32, n), make([]float32, n)
	for at := range plane {
		top := 0
		for i := range n {
			v := g.low.Data[i*plane+at]
			if v > g.low.Data[top*plane+at] {
				top = i
			}
			if v > 0 {
				before[i]++
			}
		}
		if g.low.Data[top*plane+at] > 0 {
			after[top]++
		}
	}
	for i := range out {
		out[i] = after[i]/max(before[i], 1) < shrinking
	}
	return out
}

// match compares what was found with the objects: it refreshes masks, and adds what is new.
func (g *group) match(seen *tensor.Tensor, r *remembered, found *tensor.Tensor, scores []float32) error {
	n := g.count()
	cover := make([][]float32, len(scores))
	agreed := make([]bool, n)
	for i := range cover {
		cover[i] = make([]float32, n)
		for k := range n {
			cover[i][k] = overlap(found.Index(i).Data, g.low.Index(k).Data)
			agreed[k] = agreed[k] || cover[i][k] >= same
		}
	}
	for k := range n {
		if agreed[k] {
			g.alive[k] = min(mostAlive, g.alive[k]+1)
		} else {
			g.alive[k] = max(leastAlive, g.alive[k]-1)
		}
	}
	refreshed := false
	for i, score := range scores {
		k := best(cover[i])
		if score < sure || cover[i][k] < same {
			continue
		}
		copy(g.low.Index(k).Data, found.Index(i).Data)
		high, err := g.enlarged(found.Slice(i, i+1))
		if err != nil {
			return err
		}
		copy(g.high.Index(k).Data, high.Data)
		refreshed = true
	}
	if refreshed {
		if err := g.again(seen, r, n); err != nil {
			return err
		}
	}
	var fresh []int
	for i := range scores {
		if slices.Max(cover[i]) < same && n+len(fresh) < g.most() {
			fresh = append(fresh, i)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	masks := pick(found, fresh)
	high, err := g.enlarged(masks)
	if err != nil {
		return err
	}
	g.low = &tensor.Tensor{Shape: []int{n + len(fresh), g.low.Dim(1), g.low.Dim(2)}, Data: slices.Concat(g.low.Data, masks.Data)}
	g.high = &tensor.Tensor{Shape: []int{n + len(fresh), g.side(), g.side()}, Data: slices.Concat(g.high.Data, high.Data)}
	for _, i := range fresh {
		g.scores, g.alive, g.hidden = append(g.scores, scores[i]), append(g.alive, 1), append(g.hidden, -1)
	}
	return g.again(seen, r, n)
}

// again makes what is remembered of the present frame anew; masks of objects from clean on are trusted.
func (g *group) again(seen *tensor.Tensor, r *remembered, clean int) error {
	fresh, err := g.recalled(seen, clean, r.pointers)
	if err == nil {
		*r = *fresh
	}
	return err
}
