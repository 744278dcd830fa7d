package anima

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

func init() { family.Register(liteKind{}) }

// liteKind registers ControlNet-LLLite for Anima.
type liteKind struct{}

// Name implements family.Family.
func (liteKind) Name() string { return "ControlNet-LLLite for Anima" }

// Rank implements family.Family.
func (liteKind) Rank() int { return 40 }

// Lite is a ControlNet-LLLite that was read from a file.
type Lite struct {
	src weights.Source
	// Channels are the channels of the image, a mask among them where there are four; Emb is the width of a token of the hint.
	Channels, Emb int
	// Hidden is the width of the model's tokens, Blocks the number of blocks that it has at least.
	Hidden, Blocks int
	// Dilations are the dilations of the kernels for several distances, Hides reports that the image is black under the mask.
	Dilations []int
	Hides     bool
}

// conditioning is the part of the network that reads the image.
const conditioning = "lllite_conditioning1"

// changed are the projections that a network may change.
var changed = regexp.MustCompile(`^lllite_dit_blocks_(\d+)_(self_attn_[qkv]_proj|cross_attn_q_proj|mlp_layer1)$`)

// ReadPatch implements family.ModelPatch. Upstream: ldm/anima/lllite.py AnimaLLLite.
func (liteKind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	s := weights.NewScope(src)
	first, emb := s.Shape(conditioning+".conv1.weight"), s.Shape(conditioning+".proj.weight")
	if first == nil {
		return nil, nil
	}
	meta := src.Metadata()
	if v, ok := meta["lllite.version"]; ok && v != "2" {
		return nil, fmt.Errorf("it is of version %s: version 2 can be read", v)
	}
	if len(first) != 4 || len(emb) != 4 || first[1] != 3 && first[1] != 4 {
		return nil, fmt.Errorf("%s.conv1.weight is %v and proj.weight %v, wanted kernels for three channels, or four with a mask", conditioning, first, emb)
	}
	p := &Lite{src: src, Channels: first[1], Emb: emb[0], Hides: strings.EqualFold(meta["lllite.inpaint_masked_input"], "true")}
	for _, name := range s.Children() {
		if !strings.HasPrefix(name, "lllite_dit_blocks_") {
			continue
		}
		at := changed.FindStringSubmatch(name)
		down := s.Shape(name + ".down.weight")
		if at == nil || len(down) != 2 || p.Hidden > 0 && p.Hidden != down[1] {
			return nil, fmt.Errorf("%s.down.weight is %v: wanted a known projection of tokens of one width", name, down)
		}
		block, err := strconv.Atoi(at[1])
		if err != nil {
			return nil, err
		}
		p.Hidden, p.Blocks = down[1], max(p.Blocks, block+1)
	}
	if p.Hidden == 0 {
		return nil, errors.New("it changes no projection")
	}
	return p, p.readDilations(s, meta["lllite.aspp_dilations"])
}

// readDilations reads the distances from the metadata.
func (p *Lite) readDilations(s *weights.Scope, list string) error {
	if !s.HasAny(conditioning + ".aspp") {
		return nil
	}
	if list == "" {
		list = "1,2,4,8"
	}
	const most = 64 // tokens, beyond which a kernel reads nothing but zeros
	for _, text := range strings.Split(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		d, err := strconv.Atoi(text)
		if err != nil || d < 1 || d > most {
			return fmt.Errorf("its dilations are %q, wanted numbers from 1 to %d", list, most)
		}
		p.Dilations = append(p.Dilations, d)
	}
	return nil
}

// Patches implements family.PatchNetwork.
func (*Lite) Patches() string { return "Anima" }

// Weights implements family.PatchNetwork.
func (p *Lite) Weights() weights.Source { return p.src }

// Fits implements family.PatchNetwork.
func (p *Lite) Fits(d family.Denoiser) error {
	m, ok := d.(*model)
	switch {
	case !ok:
		return errors.New("the model is of another family")
	case m.Hidden != p.Hidden || m.Blocks < p.Blocks:
		return fmt.Errorf("it is for tokens of width %d and at least %d blocks, and the model has %d and %d", p.Hidden, p.Blocks, m.Hidden, m.Blocks)
	}
	return nil
}

// Input implements family.PatchNetwork: the network's tokens of the image, [B,tokens,Emb].
func (p *Lite) Input(ctx context.Context, run family.Runner, c family.PatchCall) (*tensor.Tensor, error) {
	if c.Image == nil {
		return nil, errors.New("it needs an image: connect one")
	}
	const side, patch = 8, 2
	up := func(n int) int { return (n + patch - 1) / patch * patch * side }
	h, w := up(c.Height), up(c.Width)
	image, err := imaging.UpscaleImage(c.Image, w, h, "bicubic", "center")
	if err != nil {
		return nil, fmt.Errorf("scaling the image: %w", err)
	}
	mask := tensor.New(1, 1, h, w)
	if c.Mask != nil && p.Channels > 3 {
		if mask, err = imaging.Upscale(c.Mask, w, h, "nearest-exact", "center"); err != nil {
			return nil, fmt.Errorf("scaling the mask: %w", err)
		}
		if image.Dim(0)%mask.Dim(0) != 0 {
			return nil, fmt.Errorf("%d masks do not fit %d images", mask.Dim(0), image.Dim(0))
		}
	}
	x := tensor.New(image.Dim(0), p.Channels, h, w)
	for b := range x.Dim(0) {
		pixels, row, m := image.Index(b).Data, x.Index(b), mask.Index(b%mask.Dim(0)).Data
		for i := range h * w {
			covered := m[i] >= 0.5
			for ch := range 3 {
				v := min(max(pixels[i*image.Dim(3)+ch], 0), 1)*2 - 1
				if covered && p.Hides && p.Channels > 3 {
					v = 0
				}
				row.Data[ch*h*w+i] = v
			}
			if p.Channels > 3 {
				row.Data[3*h*w+i] = -1
				if covered {
					row.Data[3*h*w+i] = 1
				}
			}
		}
	}
	const floats = 24 // values of a pixel's share of the layers at a time
	if err := run.Check("reading the image of a ControlNet-LLLite", family.Product(x.Dim(0), h, w, 4, floats)); err != nil {
		return nil, err
	}
	g := family.Graph{Part: "control", Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("lllite", p.src, p.write) }}
	out, err := run.Run(ctx, g, []family.Value{family.Floats("image", x)}, "out")
	if err != nil {
		return nil, err
	}
	return out["out"], nil
}

// write writes the part that reads the image: image [B,Channels,16h,16w] in -1…1 to out [B,h·w,Emb]. Upstream:
// AnimaLLLiteConditioning.
func (p *Lite) write(b *nn.Builder, s *weights.Scope) {
	s = s.At(conditioning)
	const token = 16 // pixels
	x := b.Cast(b.Input("image", dtype.F32, onnx.Sym("B"), onnx.D(p.Channels), onnx.Sym("h").Times(onnx.D(token)), onnx.Sym("w").Times(onnx.D(token))), b.Target.Compute)
	x = layer(b, s, "1", x, onnx.Window{Stride: 4})
	x = layer(b, s, "2", x, onnx.Pad1())
	x = layer(b, s, "3", x, onnx.Window{Stride: 4})
	for i := range s.Count("resblocks") {
		l := s.At("resblocks").Index(i)
		y := conv(b, l.At("conv1"), normed(b, l.At("norm1"), x), onnx.Pad1())
		x = b.Add(x, conv(b, l.At("conv2"), normed(b, l.At("norm2"), y), onnx.Pad1()))
	}
	if len(p.Dilations) > 0 {
		x = p.distances(b, s.At("aspp"), x)
	}
	x = b.ToTokens(conv(b, s.At("proj"), x, onnx.Window{Stride: 1}))
	b.Output("out", b.Cast(b.LayerNorm(s.At("out_norm"), x, 1e-5), dtype.F32))
}

// distances combines the neighbours of each cell at several distances and the mean of all cells.
func (p *Lite) distances(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	var parts []*onnx.Value
	for i, d := range p.Dilations {
		l := s.At("branches").Index(i)
		width := width(l.At("0"), x)
		kernel, window := []int{1, 1}, onnx.WindowND{}
		if d > 1 {
			kernel, window = []int{3, 3}, onnx.WindowND{Dilation: []int{d, d}, Before: []int{d, d}, After: []int{d, d}}
		}
		parts = append(parts, normed(b, l.At("1"), b.ConvND(l.At("0"), x, width, kernel, 1, window)))
	}
	mean := normed(b, s.At("global_conv.1"), conv(b, s.At("global_conv.0"), b.ReduceMean(x, true, 2, 3), onnx.Window{Stride: 1}))
	parts = append(parts, b.Expand(mean, x.Dim(0), mean.Dim(1), x.Dim(2), x.Dim(3)))
	return normed(b, s.At("proj.1"), conv(b, s.At("proj.0"), b.Concat(1, parts...), onnx.Window{Stride: 1}))
}

// layer is a convolution, its norm and SiLU, numbered alike.
func layer(b *nn.Builder, s *weights.Scope, n string, x *onnx.Value, w onnx.Window) *onnx.Value {
	return normed(b, s.At("norm"+n), conv(b, s.At("conv"+n), x, w))
}

// width is the number of channels that a convolution makes.
func width(s *weights.Scope, x *onnx.Value) int {
	if sh := s.Shape("weight"); len(sh) == 4 {
		return sh[0]
	}
	return x.Dim(1).N
}

func conv(b *nn.Builder, s *weights.Scope, x *onnx.Value, w onnx.Window) *onnx.Value {
	kernel := 1
	if sh := s.Shape("weight"); len(sh) == 4 {
		kernel = sh[2]
	}
	return b.Conv2d(s, x, width(s, x), kernel, w)
}

// normed is SiLU of the group norm of x, in at most eight groups that divide its channels.
func normed(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	groups := 8
	for groups > 1 && x.Dim(1).N%groups != 0 {
		groups /= 2
	}
	return b.GroupNormSiLU(s, x, groups, 1e-5)
}

// lites are the model patches of a call; all of them fit the model.
func lites(list []family.Attached) []family.Attached {
	return slices.DeleteFunc(slices.Clone(list), func(a family.Attached) bool {
		_, ok := a.Net.(*Lite)
		return !ok || a.Strength == 0
	})
}
