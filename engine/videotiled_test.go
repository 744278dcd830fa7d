package engine

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// placesVAE stands in for a VAE of videos, with two pixels a cell and four frames a latent frame after the first one: it repeats values, and adds
// its place in the tile to each.
type placesVAE struct{}

func (placesVAE) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: 3, Downscale: 2, CanEncode: true, CanDecode: true, Video: true, Pace: 4,
		Frames: func(n int) int { return max(4*n-3, 0) }, Output: func(f float32) float32 { return f },
	}
}

func place(f, y, x int) float32 {
	return float32(f)*0.01 + float32(y)*0.002 + float32(x)*0.0003
}

func (placesVAE) Decode(_ context.Context, _ family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	out := tensor.New(z.Dim(2)*4-3, 3, z.Dim(3)*2, z.Dim(4)*2)
	i := 0
	for f := range out.Dim(0) {
		for c := range 3 {
			for y := range out.Dim(2) {
				for x := range out.Dim(3) {
					out.Data[i] = z.Data[((c*z.Dim(2)+(f+3)/4)*z.Dim(3)+y/2)*z.Dim(4)+x/2] + place(f, y, x)
					i++
				}
			}
		}
	}
	return out, nil
}

func (placesVAE) Encode(_ context.Context, _ family.Runner, p *tensor.Tensor) (*tensor.Tensor, error) {
	out := tensor.New(1, 3, (p.Dim(0)+3)/4, p.Dim(2)/2, p.Dim(3)/2)
	i := 0
	for c := range 3 {
		for f := range out.Dim(2) {
			for y := range out.Dim(3) {
				for x := range out.Dim(4) {
					out.Data[i] = p.Data[((4*f*3+c)*p.Dim(2)+2*y)*p.Dim(3)+2*x] + place(f, y, x)
					i++
				}
			}
		}
	}
	return out, nil
}

func (placesVAE) DecodeMemory([]int) int64  { return 0 }
func (placesVAE) EncodeMemory([]int) int64  { return 0 }
func (placesVAE) Weights() []weights.Source { return nil }

// streamedPlaces gives its frames one by one.
type streamedPlaces struct{ placesVAE }

func (s streamedPlaces) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(*tensor.Tensor) error) error {
	y, err := s.Decode(ctx, run, z)
	if err != nil {
		return err
	}
	for i := range y.Dim(0) {
		family.Advance(ctx, i+1, y.Dim(0))
		if err := emit(y.Slice(i, i+1)); err != nil {
			return err
		}
	}
	return nil
}

// TestTiledVideosEqualUpstream compares tiled passes over videos with those of testdata/tiled.py. Sums of weights are taken in another order,
// which moves results by some units in the last place.
func TestTiledVideosEqualUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/tiled.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Op                   string
		Inner                bool
		Shape, Tile, Overlap []int
		Values               []float32
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	rt := New(Config{})
	defer rt.Close()
	for _, net := range []family.Autoencoder{placesVAE{}, streamedPlaces{}} {
		for i, c := range cases {
			v := rt.newVAE(net)
			v.info.InnerRamps = c.Inner
			x := tensor.New(c.Shape...)
			for k := range x.Data {
				x.Data[k] = float32(math.Sin(float64(k) * 0.37))
			}
			last := -1.0
			ctx := WithProgress(t.Context(), func(done, all int) {
				if at := float64(done) / float64(all); at < last || at > 1 {
					t.Errorf("case %d: progress goes from %v to %v", i, last, at)
				} else {
					last = at
				}
			})
			tiles := Tiles{Frames: c.Tile[0], Height: c.Tile[1], Width: c.Tile[2], FrameOverlap: c.Overlap[0], Overlap: c.Overlap[1]}
			var got *tensor.Tensor
			if c.Op == "decode" {
				got, err = v.DecodeTiled(ctx, x, tiles)
			} else {
				got, err = v.encodeVideoTiled(ctx, images(x), tiles)
			}
			if err != nil {
				t.Errorf("case %d: %v", i, err)
				continue
			}
			if want := (got.Len() + 6) / 7; len(c.Values) != want {
				t.Errorf("case %d: %d values, want %d", i, len(c.Values), want)
				continue
			}
			for k, want := range c.Values {
				if d := math.Abs(float64(got.Data[7*k] - want)); d > 1e-6 {
					t.Errorf("case %d: value %d is %v, want %v", i, 7*k, got.Data[7*k], want)
					break
				}
			}
			if c.Op == "decode" && last != 1 {
				t.Errorf("case %d: progress ends at %v", i, last)
			}
		}
	}
}

// images are the frames [T,C,H,W] of a video [1,C,T,H,W].
func images(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(x.Dim(2), x.Dim(1), x.Dim(3), x.Dim(4))
	size := x.Dim(3) * x.Dim(4)
	for f := range x.Dim(2) {
		for c := range x.Dim(1) {
			copy(out.Data[(f*x.Dim(1)+c)*size:][:size], x.Data[(c*x.Dim(2)+f)*size:][:size])
		}
	}
	return out
}

func TestWrongTiles(t *testing.T) {
	t.Parallel()
	rt := New(Config{})
	defer rt.Close()
	v := rt.newVAE(placesVAE{})
	for name, tiles := range map[string]Tiles{
		"overlap of rows":   {Width: 4, Height: 2, Overlap: 2},
		"overlap of frames": {Width: 4, Height: 4, Overlap: 2, Frames: 1, FrameOverlap: 1},
		"negative":          {Width: 4, Height: 4, Overlap: -1},
	} {
		if _, err := v.DecodeTiled(t.Context(), tensor.New(1, 3, 3, 6, 6), tiles); err == nil || !strings.Contains(err.Error(), "overlap") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := v.DecodeTiled(t.Context(), tensor.New(1, 4, 3, 6, 6), Tiles{Width: 4, Height: 4}); err == nil {
		t.Error("channels of another VAE: no error")
	}
	whole, err := v.DecodeTiled(t.Context(), tensor.New(1, 3, 2, 2, 2), Tiles{Width: 4, Height: 4})
	if err != nil || !slices.Equal(whole.Shape, []int{5, 4, 4, 3}) {
		t.Errorf("%v, %v", whole, err)
	}
}

// TestEncodesSeveralVideos encodes the rows of a batch of videos one by one.
func TestEncodesSeveralVideos(t *testing.T) {
	t.Parallel()
	rt := New(Config{})
	defer rt.Close()
	v := rt.newVAE(placesVAE{})
	pixels := tensor.New(2, 5, 4, 6, 3)
	for i := range pixels.Data {
		pixels.Data[i] = float32(math.Sin(float64(i)))
	}
	tiles := Tiles{Width: 4, Height: 4, Overlap: 2}
	for name, encode := range map[string]func(p *tensor.Tensor) (*tensor.Tensor, error){
		"whole": func(p *tensor.Tensor) (*tensor.Tensor, error) { return v.Encode(t.Context(), p) },
		"tiled": func(p *tensor.Tensor) (*tensor.Tensor, error) { return v.EncodeTiled(t.Context(), p, tiles) },
	} {
		all, err := encode(pixels)
		if err != nil || !slices.Equal(all.Shape, []int{2, 3, 2, 2, 3}) {
			t.Fatalf("%s: %v, %v", name, all, err)
		}
		for b := range 2 {
			one, err := encode(pixels.Index(b))
			if err != nil || !slices.Equal(one.Data, all.Index(b).Data) {
				t.Errorf("%s: video %d differs from itself alone (%v)", name, b, err)
			}
		}
		if z, err := encode(tensor.New(0, 5, 4, 6, 3)); err == nil || !strings.Contains(err.Error(), "no pixels") {
			t.Errorf("%s: no videos: %v, %v", name, z, err)
		}
	}
}
