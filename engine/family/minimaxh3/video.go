package minimaxh3

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(videoKind{}) }

// videoKind registers the VAE of videos.
type videoKind struct{}

// Name implements family.Family.
func (videoKind) Name() string { return "MiniMax H3 VAE" }

// Rank implements family.Family: its encoder's layers are named like those of VAEs of images, which are asked later.
func (videoKind) Rank() int { return 2 }

const (
	rgb = 3
	// side is the number of pixels of a latent cell along one side, pace the number of frames that a latent frame is decoded to.
	side = 16
	pace = 4
	// clip is the number of frames that are encoded together, which give clipTokens latent frames; dropped is the number of latent frames at the
	// end that are left out. Decoding reads overlap latent frames beyond a clip, of whose frames the first lead are not used.
	clip       = 17
	clipTokens = 5
	dropped    = 3
	overlap    = 2
	lead       = 3
	// tile is the side in pixels of the parts of a frame that are computed on their own, least the least number of pixels that they share.
	tile  = 256
	least = 64
	// smallestSide is the least side of images in pixels: the last layers mirror two cells.
	smallestSide = 2 * side
	// headWidth is the width of an attention head of the decoder.
	headWidth = 64
)

// The colours that the VAE is normalised by, those of ImageNet.
var (
	colourMean      = [rgb]float32{0.485, 0.456, 0.406}
	colourDeviation = [rgb]float32{0.229, 0.224, 0.225}
)

// videoVAE is a VAE that was read from a file: a causal convolutional encoder and a transformer as decoder.
type videoVAE struct {
	src weights.Source
	// levels are the numbers of residual blocks of the encoder's levels.
	levels []int
	// width is the width of the decoder's tokens, layers the number of its blocks, registers of its further tokens.
	width, layers, registers, inner int
	mean, deviation                 []float32

	activations family.Activations
}

var _ family.Streamed = (*videoVAE)(nil)

// Read implements family.VAE. Upstream: sd.py VAE.
func (videoKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.transformer_blocks.0.scale1") || !s.Has("encoder.down.5.block.0.conv1.weight") {
		return nil, nil
	}
	v := &videoVAE{src: src, layers: s.Count("decoder.transformer_blocks")}
	for i := range s.Count("encoder.down") {
		v.levels = append(v.levels, s.At("encoder", "down").Index(i).Count("block"))
	}
	in, registers, ff := s.Shape("decoder.x_embedder.weight"), s.Shape("decoder.register_tokens"), s.Shape("decoder.transformer_blocks.0.ff.w2.weight")
	out, z := s.Shape("decoder.proj_out.weight"), s.Shape("post_quant_conv.weight")
	if len(in) != 2 || len(registers) != 3 || len(ff) != 2 || len(out) != 2 || len(z) != 5 || in[0] < 1 || in[0]%headWidth != 0 || registers[0] != 1 || registers[2] != in[0] || out[0] != rgb*pace*side*side || len(v.levels) != len(spaceStrides) {
		return nil, fmt.Errorf("reading the shape of the VAE: %d levels, decoder.x_embedder.weight is %v, register_tokens %v, ff.w2.weight %v, proj_out.weight %v, post_quant_conv.weight %v: wanted %d levels, heads of %d values, registers as wide as tokens and patches of %dx%dx%d pixels", len(v.levels), in, registers, ff, out, z, len(spaceStrides), headWidth, pace, side, side)
	}
	if z[1] != videoChannels {
		return nil, fmt.Errorf("it decodes latents of %d channels, the VAE of MiniMax H3 has %d", z[1], videoChannels)
	}
	v.width, v.registers, v.inner = in[0], registers[1], ff[1]
	var err error
	if v.mean, err = channelValues(src, "latents_mean", videoMean[:]); err != nil {
		return nil, err
	}
	v.deviation, err = channelValues(src, "latents_std", videoDeviation[:])
	return v, err
}

// channelValues reads a value a channel; plain is for files without them, nil if they cannot be left out.
func channelValues(src weights.Source, name string, plain []float32) ([]float32, error) {
	e, ok := src.Lookup(name)
	if !ok && plain != nil {
		return plain, nil
	}
	want := audioChannels
	if plain != nil {
		want = len(plain)
	}
	if !ok || e.Count() != want {
		return nil, fmt.Errorf("reading %s: it is missing or has not %d values", name, want)
	}
	if e.Described() {
		return make([]float32, want), nil // a list of names and shapes
	}
	values, err := weights.Float32s(e)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if v-v != 0 {
			return nil, fmt.Errorf("reading %s: it holds %v: the file is damaged", name, v)
		}
	}
	return values, nil
}

// Info implements family.Autoencoder.
func (v *videoVAE) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: videoChannels, Downscale: side, CanEncode: true, CanDecode: true, Video: true, Pace: pace, Untiled: true, Frames: decodedFrames,
		Output: func(x float32) float32 { return x },
	}
}

// Weights implements family.Autoencoder.
func (v *videoVAE) Weights() []weights.Source { return []weights.Source{v.src} }

// clips is the number of clips that n latent frames are decoded in, and the number of times that the last one is repeated for them. Upstream:
// _decode_temporal_chunks.
func clips(n int) (count, repeated int) {
	repeated = (clipTokens - (n+dropped)%clipTokens) % clipTokens
	count = (n+dropped+repeated)/clipTokens - 1
	if count < 1 {
		repeated += clipTokens
		count++
	}
	return count, repeated
}

// decodedFrames is the number of decoded frames of n latent frames. Upstream: decode_output_shape.
func decodedFrames(n int) int {
	if n <= 1 {
		return max(n, 0)
	}
	count, repeated := clips(n)
	total := count*(clipTokens*pace-lead) + overlap*pace - lead
	for k := range repeated {
		if (n+k)%clipTokens == 0 {
			total -= clip % pace
		} else {
			total -= pace
		}
	}
	return total
}

// spans are where the tiles of n pixels begin, and the numbers of pixels that each shares with the next one. Upstream: split_tiles.
func spans(n int) (from, shared []int) {
	if n <= tile {
		return []int{0}, nil
	}
	count := (n + tile - 1) / tile
	for count*tile-(count-1)*least < n {
		count++
	}
	for range count - 1 {
		shared = append(shared, least)
	}
	for i := range (count*tile - (count-1)*least - n) / side {
		shared[i%(count-1)] += side
	}
	from = []int{0}
	for i, s := range shared {
		from = append(from, from[i]+tile-s)
	}
	return from, shared
}

// blendRows mixes the last n rows of a into the first n of b [·,H,W], with a share of b that rises from 0.
func blendRows(a, b *tensor.Tensor, n int) {
	h, w := b.Dim(-2), b.Dim(-1)
	n = min(n, a.Dim(-2), h)
	for plane := range b.Len() / (h * w) {
		for i := range n {
			share := float32(i) / float32(n)
			from, to := a.Data[(plane*a.Dim(-2)+a.Dim(-2)-n+i)*w:][:w], b.Data[(plane*h+i)*w:][:w]
			for k := range to {
				to[k] = float32(from[k]*(1-share)) + float32(to[k]*share)
			}
		}
	}
}

// blendColumns is blendRows for columns.
func blendColumns(a, b *tensor.Tensor, n int) {
	wide, w := a.Dim(-1), b.Dim(-1)
	n = min(n, wide, w)
	for line := range b.Len() / w {
		from, to := a.Data[line*wide+wide-n:][:n], b.Data[line*w:][:n]
		for i := range n {
			share := float32(i) / float32(n)
			to[i] = float32(from[i]*(1-share)) + float32(to[i]*share)
		}
	}
}

// crop returns rows and columns of the planes of x [·,H,W].
func crop(x *tensor.Tensor, top, bottom, left, right int) *tensor.Tensor {
	h, w := x.Dim(-2), x.Dim(-1)
	shape := slices.Clone(x.Shape)
	shape[len(shape)-2], shape[len(shape)-1] = bottom-top, right-left
	out := tensor.New(shape...)
	for plane := range x.Len() / (h * w) {
		for y := top; y < bottom; y++ {
			copy(out.Data[(plane*(bottom-top)+y-top)*(right-left):][:right-left], x.Data[(plane*h+y)*w+left:])
		}
	}
	return out
}

// paste puts y at a place of the planes of x.
func paste(x, y *tensor.Tensor, top, left int) {
	h, w := x.Dim(-2), x.Dim(-1)
	for plane := range y.Len() / (y.Dim(-2) * y.Dim(-1)) {
		for r := range y.Dim(-2) {
			copy(x.Data[(plane*h+top+r)*w+left:], y.Data[(plane*y.Dim(-2)+r)*y.Dim(-1):][:y.Dim(-1)])
		}
	}
}

// tiled applies f to the tiles of x [·,H,W], whose sides are counted in units of from pixels, and joins the results, whose sides are counted in units of
// to pixels. Upstream: tiled_encode, tiled_decode.
func tiled(ctx context.Context, x *tensor.Tensor, from, to int, f func(x *tensor.Tensor) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	height, width := x.Dim(-2)*from, x.Dim(-1)*from
	rows, rowShared := spans(height)
	cols, colShared := spans(width)
	shared := func(list []int, i int) int {
		if i < 0 || i >= len(list) {
			return 0
		}
		return list[i] / to
	}
	var out *tensor.Tensor
	above := make([]*tensor.Tensor, len(cols)) // the last rows of the tiles above, before blending
	for i, y := range rows {
		var left *tensor.Tensor // the last columns of the tile to the left, before blending
		for j, at := range cols {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			part := x
			if len(rows) > 1 || len(cols) > 1 {
				part = crop(x, y/from, min(y+tile, height)/from, at/from, min(at+tile, width)/from)
			}
			z, err := f(part)
			if err != nil {
				return nil, err
			}
			h, w := z.Dim(-2), z.Dim(-1)
			below, right := shared(rowShared, i), shared(colShared, j)
			nextAbove, nextLeft := crop(z, h-below, h, 0, w), crop(z, 0, h, w-right, w)
			if i > 0 {
				blendRows(above[j], z, shared(rowShared, i-1))
			}
			if j > 0 {
				blendColumns(left, z, shared(colShared, j-1))
			}
			above[j], left = nextAbove, nextLeft
			if out == nil {
				out = tensor.New(append(slices.Clone(z.Shape[:len(z.Shape)-2]), height/to, width/to)...)
			}
			paste(out, crop(z, 0, h-below, 0, w-right), y/to, at/to)
		}
	}
	return out, nil
}

// Encode implements family.Autoencoder. Upstream: MiniMaxH3VideoVAE.encode, encode_temporal.
func (v *videoVAE) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if len(x.Shape) != 4 || x.Dim(1) != rgb || x.Dim(0) < 1 || x.Dim(2)%side != 0 || x.Dim(3)%side != 0 || min(x.Dim(2), x.Dim(3)) < smallestSide {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE of MiniMax H3 reads three channels and sides that %d divides, of %d pixels or more", x.Shape, side, smallestSide)
	}
	if err := run.Check("encoding the video", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	n := x.Dim(0)
	length, count := clip, (n+clip-1)/clip
	if n == 1 {
		length = 1
	}
	var parts []*tensor.Tensor
	for i := range count {
		part := v.frames(x, i*length, length)
		z, err := tiled(ctx, part, 1, side, func(x *tensor.Tensor) (*tensor.Tensor, error) {
			y, err := run.Run(ctx, v.encoder(), []family.Value{family.Floats("x", x)}, "z")
			return y["z"], err
		})
		if err != nil {
			return nil, err
		}
		parts = append(parts, z)
		family.Advance(ctx, i+1, count)
	}
	total := 0
	for _, p := range parts {
		total += p.Dim(2)
	}
	if n > 1 {
		total -= dropped
	}
	size := parts[0].Dim(3) * parts[0].Dim(4)
	z := tensor.New(1, videoChannels, total, parts[0].Dim(3), parts[0].Dim(4))
	for c := range videoChannels {
		to := z.Data[c*total*size : (c+1)*total*size]
		for _, p := range parts {
			to = to[copy(to, p.Data[c*p.Dim(2)*size:(c+1)*p.Dim(2)*size]):]
		}
	}
	for i, value := range z.Data {
		c := i / (total * size)
		z.Data[i] = (value - v.mean[c]) / v.deviation[c]
	}
	return z, nil
}

// frames are n normalised frames of x [T,3,H,W] as [1,3,n,H,W]; the last one stands for those beyond.
func (v *videoVAE) frames(x *tensor.Tensor, from, n int) *tensor.Tensor {
	size := x.Dim(2) * x.Dim(3)
	out := tensor.New(1, rgb, n, x.Dim(2), x.Dim(3))
	for c := range rgb {
		for f := range n {
			src := x.Data[(min(from+f, x.Dim(0)-1)*rgb+c)*size:][:size]
			dst := out.Data[(c*n+f)*size:][:size]
			for i, p := range src {
				dst[i] = (float32((p+1)*0.5) - colourMean[c]) / colourDeviation[c]
			}
		}
	}
	return out
}

// Decode implements family.Autoencoder.
func (v *videoVAE) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return family.Collect(ctx, run, v, z)
}

// DecodeStream implements family.Streamed. Upstream: MiniMaxH3VideoVAE.decode, decode_temporal.
func (v *videoVAE) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != videoChannels || z.Len() == 0 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE of MiniMax H3 reads videos of %d channels", z.Shape, videoChannels)
	}
	if err := run.Check("decoding the video", v.DecodeMemory(z.Shape)); err != nil {
		return err
	}
	z = z.Clone()
	for i, value := range z.Data {
		c := i / tensor.Count(z.Shape[2:])
		z.Data[i] = float32(value*v.deviation[c]) + v.mean[c]
	}
	n := z.Dim(2)
	if n == 1 {
		y, err := v.pixels(ctx, run, z)
		if err != nil {
			return err
		}
		return emit(finished(y, pace-1, pace))
	}
	count, _ := clips(n)
	left := decodedFrames(n)
	write := func(y *tensor.Tensor, from, to int) error {
		to = min(to, from+left)
		left -= max(to-from, 0)
		if to <= from {
			return nil
		}
		return emit(finished(y, from, to))
	}
	var before *tensor.Tensor
	for i := range count {
		y, err := v.pixels(ctx, run, latentFrames(z, i*clipTokens, clipTokens+overlap))
		if err != nil {
			return err
		}
		if before != nil {
			blendFrames(before, y, overlap*pace-lead)
		}
		if err := write(y, lead, clipTokens*pace); err != nil {
			return err
		}
		before = y
		family.Advance(ctx, i+1, count)
	}
	return write(before, clipTokens*pace+lead, before.Dim(2))
}

// latentFrames are n frames of z [1,C,T,h,w] from a frame on; the last one stands for those beyond.
func latentFrames(z *tensor.Tensor, from, n int) *tensor.Tensor {
	size := z.Dim(3) * z.Dim(4)
	out := tensor.New(1, z.Dim(1), n, z.Dim(3), z.Dim(4))
	for c := range z.Dim(1) {
		for f := range n {
			copy(out.Data[(c*n+f)*size:][:size], z.Data[(c*z.Dim(2)+min(from+f, z.Dim(2)-1))*size:])
		}
	}
	return out
}

// blendFrames mixes the last n frames of a clip a [1,3,T,H,W] into the first ones of the clip b that are used.
func blendFrames(a, b *tensor.Tensor, n int) {
	size := b.Dim(3) * b.Dim(4)
	for c := range rgb {
		for i := range n {
			share := float32(i) / float32(n)
			from, to := a.Data[(c*a.Dim(2)+a.Dim(2)-n+i)*size:][:size], b.Data[(c*b.Dim(2)+lead+i)*size:][:size]
			for k := range to {
				to[k] = float32(from[k]*(1-share)) + float32(to[k]*share)
			}
		}
	}
}

// finished are frames from … to-1 of y [1,3,T,H,W] as images [n,3,H,W] in 0…1.
func finished(y *tensor.Tensor, from, to int) *tensor.Tensor {
	size := y.Dim(3) * y.Dim(4)
	out := tensor.New(to-from, rgb, y.Dim(3), y.Dim(4))
	for c := range rgb {
		for f := from; f < to; f++ {
			src, dst := y.Data[(c*y.Dim(2)+f)*size:][:size], out.Data[((f-from)*rgb+c)*size:][:size]
			for i, p := range src {
				dst[i] = min(max(float32(p*colourDeviation[c])+colourMean[c], 0), 1)
			}
		}
	}
	return out
}

// pixels decodes latent frames [1,C,T,h,w] to [1,3,4·T,H,W].
func (v *videoVAE) pixels(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return tiled(ctx, z, side, 1, func(z *tensor.Tensor) (*tensor.Tensor, error) {
		t, h, w := z.Dim(2), z.Dim(3), z.Dim(4)
		cos, sin := decoderAngles(t, h, w, 1+v.registers)
		y, err := run.Run(ctx, v.decoder(), []family.Value{family.Floats("z", z), family.Floats("cos", cos), family.Floats("sin", sin)}, "out")
		if err != nil {
			return nil, err
		}
		return unfolded(y["out"], t, h, w), nil
	})
}

// decoderAngles are the cosines and sines [1,T·h·w+suffix,D/2] of the tokens' positions, which go from -1 to 1 on each axis; further tokens do not turn.
// Upstream: create_token_ids, RotaryEmbeddingND.
func decoderAngles(t, h, w, suffix int) (cos, sin *tensor.Tensor) {
	const (
		base  = 100
		turns = headWidth * 3 / 4 / 2 / axes
	)
	var frequencies [turns]float32
	for i := range frequencies {
		frequencies[i] = float32(1 / math.Pow(base, float64(i)/turns))
	}
	place := func(i, n int) float32 { return 2*((float32(i)+0.5)/float32(n)) - 1 }
	n := t*h*w + suffix
	cos, sin = tensor.New(1, n, axes*turns), tensor.New(1, n, axes*turns)
	for i := range n {
		var at [axes]float32
		if i < t*h*w {
			at = [axes]float32{place(i/(h*w), t), place(i/w%h, h), place(i%w, w)}
		}
		for a, p := range at {
			for k, f := range frequencies {
				angle := float64(float32(float32(float32(2*math.Pi)*p) * f))
				to := (i*axes+a)*turns + k
				cos.Data[to], sin.Data[to] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
		}
	}
	return cos, sin
}

// unfolded turns patches [1,T·h·w,3·4·16·16] into frames [1,3,4·T,16·h,16·w].
func unfolded(x *tensor.Tensor, t, h, w int) *tensor.Tensor {
	out := tensor.New(1, rgb, t*pace, h*side, w*side)
	values := x.Dim(2)
	for i := range t * h * w {
		f, r, c := i/(h*w), i/w%h, i%w
		patch := x.Data[i*values : (i+1)*values]
		for k := range rgb * pace * side {
			colour, frame, line := k/(pace*side), k/side%pace, k%side
			copy(out.Data[((colour*t*pace+f*pace+frame)*h*side+r*side+line)*w*side+c*side:][:side], patch[k*side:])
		}
	}
	return out
}

// DecodeMemory implements family.Autoencoder: of one tile of one clip, beside the clip on the host.
func (v *videoVAE) DecodeMemory(latent []int) int64 {
	n := 1
	if latent[2] > 1 {
		n = clipTokens + overlap
	}
	most := tile / side
	return v.activations.Of(v.decoder(), map[string]int{"T": n, "h": min(latent[3], most), "w": min(latent[4], most)})
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *videoVAE) EncodeMemory(pixels []int) int64 {
	n := 1
	if pixels[0] > 1 {
		n = clip
	}
	return v.activations.Of(v.encoder(), map[string]int{"T": (n + pace - 1) / pace, "h": max(min(pixels[2], tile)/side, 1), "w": max(min(pixels[3], tile)/side, 1)})
}

func (v *videoVAE) decoder() family.Graph {
	return family.Graph{Part: "vae decoder", Streamed: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax h3 vae decoder", v.src, func(b *nn.Builder, s *weights.Scope) { (&videoWriter{Builder: b, videoVAE: v}).decode(s) })
	}}
}

func (v *videoVAE) encoder() family.Graph {
	return family.Graph{Part: "vae encoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax h3 vae encoder", v.src, func(b *nn.Builder, s *weights.Scope) { (&videoWriter{Builder: b, videoVAE: v}).encode(s) })
	}}
}
