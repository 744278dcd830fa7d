package lumina

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

func init() { family.Register(patchKind{}) }

// patchKind registers the Fun ControlNets of Z-Image.
type patchKind struct{}

// Name implements family.Family.
func (patchKind) Name() string { return "Fun ControlNet for Z-Image" }

// Rank implements family.Family.
func (patchKind) Rank() int { return 10 }

// Fun describes a Fun ControlNet of Z-Image.
type Fun struct {
	// Dim is the width of a token, Token that of a token of the image's latent.
	Dim, Token int
	// Layers are its blocks beside the model's, Noise those beside the model's first ones for the image.
	Layers, Noise int
	// Refines reports that the latter add to the model's; otherwise they refine the image's latent before everything.
	Refines bool
	// Broken reports that the latter were never trained: the other blocks are used in their place, as upstream does.
	Broken bool
}

// Patch is a Fun ControlNet that was read from a file.
type Patch struct {
	Fun
	src weights.Source
}

// embedder is the layer that reads the image's latent.
const embedder = "control_all_x_embedder.2-1"

// names maps the layers of attention to the model's names.
var names = strings.NewReplacer(".attention.to_out.0.", ".attention.out.", ".attention.norm_k.", ".attention.k_norm.", ".attention.norm_q.", ".attention.q_norm.")

// ReadPatch implements family.ModelPatch. Upstream: nodes_model_patch.py ModelPatchLoader.
func (patchKind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	s := weights.NewScope(src)
	in := s.Shape(embedder + ".weight")
	if in == nil {
		return nil, nil
	}
	f := Fun{Layers: s.Count("control_layers"), Noise: s.Count("control_noise_refiner"), Refines: s.Has("control_noise_refiner.0.after_proj.weight")}
	if len(in) != 2 || in[1]%patchArea != 0 || f.Layers == 0 || in[1]/patchArea < latents.Flux.Channels {
		return nil, fmt.Errorf("%s.weight is %v with %d blocks, wanted patches of at least %d channels", embedder, in, f.Layers, latents.Flux.Channels)
	}
	f.Dim, f.Token = in[0], in[1]
	const many = 15
	if f.Refines && f.Layers >= many {
		after, _ := src.Lookup("control_noise_refiner.0.after_proj.weight")
		if !after.Computed() && after.Data != nil {
			f.Broken = !slices.ContainsFunc(after.Data, func(b byte) bool { return b&0x7f != 0 })
		}
	}
	return &Patch{Fun: f, src: dit.Rename(src, names.Replace)}, nil
}

// patchArea is the number of latent cells of a token.
const patchArea = 4

// Patches implements family.PatchNetwork.
func (*Patch) Patches() string { return "Z-Image" }

// Weights implements family.PatchNetwork.
func (p *Patch) Weights() weights.Source { return p.src }

// Fits implements family.PatchNetwork.
func (p *Patch) Fits(d family.Denoiser) error {
	m, ok := d.(*Model)
	switch {
	case !ok || !m.Plain || m.Pixel > 0:
		return errors.New("the model is of another family")
	case m.Dim != p.Dim:
		return fmt.Errorf("its tokens have width %d, and those of the model %d", p.Dim, m.Dim)
	}
	return nil
}

// inpaints reports that the network reads a mask and the latent of an image to inpaint, too.
func (p *Patch) inpaints() bool { return p.Token/patchArea > latents.Flux.Channels }

// Input implements family.PatchNetwork. Upstream: ZImageControlPatch.encode_latent_cond.
func (p *Patch) Input(ctx context.Context, _ family.Runner, c family.PatchCall) (*tensor.Tensor, error) {
	if c.Image == nil && (c.Inpaint == nil || !p.inpaints()) {
		return nil, errors.New("it needs an image: connect one")
	}
	var err error
	if c.Image, err = c.Scaled(c.Image); err != nil {
		return nil, err
	}
	if c.Inpaint, err = c.Scaled(c.Inpaint); err != nil {
		return nil, err
	}
	encode := func(images *tensor.Tensor) (*tensor.Tensor, error) {
		z, err := c.Encode(ctx, images)
		if err != nil {
			return nil, err
		}
		if z.Dim(1) != latents.Flux.Channels {
			return nil, fmt.Errorf("the VAE makes latents of %d channels, wanted %d: connect the VAE of Z-Image", z.Dim(1), latents.Flux.Channels)
		}
		return latents.Flux.In(z), nil
	}
	image := c.Image
	if image == nil {
		image = gray(c.Inpaint)
	}
	z, err := encode(image)
	if err != nil {
		return nil, err
	}
	if p.inpaints() {
		hole, err := p.hole(c, image)
		if err != nil {
			return nil, err
		}
		inside, err := encode(hole)
		if err != nil {
			return nil, err
		}
		mask := tensor.New(1, 1, z.Dim(2), z.Dim(3))
		if c.Mask != nil {
			mask = nearest(c.Mask, z.Dim(3), z.Dim(2))
		}
		rows := max(z.Dim(0), inside.Dim(0), mask.Dim(0))
		z = dit.Channels(sameRows(z, rows), sameRows(mask, rows), sameRows(inside, rows))
	}
	if z.Dim(1)*patchArea != p.Token {
		return nil, fmt.Errorf("it reads %d channels, and the images make %d", p.Token/patchArea, z.Dim(1))
	}
	tokens, _, err := dit.Patchify(z, 2, tensor.ChannelsLast)
	return tokens, err
}

// hole is the image to inpaint with gray where a mask does not keep it, or gray without one.
func (p *Patch) hole(c family.PatchCall, image *tensor.Tensor) (*tensor.Tensor, error) {
	inpaint := c.Inpaint
	if inpaint == nil {
		inpaint = gray(image)
	}
	if c.Mask == nil {
		return inpaint, nil
	}
	mask, err := imaging.Upscale(c.Mask, inpaint.Dim(2), inpaint.Dim(1), "bilinear", "center")
	if err != nil {
		return nil, fmt.Errorf("scaling the mask: %w", err)
	}
	out := tensor.New(inpaint.Shape...)
	for b := range out.Dim(0) {
		from, to, m := inpaint.Index(b).Data, out.Index(b).Data, mask.Index(b%mask.Dim(0)).Data
		for i, v := range from {
			to[i] = (v-0.5)*float32(math.RoundToEven(float64(m[i/inpaint.Dim(3)]))) + 0.5
		}
	}
	return out, nil
}

func gray(like *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(like.Shape...)
	for i := range out.Data {
		out.Data[i] = 0.5
	}
	return out
}

// sameRows repeats the rows of x until there are n.
func sameRows(x *tensor.Tensor, n int) *tensor.Tensor {
	if x.Dim(0) == n {
		return x
	}
	out := tensor.New(append([]int{n}, x.Shape[1:]...)...)
	for i := range n {
		copy(out.Index(i).Data, x.Index(i%x.Dim(0)).Data)
	}
	return out
}

// nearest scales masks [B,1,H,W] cut at the centre to the target's proportions, by torch's mode nearest.
func nearest(mask *tensor.Tensor, width, height int) *tensor.Tensor {
	h, w := mask.Dim(2), mask.Dim(3)
	top, left := 0, 0
	if old, want := float64(w)/float64(h), float64(width)/float64(height); old > want {
		left = int(math.RoundToEven((float64(w) - float64(w)*(want/old)) / 2))
	} else if old < want {
		top = int(math.RoundToEven((float64(h) - float64(h)*(old/want)) / 2))
	}
	out := tensor.New(mask.Dim(0), 1, height, width)
	for b := range mask.Dim(0) {
		from, to := mask.Index(b).Data, out.Index(b).Data
		for y := range height {
			for x := range width {
				to[y*width+x] = from[(top+y*(h-2*top)/height)*w+left+x*(w-2*left)/width]
			}
		}
	}
	return out
}

// fun is a Fun ControlNet while a graph is written.
type fun struct {
	Fun
	n        network
	s        *weights.Scope
	at       stream // of the image's tokens that are real, with what the network made of the hint so far
	strength *onnx.Value
	time     *onnx.Value
	count    onnx.Dim
}

// begin declares the inputs of model patch number k for an image with the given number of real tokens.
func (n network) begin(s *weights.Scope, k int, f Fun, count onnx.Dim, image stream, time *onnx.Value) *fun {
	hint, strength := dit.AttachedInputs(n.Builder, k, onnx.Sym("B"), count, onnx.D(f.Token))
	p := &fun{Fun: f, n: n, s: s.At(dit.AttachedName(k)), strength: strength, time: time, count: count}
	p.at = stream{x: n.Linear(p.s.At(embedder), hint, n.c.Dim), cos: image.cos, sin: image.sin}
	if image.cos.Dim(1) != count {
		p.at.cos, p.at.sin = n.SliceDims(image.cos, 1, onnx.D(0), count), n.SliceDims(image.sin, 1, onnx.D(0), count)
	}
	if !f.Refines {
		for i := range f.Noise {
			p.at.x = n.block(p.s.At("control_noise_refiner").Index(i), p.at, time)
		}
	}
	return p
}

// layer runs a block of the network and returns what it adds. input are the image tokens before the model's blocks.
func (p *fun) layer(s *weights.Scope, input *onnx.Value) *onnx.Value {
	n := p.n
	if s.Has("before_proj.weight") {
		p.at.x = n.Add(n.Linear(s.At("before_proj"), p.at.x, n.c.Dim), input)
	}
	p.at.x = n.block(s, p.at, p.time)
	return n.Mul(n.Linear(s.At("after_proj"), p.at.x, n.c.Dim), p.strength)
}

// refine adds to the image tokens x after block i of the image's refiner.
func (p *fun) refine(x, input *onnx.Value, i int) *onnx.Value {
	if !p.Refines || i >= p.Noise {
		return x
	}
	first := func(v *onnx.Value) *onnx.Value { return p.n.firstOf(v, p.count) }
	var add *onnx.Value
	switch {
	case !p.Broken:
		add = p.layer(p.s.At("control_noise_refiner").Index(i), first(input))
	case i == 0:
		add = p.layer(p.s.At("control_layers.0"), first(input))
	default:
		for k := 1; k < p.Layers; k++ {
			if o := p.layer(p.s.At("control_layers").Index(k), first(input)); add == nil {
				add = o
			}
		}
	}
	return dit.OnFirst(p.n.Builder, x, onnx.D(0), p.count, func(x *onnx.Value) *onnx.Value { return p.n.Add(x, add) })
}

// modelLayers is the number of blocks of Z-Image, over which those of the network are spread.
const modelLayers = 30

// join adds to the joint tokens x, of which the image's begin at from, after block i of the model.
func (p *fun) join(x, input *onnx.Value, from onnx.Dim, i int) *onnx.Value {
	every := int(math.RoundToEven(modelLayers / float64(p.Layers)))
	if i%every != 0 || i/every >= p.Layers {
		return x
	}
	add := p.layer(p.s.At("control_layers").Index(i/every), input)
	return dit.OnFirst(p.n.Builder, x, from, from.Plus(p.count), func(x *onnx.Value) *onnx.Value { return p.n.Add(x, add) })
}

// firstOf returns the first tokens of x.
func (n network) firstOf(x *onnx.Value, count onnx.Dim) *onnx.Value {
	if x.Dim(1) == count {
		return x
	}
	return n.SliceDims(x, 1, onnx.D(0), count)
}

// attach adds the model patches of a call to the inputs of the graph, for an image with the given number of tokens.
func attach(in []family.Value, list []family.Attached, rows, tokens int) ([]family.Value, variant, error) {
	var v variant
	for k, a := range list {
		p, ok := a.Net.(*Patch)
		if !ok {
			return nil, v, fmt.Errorf("%T is no patch of it", a.Net)
		}
		if a.Input.Dim(1) != tokens {
			return nil, v, fmt.Errorf("a patch has %d tokens, and the image %d", a.Input.Dim(1), tokens)
		}
		a.Input = sameRows(a.Input, rows)
		v.Patches = append(v.Patches, p.Fun)
		in = append(in, dit.AttachedValues(k, a)...)
	}
	return in, v, nil
}

// variant is what changes the graph beside the config.
type variant struct {
	// Patches are Fun ControlNets, Whole reports that no token is padding if there are patches.
	Patches []Fun
	Whole   bool
	// Omni reports that there are reference images.
	Omni bool
}
