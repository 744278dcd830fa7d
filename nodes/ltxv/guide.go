package ltxv

import (
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/plain"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&GetICLoRAParameters{})
	nodes.Register(&LTXVAddGuide{})
}

// loraParameters is the value of IC_LORA_PARAMETERS links.
type loraParameters struct {
	// Downscale is by how much guides are smaller than the video along one side.
	Downscale int
}

const downscaleKey = "reference_downscale_factor"

// Plain implements nodes.Plain.
func (p *loraParameters) Plain() any {
	if p == nil {
		return nil
	}
	return pyjson.NewObject(downscaleKey, int64(p.Downscale))
}

// FromPlain implements nodes.FromPlain. Without the key guides have the video's size, as upstream.
func (p *loraParameters) FromPlain(v any) error {
	o, err := plain.Dictionary(v)
	if err != nil {
		return err
	}
	p.Downscale = 1
	if !o.Has(downscaleKey) {
		return nil
	}
	n, err := plain.Number(o, downscaleKey)
	if err != nil {
		return err
	}
	if !(n >= 0 && n <= 1<<20) {
		return fmt.Errorf("%s is %v, want at most %d", downscaleKey, n, 1<<20)
	}
	p.Downscale = max(1, int(math.RoundToEven(n)))
	return nil
}

// GetICLoRAParameters reads the parameters of guides from the file of an in-context LoRA.
type GetICLoRAParameters struct {
	Model *engine.Model `in:"iclora_model" type:"MODEL" tooltip:"The model as it comes from the loader of the in-context LoRA."`
}

// Spec implements nodes.Node.
func (*GetICLoRAParameters) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GetICLoRAParameters", DisplayName: "Get IC-LoRA Parameters", Category: "model/conditioning/ltxv", V3: true, Module: module,
		Outputs:       []nodes.Output{{Type: "IC_LORA_PARAMETERS", Name: "iclora_parameters", Tooltip: "How the LoRA wants guides to be added; for LTXVAddGuide."}},
		Description:   "Reads the parameters of an in-context LoRA from the metadata of its file.",
		SearchAliases: []string{"ic-lora", "ic lora", "iclora", "downscale factor", "reference downscale"},
	}
}

// Run implements nodes.Node.
func (n *GetICLoRAParameters) Run(*nodes.Context) (nodes.Result, error) {
	p := &loraParameters{Downscale: 1}
	if n.Model != nil {
		p.Downscale = max(1, int(math.RoundToEven(n.Model.LoRANumber(downscaleKey))))
	}
	return nodes.Out(p), nil
}

// LTXVAddGuide adds images or a video that guide the sampling behind the frames of a video latent.
type LTXVAddGuide struct {
	Positive   engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative   engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE        *engine.VAE         `in:"vae" type:"VAE"`
	Latent     engine.Latent       `in:"latent" type:"LATENT"`
	Image      *tensor.Tensor      `in:"image" type:"IMAGE" tooltip:"Image or video that guides the sampling. Videos are cut to 8*n + 1 frames."`
	Frame      int                 `in:"frame_idx" default:"0" min:"-9999" max:"9999" tooltip:"Frame at which the guide starts; negative numbers count from the end. For guides of nine frames and more it is rounded down to a multiple of 8."`
	Strength   float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Mask       *tensor.Tensor      `in:"attention_mask" type:"MASK" optional:"true" tooltip:"Where in the image the guide acts, multiplied by the strength."`
	Parameters *loraParameters     `in:"iclora_parameters" type:"IC_LORA_PARAMETERS" optional:"true" tooltip:"Parameters of an in-context LoRA; see GetICLoRAParameters."`
}

// Spec implements nodes.Node.
func (*LTXVAddGuide) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVAddGuide", Category: "model/conditioning/ltxv", V3: true, Module: module,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVAddGuide) Sizes(s *nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *LTXVAddGuide) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkVideo(n.Latent); err != nil {
		return nodes.Result{}, err
	}
	mask, err := maskOf(n.Latent)
	if err != nil {
		return nodes.Result{}, err
	}
	g, err := n.guide(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	s := n.Latent.Samples
	if s.Dim(1) != channels || g.latent.Dim(1) != channels {
		return nodes.Result{}, nodes.Errorf("ValueError", "adding a guide: the latent has %d channels and the guide %d, wanted %d each", s.Dim(1), g.latent.Dim(1), channels)
	}
	if g.latent.Dim(3) != s.Dim(3) || g.latent.Dim(4) != s.Dim(4) {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "adding a guide: its latent has shape %v and the video's %v", g.latent.Shape, s.Shape)
	}
	if g.start+g.latent.Dim(2) > s.Dim(2) {
		return nodes.Result{}, nodes.Errorf("AssertionError", "adding a guide: its %d latent frames from number %d on exceed the %d of the video", g.latent.Dim(2), g.start, s.Dim(2))
	}
	samples := tensor.New(s.Dim(0), s.Dim(1), s.Dim(2)+g.latent.Dim(2), s.Dim(3), s.Dim(4))
	if err := join(samples, s, g.latent); err != nil {
		return nodes.Result{}, err
	}
	out := engine.Latent{Samples: samples, NoiseMask: g.masked(mask, n.Strength)}
	entry := sampling.GuideEntry{Tokens: tensor.Count(g.latent.Shape[2:]), Strength: n.Strength, Mask: n.Mask, Shape: g.shape}
	return nodes.Out(g.with(n.Positive, entry), g.with(n.Negative, entry), out), nil
}

// guide is a guide as it is added.
type guide struct {
	// latent is [1,C,t,h,w]; with a factor it is spread over a latent of the video's size. shape holds its own frames, rows and columns.
	latent *tensor.Tensor
	shape  [3]int
	factor int
	// frame and start are the frame and the latent frame at which it starts; single says that its first latent frame is one frame.
	frame, start int
	single       bool
}

func (n *LTXVAddGuide) guide(ctx *nodes.Context) (*guide, error) {
	s := n.Latent.Samples
	g := &guide{factor: 1}
	if n.Parameters != nil {
		g.factor = max(1, n.Parameters.Downscale)
	}
	if s.Dim(3)%g.factor != 0 || s.Dim(4)%g.factor != 0 {
		return nil, nodes.Errorf("ValueError", "adding a guide: the latent of %dx%d cells is not divisible by the LoRA's reference_downscale_factor, %d", s.Dim(4), s.Dim(3), g.factor)
	}
	images := n.Image
	if images == nil || len(images.Shape) != 4 || images.Len() == 0 {
		return nil, nodes.Errorf("ValueError", "adding a guide: the input image is not an image [batch, height, width, channels]")
	}
	kept := (images.Dim(0)-1)/pace*pace + 1
	guided := guideFrames(n.Positive, s)
	last := (s.Dim(2)-guided-1)*pace + 1
	frame := n.Frame
	if frame < 0 {
		frame = max(last+frame, 0)
	}
	g.single = frame == 0 || kept == 1
	if !g.single { // the first latent frame is that of a single frame: one that is thrown away
		images = prepend(images)
	}
	images = images.Slice(0, (images.Dim(0)-1)/pace*pace+1)
	z, err := encode(ctx, n.VAE, images, s.Dim(4)*cell/g.factor, s.Dim(3)*cell/g.factor)
	if err != nil {
		return nil, err
	}
	length := images.Dim(0)
	if !g.single {
		z, length = frames(z, 1, z.Dim(2)), length-1
	}
	if z.Dim(2) == 0 {
		return nil, nodes.Errorf("ValueError", "adding a guide: it has no frames left")
	}
	g.latent, g.shape = z, [3]int{z.Dim(2), z.Dim(3), z.Dim(4)}
	if g.factor > 1 {
		g.latent = spread(z, g.factor)
	}
	if length > 1 && frame != 0 {
		frame = floorDiv(frame-1, pace)*pace + 1
	}
	g.frame, g.start = frame, floorDiv(frame+pace-1, pace)
	return g, nil
}

func floorDiv(a, b int) int { return int(math.Floor(float64(a) / float64(b))) }

// guideFrames returns the number of latent frames at the end of a latent that are guides.
func guideFrames(c engine.Conditioning, s *tensor.Tensor) int {
	for _, entry := range c {
		v, ok := entry.Values[sampling.KeyGuidePlaces]
		if !ok {
			continue
		}
		if t, ok := v.(*tensor.Tensor); ok && t != nil && len(t.Shape) > 2 {
			return t.Dim(2) / max(1, s.Dim(3)*s.Dim(4))
		}
		return 0
	}
	return 0
}

// prepend repeats the first image.
func prepend(images *tensor.Tensor) *tensor.Tensor {
	shape := append([]int{images.Dim(0) + 1}, images.Shape[1:]...)
	return &tensor.Tensor{Shape: shape, Data: append(append(make([]float32, 0, tensor.Count(shape)), images.Index(0).Data...), images.Data...)}
}

// frames returns frames [from, to) of a video latent.
func frames(x *tensor.Tensor, from, to int) *tensor.Tensor {
	size := x.Dim(3) * x.Dim(4)
	out := tensor.New(x.Dim(0), x.Dim(1), to-from, x.Dim(3), x.Dim(4))
	for row := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[row*(to-from)*size:], x.Data[(row*x.Dim(2)+from)*size:(row*x.Dim(2)+to)*size])
	}
	return out
}

// join fills out with the frames of x, then with those of one video z in each row.
func join(out, x, z *tensor.Tensor) error {
	size := x.Dim(2) * x.Dim(3) * x.Dim(4)
	each := out.Dim(2) * x.Dim(3) * x.Dim(4)
	for row := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[row*each:], x.Data[row*size:(row+1)*size])
	}
	return place(out, z, x.Dim(2))
}

// spread puts the cells of z factor cells apart, with zeros between them.
func spread(z *tensor.Tensor, factor int) *tensor.Tensor {
	h, w := z.Dim(3)*factor, z.Dim(4)*factor
	out := tensor.New(z.Dim(0), z.Dim(1), z.Dim(2), h, w)
	for i, v := range z.Data {
		plane, y, x := i/(z.Dim(3)*z.Dim(4)), i/z.Dim(4)%z.Dim(3), i%z.Dim(4)
		out.Data[(plane*h+y*factor)*w+x*factor] = v
	}
	return out
}

// masked is the noise mask of a video with that of the guide behind it. Cells between those of a spread guide are below zero, so that
// the model leaves them out.
func (g *guide) masked(mask *tensor.Tensor, strength float64) *tensor.Tensor {
	h, w := mask.Dim(3), mask.Dim(4)
	if g.factor > 1 {
		h, w = max(h, g.latent.Dim(3)), max(w, g.latent.Dim(4))
	}
	own := g.latent.Dim(2)
	out := tensor.New(mask.Dim(0), 1, mask.Dim(2)+own, h, w)
	for i := range out.Data {
		b, f, y, x := i/(out.Dim(2)*h*w), i/(h*w)%out.Dim(2), i/w%h, i%w
		switch {
		case f < mask.Dim(2):
			out.Data[i] = mask.Data[((b*mask.Dim(2)+f)*mask.Dim(3)+y%mask.Dim(3))*mask.Dim(4)+x%mask.Dim(4)]
		case g.factor == 1:
			out.Data[i] = float32(max(0, 1-strength))
		case y%g.factor == 0 && x%g.factor == 0:
			out.Data[i] = 1 - float32(strength)
		default:
			out.Data[i] = -1 - float32(strength)
		}
	}
	return out
}

// with returns a conditioning with the guide.
func (g *guide) with(c engine.Conditioning, entry sampling.GuideEntry) engine.Conditioning {
	values := map[string]any{sampling.KeyGuidePlaces: g.places(c)}
	var entries []sampling.GuideEntry
	for _, e := range c {
		if list, ok := e.Values[sampling.KeyGuideEntries].([]sampling.GuideEntry); ok {
			entries = list
			break
		}
	}
	values[sampling.KeyGuideEntries] = append(entries[:len(entries):len(entries)], entry)
	return c.With(values)
}

// places are the corners of the guide's tokens behind those of the guides before it, [1,3,tokens,2].
func (g *guide) places(c engine.Conditioning) *tensor.Tensor {
	var before *tensor.Tensor
	for _, e := range c {
		if v, ok := e.Values[sampling.KeyGuidePlaces]; ok {
			before, _ = v.(*tensor.Tensor)
			break
		}
	}
	const axes = 3
	t, h, w := g.latent.Dim(2), g.latent.Dim(3), g.latent.Dim(4)
	skip := 0
	if before != nil && len(before.Shape) == 4 {
		skip = before.Dim(2)
	}
	n := skip + t*h*w
	out := tensor.New(1, axes, n, 2)
	if skip > 0 {
		for axis := range axes {
			copy(out.Data[axis*n*2:], before.Data[axis*skip*2:(axis+1)*skip*2])
		}
	}
	wider := float32((g.factor - 1) * cell) // a cell of a smaller guide stands for more of the image
	for i := range t * h * w {
		at := [axes]int{i / (h * w), i / w % h, i % w}
		for axis, p := range at {
			for end := range 2 {
				var v float32
				if axis == 0 {
					f := (p + end) * pace
					if g.single {
						f = max(f+1-pace, 0)
					}
					v = float32(f + g.frame)
				} else {
					v = float32((p + end) * cell)
					if end == 1 {
						v += wider
					}
				}
				out.Data[(axis*n+skip+i)*2+end] = v
			}
		}
	}
	return out
}
