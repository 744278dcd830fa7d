package conditioning_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes/conditioning"
	"comfygo/tests/nodecalls"
)

// TestViewpoint holds the values that the network reads of a camera position, those of upstream's formula in float32.
func TestViewpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		elevation, azimuth float32
		want               [4]float64
	}{
		{0, 0, [4]float64{0, 0, 1, math.Pi / 2}},
		{30, 90, [4]float64{-math.Pi / 6, 1, 0, math.Pi / 2}},
		{-45, -180, [4]float64{math.Pi / 4, 0, -1, math.Pi / 2}},
	} {
		got := conditioning.Viewpoint(c.elevation, c.azimuth)
		for i, v := range got {
			if len(got) != len(c.want) || math.Abs(float64(v)-c.want[i]) > 2e-7 {
				t.Errorf("elevation %v, azimuth %v: %v, want %v", c.elevation, c.azimuth, got, c.want)
				break
			}
		}
	}
}

// TestOrbit: the last frame is at the start again; a lone frame is there, too.
func TestOrbit(t *testing.T) {
	t.Parallel()
	e, a := conditioning.Orbit(21, 15)
	if len(e) != 21 || len(a) != 21 || e[20] != 15 || a[0] != 0 || a[1] != 18 || math.Abs(a[20]-360) > 1e-9 {
		t.Errorf("elevations %v, azimuths %v", e, a)
	}
	if _, a = conditioning.Orbit(1, 0); len(a) != 1 || a[0] != 0 {
		t.Errorf("azimuths of one frame: %v", a)
	}
}

// TestStartsWithoutModels: what is missing is said.
func TestStartsWithoutModels(t *testing.T) {
	t.Parallel()
	image := tensor.New(1, 16, 16, 3)
	for _, class := range []string{"SVD_img2vid_Conditioning", "SV3D_Conditioning", "StableZero123_Conditioning", "StableZero123_Conditioning_Batched"} {
		for want, values := range map[string]*pyjson.Object{
			"clip_vision is None": pyjson.NewObject("init_image", image, "vae", &engine.VAE{}),
			"there is no VAE":     pyjson.NewObject("init_image", image, "clip_vision", &engine.ImageEncoder{}),
			"init_image":          pyjson.NewObject("init_image", tensor.New(1, 16, 16, 1), "clip_vision", &engine.ImageEncoder{}, "vae", &engine.VAE{}),
		} {
			_, err := nodecalls.CallIn(t, nil, class, values)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", class, err, want)
			}
		}
	}
}

// TestCascadeEncodersWithoutInputs: what is missing or too small is said.
func TestCascadeEncodersWithoutInputs(t *testing.T) {
	t.Parallel()
	image := tensor.New(1, 16, 16, 3)
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"StableCascade_StageC_VAEEncode", pyjson.NewObject("image", image), "there is no VAE"},
		{"StableCascade_StageC_VAEEncode", pyjson.NewObject("image", tensor.New(0, 16, 16, 3), "vae", &engine.VAE{}), "not an image"},
		{"StableCascade_StageC_VAEEncode", pyjson.NewObject("image", image, "vae", &engine.VAE{}, "compression", 0), "compression"},
		{"StableCascade_StageC_VAEEncode", pyjson.NewObject("image", image, "vae", &engine.VAE{}, "compression", 42), "less than a compression of 42"},
		{"StableCascade_SuperResolutionControlnet", pyjson.NewObject("image", image), "there is no VAE"},
		{"StableCascade_SuperResolutionControlnet", pyjson.NewObject("image", tensor.New(1, 16, 16, 1), "vae", &engine.VAE{}), "not an image"},
	} {
		if _, err := nodecalls.CallIn(t, nil, c.class, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}
