package dryrun

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

// Described returns a weight file of the given tensors; an entry without data can be bound to a graph and not run.
func Described(entries []weights.Entry) weights.Source { return DescribedWith(nil, entries) }

// DescribedWith is Described for a file with metadata.
func DescribedWith(metadata map[string]string, entries []weights.Entry) weights.Source {
	l := &listed{entries: map[string]weights.Entry{}, metadata: metadata}
	for _, e := range entries {
		if e.File == "" {
			e.File = "listed"
		}
		l.names = append(l.names, e.Name)
		l.entries[e.Name] = e
	}
	return l
}

// small is the side of a latent that every family takes, in cells.
const small = 8

// Exercise runs every part of a file that the families read, on small inputs of zeros, and returns the names of the parts
// that ran. What run keeps of it (graphs, the first error) is for the caller.
func Exercise(ctx context.Context, f *family.File, run *Runner) []string {
	var ran []string
	note := func(part string, err error) {
		if err == nil {
			ran = append(ran, part)
		} else if run.Failed != nil {
			run.Failed(part, err)
		}
	}
	if d, _, err := f.Diffusion(); err == nil {
		run.Role = family.RoleDiffusion
		if s, ok := d.(family.Segmenter); ok {
			note("segmentation model", exerciseSegmenter(ctx, s, run))
		} else if n, ok := d.(family.Detector); ok {
			_, _, err := n.Detect(ctx, run, tensor.New(1, 3, n.Side(), n.Side()))
			note("object detection model", err)
		} else {
			note("diffusion model", exerciseDiffusion(ctx, d, run))
		}
	}
	if c, err := f.Control(); err == nil {
		run.Role = family.RoleControl
		exerciseControl(ctx, c, run, note)
	}
	if v, err := f.VAE(); err == nil && v != nil {
		run.Role = family.RoleVAE
		exerciseVAE(ctx, v, run, note)
	}
	run.Role = family.RoleText
	for _, e := range textEncoders(f) {
		exerciseText(ctx, e, run, note)
	}
	if u, err := f.Upscaler(); err == nil {
		run.Role = family.RoleUpscale
		in, _ := u.Channels()
		_, err := u.Upscale(ctx, run, tensor.New(1, in, small, small))
		note("upscale model", err)
	}
	if n, err := f.Interpolator(); err == nil {
		run.Role = family.RoleInterpolation
		note("frame interpolation model", exerciseInterpolator(ctx, n, run))
	}
	if n, err := f.OpticalFlow(); err == nil {
		run.Role = family.RoleOpticalFlow
		note("optical flow model", exerciseFlow(ctx, n, run))
	}
	if n, err := f.Geometry(); err == nil {
		run.Role = family.RoleGeometry
		note("geometry model", exerciseGeometry(ctx, n, run))
	}
	if n, err := f.Background(); err == nil {
		run.Role = family.RoleBackground
		_, err := n.Foreground(ctx, run, tensor.New(1, 3, 64, 64))
		note("background removal model", err)
	}
	if n, err := f.Faces(); err == nil {
		run.Role = family.RoleFace
		_, err := n.Find(ctx, run, tensor.New(3, small, small), family.FaceOptions{Most: 1})
		if err == nil {
			_, err = n.Find(ctx, run, tensor.New(3, small, small), family.FaceOptions{Far: true, Most: 1})
		}
		note("face landmark model", err)
	}
	if a, err := f.Audio(); err == nil {
		run.Role = family.RoleAudio
		_, err := a.Encode(ctx, run, tensor.New(1, 1, a.Rate()))
		note("audio encoder", err)
	}
	if v, err := f.Vision(); err == nil {
		run.Role = family.RoleVision
		_, err := v.Encode(ctx, run, tensor.New(1, small, small, 3), true)
		note("image encoder", err)
		if r, ok := v.(family.Refiner); ok && r.CanRefine() {
			_, err := r.Refine(ctx, run, tensor.New(1, 2*small, 2*small, 3), tensor.New(1, small, 2, 2), small, []float32{1, 1})
			note("upsampler of image features", err)
		}
	}
	if n, err := f.Identity(); err == nil {
		run.Role = family.RoleIdentity
		_, err := n.Fuse(ctx, run, tensor.New(1, small, small, 3), tensor.New(1, n.Width()))
		note("identity encoder", err)
	}
	if s, err := f.Style(); err == nil {
		run.Role = family.RoleStyle
		width, _ := s.Widths()
		_, err := s.Tokens(ctx, run, tensor.New(1, textTokens, width))
		note("style model", err)
	}
	return ran
}

// exerciseSegmenter finds objects by each kind of prompt and follows one. The width of the text encoding is found by trying.
func exerciseSegmenter(ctx context.Context, s family.Segmenter, run *Runner) error {
	image := tensor.New(1, 3, s.Side(), s.Side())
	seen, err := s.Look(ctx, run, image)
	if err != nil {
		return err
	}
	text := family.SegmentText{Most: 1}
	for _, w := range inputWidths(s.Weights()) {
		text.Hidden = tensor.New(1, 3, w)
		if _, err = s.Detect(ctx, run, seen, text, nil); err == nil {
			break
		}
	}
	if err == nil {
		_, err = s.Detect(ctx, run, seen, text, tensor.New(1, 4))
	}
	for _, p := range []family.SegmentPrompt{{Points: []family.Point{{X: 1, Y: 1}}}, {Mask: tensor.New(1, 1, small, small)}} {
		if err == nil {
			_, err = s.Segment(ctx, run, seen, p)
		}
	}
	if err == nil {
		_, err = s.Track(ctx, run, family.TrackCall{Frames: 2, Initial: tensor.New(1, small, small), Frame: func(int) (*tensor.Tensor, error) { return image, nil }})
	}
	return err
}

func exerciseInterpolator(ctx context.Context, n family.InterpolationNetwork, run *Runner) error {
	const side = 64
	frame, err := n.Prepare(ctx, run, tensor.New(1, 3, side, side))
	if err != nil {
		return err
	}
	return n.Between(ctx, run, frame, frame, []float32{0.5}, func(*tensor.Tensor) error { return nil })
}

func exerciseFlow(ctx context.Context, n family.FlowNetwork, run *Runner) error {
	const side = 128
	frame, err := n.Prepare(ctx, run, tensor.New(1, 3, side, side))
	if err == nil {
		_, err = n.Flow(ctx, run, frame, frame)
	}
	return err
}

func exerciseGeometry(ctx context.Context, n family.GeometryNetwork, run *Runner) error {
	const side = 64
	if p, ok := n.(family.PointMapNetwork); ok {
		least, _ := p.Tokens()
		_, err := p.Points(ctx, run, tensor.New(1, 3, side, side), least)
		return err
	}
	if d, ok := n.(family.DepthNetwork); ok {
		const views = 3
		decoder, rays := d.Cameras()
		for _, c := range []family.DepthCall{{}, {Scene: true, Anchor: "saddle_balanced"}, {Scene: true, Anchor: "saddle_sim_range", Rays: true}} {
			if c.Scene && !decoder && !rays {
				continue
			}
			c.Images, c.Resolution = tensor.New(views, 3, side, side), side
			if _, err := d.Depths(ctx, run, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// exerciseControl runs a ControlNet for latents of the usual shapes. The widths of the text encodings that it reads are found
// by trying.
func exerciseControl(ctx context.Context, c family.ControlNetwork, run *Runner, note func(string, error)) {
	h := c.Hint()
	channels := h.Channels
	if h.Latent != nil {
		channels = h.Latent.Channels
		if h.Mask {
			channels++
		}
	}
	side := max(small*h.Scale, h.Multiple)
	hint := tensor.New(1, channels, side, side)
	texts := encodings(inputWidths(c.Weights()))
	if len(texts) == 0 {
		_, err := c.Residuals(ctx, run, family.ControlCall{Hint: hint})
		note("ControlNet", err)
		return
	}
	for _, shape := range [][]int{{1, 4, small, small}, {1, 16, small, small}, {1, 16, 1, small, small}} {
		for _, e := range texts {
			in := append(sampling.Text(e.Tokens).List, sampling.Input{Name: "y", Value: e.Pooled, Rule: sampling.ByRows})
			for _, list := range [][]sampling.Input{in[:1], in} {
				call := family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: list}}
				_, err := c.Residuals(ctx, run, family.ControlCall{Call: call, Hint: hint})
				if note("ControlNet", err); err == nil || run.Err != nil {
					return
				}
			}
		}
	}
}

// textEncoders returns the text encoder that a file holds alone, or those that its diffusion model's family finds in it.
func textEncoders(f *family.File) []family.TextEncoder {
	if e, err := f.Text(); err == nil {
		return []family.TextEncoder{e}
	}
	d, _, err := f.Checkpoint()
	b, ok := d.(family.Bundle)
	if err != nil || !ok {
		return nil
	}
	found, err := f.Bundled(b.TextPrefixes())
	if err != nil {
		return nil
	}
	var out []family.TextEncoder
	for _, key := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[key])
	}
	return out
}

// exerciseDiffusion predicts for sizes that halve evenly and for such as do not. The widths of the text encodings that the
// network reads are found by trying.
func exerciseDiffusion(ctx context.Context, d family.Denoiser, run *Runner) error {
	var last error
	if staged, ok := d.(family.Staged); ok {
		for _, stage := range staged.Stages() {
			if _, last = attempt(ctx, d, run, request(d, stage.Shape), stage.Needs); last != nil {
				return last
			}
		}
		return nil
	}
	for _, side := range []int{small, small + 1} {
		_, last = predict(ctx, d, run, side)
	}
	return last
}

// Entry returns a conditioning entry of zeros that a diffusion model takes, with its text encoding and pooled encoding: their
// widths are found by trying.
func Entry(ctx context.Context, d family.Denoiser) (*sampling.Cond, error) {
	target, err := nn.TargetFor(nn.TargetOptions{MapWeights: true})
	if err != nil {
		return nil, err
	}
	return predict(ctx, d, &Runner{Spec: family.Spec{Target: target}}, small)
}

// predict predicts for a latent with the given number of cells per side and returns the entry that the model accepts.
func predict(ctx context.Context, d family.Denoiser, run *Runner, side int) (*sampling.Cond, error) {
	format := d.Latent()
	shape := []int{1, format.Channels, side, side}
	switch {
	case format.Video:
		shape = []int{1, format.Channels, 1, side, side}
	case format.Line:
		shape = []int{1, format.Channels, side}
	}
	var needs map[string]any
	if n, ok := d.(family.Needing); ok {
		needs = n.Needs(shape)
	}
	if s, ok := d.(family.Staged); ok {
		first := s.Stages()[0]
		shape, needs = first.Shape, first.Needs
	}
	return attempt(ctx, d, run, request(d, shape), needs)
}

// request is one for a latent of a shape.
func request(d family.Denoiser, shape []int) sampling.Request {
	format := d.Latent()
	out := sampling.Request{Shape: shape, Latent: tensor.New(shape...), Format: format}
	switch nested, ok := d.(family.Nested); {
	case ok:
		out.Parts = nested.Parts()
	case format.Along != nil:
		out.Parts = append([][]int{shape}, format.Along(shape)...)
	}
	if out.Parts != nil {
		n := 0
		for _, part := range out.Parts {
			n += tensor.Count(part[1:])
		}
		out.Shape, out.Latent = []int{1, 1, n}, tensor.New(1, 1, n)
	}
	return out
}

// attempt predicts for a request with values in the entry, and returns the entry that the model accepts.
func attempt(ctx context.Context, d family.Denoiser, run *Runner, request sampling.Request, needs map[string]any) (*sampling.Cond, error) {
	last := fmt.Errorf("exercising the diffusion model: it has no matrix whose width could be that of a text encoding")
	for _, c := range encodings(inputWidths(d.Weights())) {
		c.Values = needs
		in, err := d.Inputs(c, request)
		if err != nil {
			last = err
			continue
		}
		_, last = d.Predict(ctx, run, family.Call{X: request.Latent, T: []float32{1}, Inputs: sampling.Inputs{List: in, Parts: request.Parts}})
		if last == nil || run.Err != nil {
			return c, last
		}
	}
	return nil, last
}

// encodings are entries of every pair of widths of the text encoding and the pooled one.
func encodings(widths []int) []*sampling.Cond {
	const pooled = 1280 // of the U-Nets that read a pooled encoding: no matrix of theirs need be as wide
	var out []*sampling.Cond
	for _, p := range append([]int{pooled}, widths...) {
		for _, w := range widths {
			out = append(out, &sampling.Cond{Tokens: &tensor.Tensor{Shape: []int{1, textTokens, w}}, Pooled: tensor.New(1, p)})
		}
	}
	zeros := make([]float32, textTokens*slices.Max(append(widths, 1)))
	for _, c := range out {
		c.Tokens.Data = zeros[:textTokens*c.Tokens.Dim(2)]
	}
	return out
}

// textTokens is the length of a text encoding.
const textTokens = 77

// inputWidths are the distinct widths of vectors that the matrices of a network read, of which there are few; one of them
// is that of the text encoding.
func inputWidths(src weights.Source) []int {
	const most, widest = 24, 16384
	var out []int
	for _, name := range src.Names() {
		e, ok := src.Lookup(name)
		if !ok || len(e.Shape) != 2 || e.Shape[1] < 1 || e.Shape[1] > widest || slices.Contains(out, e.Shape[1]) {
			continue
		}
		if out = append(out, e.Shape[1]); len(out) == most {
			break
		}
	}
	slices.Sort(out)
	return out
}

func exerciseVAE(ctx context.Context, v family.Autoencoder, run *Runner, note func(string, error)) {
	const most = 64
	info := v.Info()
	if volume, ok := v.(family.Volumetric); ok {
		_, err := volume.DecodeVolume(ctx, run, tensor.New(1, info.Channels, small), 2, small)
		note("VAE decoder", err)
		return
	}
	if splats, ok := v.(family.Splatter); ok {
		_, err := splats.DecodeSplats(ctx, run, tensor.New(1, small, info.Channels), small*splats.PerPoint(), 2, torchrand.New(0))
		note("VAE decoder", err)
		return
	}
	if ran := exerciseCells(ctx, v, run, note); ran {
		return
	}
	if info.Channels > 4*most || info.Downscale > most {
		return
	}
	z, x := tensor.New(1, info.Channels, small, small), tensor.New(1, info.PixelChannels(), small*info.Downscale, small*info.Downscale)
	switch {
	case info.Audio != nil:
		z, x = tensor.New(1, info.Channels, small), tensor.New(1, info.Audio.Channels, small*info.Audio.Hop)
	case info.Video:
		z = tensor.New(1, info.Channels, 1, small, small)
	}
	if info.CanDecode {
		_, err := v.Decode(ctx, run, z)
		note("VAE decoder", err)
	}
	if info.CanEncode {
		_, err := v.Encode(ctx, run, x)
		note("VAE encoder", err)
	}
}

// exerciseCells decodes one cell, of which the first part is taken at each level; false for VAEs that decode no cells.
func exerciseCells(ctx context.Context, v family.Autoencoder, run *Runner, note func(string, error)) bool {
	first := func(width int) family.Cells {
		c := family.Cells{At: []int32{0, 0, 0}, Values: tensor.New(1, width)}
		c.Values.Data[0] = 1
		return c
	}
	const parts = 8
	divided := func(n int) []family.Cells { return slices.Repeat([]family.Cells{first(parts)}, n) }
	switch v := v.(type) {
	case family.Shaper:
		_, _, err := v.DecodeShape(ctx, run, first(v.Info().Channels), divided(v.Divisions()), small)
		note("VAE decoder", err)
		if n := v.StructureChannels(); n > 0 {
			_, err = v.DecodeStructure(ctx, run, tensor.New(1, n, small, small, small))
			note("structure decoder", err)
		}
	case family.Painter:
		_, err := v.DecodeTexture(ctx, run, first(v.Info().Channels), divided(v.Divisions()))
		note("VAE decoder", err)
	default:
		return false
	}
	return true
}

func exerciseText(ctx context.Context, e family.TextEncoder, run *Runner, note func(string, error)) {
	tokens, err := e.Tokenize("", family.TokenizeOptions{})
	if err != nil {
		note("text encoder", err)
		return
	}
	for _, o := range []family.EncodeOptions{{}, {Layer: -2}, {Layer: -2, RawHidden: true}} {
		_, err = e.Encode(ctx, run, tokens, o)
		note("text encoder", err)
	}
}
