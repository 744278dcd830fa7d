package ltxv

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/tensor"
)

// Tokens are the cells of a video latent as the network reads them.
type Tokens struct {
	// tokens are [N,S,C]; places are where they are.
	tokens *tensor.Tensor
	places []corners
	// keep marks the cells of the latent that the network reads; strengths are the strengths of the last tokens; nil means 1.
	keep      []bool
	frames    int
	noise     *tensor.Tensor
	strengths []float32
	rate      float64
	// guides is the number of the last tokens that are those of guides.
	guides int
}

// plainRate is the frame rate of entries that state none.
const plainRate = 25

// TokensOf takes the tokens out of the latent of a call.
func TokensOf(c family.Call, causal bool) (*Tokens, error) {
	shape := c.X.Shape
	t := &Tokens{rate: plainRate, frames: shape[2], noise: c.Inputs.Get(inputNoise)}
	if r := c.Inputs.Get(inputRate); r != nil {
		t.rate = float64(r.Data[0])
	}
	if t.rate <= 0 {
		return nil, fmt.Errorf("the frame rate is %v, wanted a positive number", t.rate)
	}
	if t.noise != nil && t.noise.Len() != shape[0]*tensor.Count(shape[2:]) {
		return nil, fmt.Errorf("a noise mask of shape %v does not fit latents of shape %v", t.noise.Shape, shape)
	}
	all, _, err := dit.PatchifyFrames(c.X, 1, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	places := places(shape[2], shape[3], shape[4], causal)
	guides := c.Inputs.Get(inputGuides)
	if guides == nil {
		t.tokens, t.places, t.keep = all, places, kept(nil, shape)
		return t, nil
	}
	if err := checkGuides(guides, shape); err != nil {
		return nil, err
	}
	first := len(places) - guides.Dim(2)
	for i := first; i < len(places); i++ {
		for axis := range 3 {
			for end := range 2 {
				places[i][axis][end] = guides.Data[(axis*guides.Dim(2)+i-first)*2+end]
			}
		}
	}
	t.keep = kept(t.noise, shape)
	for i, k := range t.keep {
		if k {
			t.places = append(t.places, places[i])
			if i >= first {
				t.guides++
			}
		}
	}
	t.tokens = tensor.New(shape[0], len(t.places), shape[1])
	for b := range shape[0] {
		from, to := all.Index(b).Data, t.tokens.Index(b).Data
		for i, k := range t.keep {
			if k {
				to = to[copy(to, from[i*shape[1]:(i+1)*shape[1]]):]
			}
		}
	}
	if s := c.Inputs.Get(inputStrengths); s != nil {
		t.strengths = s.Data
	}
	if len(t.places) == 0 || len(t.strengths) > len(t.places) {
		return nil, fmt.Errorf("the noise mask leaves out the whole latent")
	}
	return t, nil
}

// groupedTimes are the timesteps of groups of tokens [N,G]: of all of them together, of each frame or of each token,
// whatever the noise mask asks for.
func (t *Tokens) groupedTimes(times []float32) *tensor.Tensor {
	if t.noise == nil {
		return &tensor.Tensor{Shape: []int{len(times), 1}, Data: times}
	}
	tokens, cells := len(t.places), len(t.keep)
	each := tensor.New(len(times), tokens)
	for b, time := range times {
		row := each.Index(b).Data[:0]
		for i, k := range t.keep {
			if k {
				row = append(row, t.noise.Data[b*cells+i]*time)
			}
		}
	}
	for _, groups := range []int{1, t.frames} {
		if out := grouped(each, groups); tokens%groups == 0 && out != nil {
			return out
		}
	}
	return each
}

// grouped returns one value per group of x [N,S], with groups of equal size, or nil if the values of a group differ.
func grouped(x *tensor.Tensor, groups int) *tensor.Tensor {
	size := x.Dim(1) / groups
	if size*groups != x.Dim(1) {
		return nil
	}
	out := tensor.New(x.Dim(0), groups)
	for i, v := range x.Data {
		switch g := i / size; {
		case i%size == 0:
			out.Data[g] = v
		case out.Data[g] != v:
			return nil
		}
	}
	return out
}

// marks are ones for the tokens of single frames, those that begin a video, and zeros for the others [1,S]; nil for none. Upstream:
// keyframes_abs_pos_mask.
func (t *Tokens) marks() *tensor.Tensor {
	out := tensor.New(1, len(t.places))
	found := false
	for i, p := range t.places[:len(t.places)-t.guides] {
		if p[0][0] == 0 {
			out.Data[i], found = 1, true
		}
	}
	if !found {
		return nil
	}
	return out
}

// guideValues are what queries and keys get appended, so that their product is the logarithm of the strength where a token
// of a guide meets one of the video: scale is that of the attention.
func (t *Tokens) guideValues(scale float32) []family.Value {
	const far = -1e4 // e**-1e4 is zero
	n := len(t.places)
	q, k := tensor.New(1, n, extra), tensor.New(1, n, extra)
	first := n - len(t.strengths)
	for i := range n {
		if i < first {
			q.Data[i*extra], k.Data[i*extra+1] = 1, 1/scale
			continue
		}
		log := float32(far)
		if s := t.strengths[i-first]; s > 0 {
			log = float32(max(math.Log(float64(s)), far))
		}
		q.Data[i*extra+1], k.Data[i*extra] = log, log/scale
	}
	return []family.Value{family.Floats("guideq", q), family.Floats("guidek", k)}
}

// latent puts tokens [N,S,C] back into a latent of a shape; tokens that the network did not read are zero.
func (t *Tokens) latent(y *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	if len(t.places) != len(t.keep) {
		whole := tensor.New(shape[0], len(t.keep), shape[1])
		for b := range shape[0] {
			from, to := y.Index(b).Data, whole.Index(b).Data
			for i, k := range t.keep {
				if k {
					copy(to[i*shape[1]:(i+1)*shape[1]], from)
					from = from[shape[1]:]
				}
			}
		}
		y = whole
	}
	return dit.UnpatchifyFrames(y, 1, tensor.ChannelsFirst, shape)
}
