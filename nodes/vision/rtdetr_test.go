package vision_test

import (
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/vision"
	"comfygo/tests/nodetest"
)

// TestRTDETRDetect runs the class as ComfyUI's ran: boxes of images of other proportions, of one class, none, and counted from the end. Boxes are right to
// 1e-5 of the image's sides, scores to 1e-5.
func TestRTDETRDetect(t *testing.T) {
	t.Parallel()
	ctx := place(t, "diffusion_models", "rtdetr", "small", nil)
	load := func(name string) *engine.Model {
		path, ok := ctx.Folders.Find("diffusion_models", name)
		if !ok {
			t.Fatal("there is no model")
		}
		m, err := runtime.LoadModel(path, dtype.Invalid)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := load("small.safetensors")
	raw, err := os.ReadFile("testdata/rtdetr.json")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := pyjson.UnmarshalObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		shape []int
		n     vision.RTDETRDetect
	}{
		"photo":        {[]int{2, 30, 47, 3}, vision.RTDETRDetect{Threshold: 0.9, ClassName: "all", MaxDetections: 12}},
		"one class":    {[]int{1, 9, 5, 3}, vision.RTDETRDetect{Threshold: 0.1, ClassName: "cat", MaxDetections: 9}},
		"from the end": {[]int{1, 9, 5, 3}, vision.RTDETRDetect{Threshold: 0.5, ClassName: "all", MaxDetections: -297}},
		"pixel":        {[]int{1, 1, 1, 3}, vision.RTDETRDetect{Threshold: 0.5, ClassName: "all", MaxDetections: 4}},
		"nothing":      {[]int{1, 4, 4, 3}, vision.RTDETRDetect{Threshold: 1.5, ClassName: "all", MaxDetections: 9}},
	} {
		c.n.Model, c.n.Image = m, image("rtdetr", name, c.shape...)
		want, _ := recorded.Get(name)
		compareBoxes(t, name, nodetest.Run(t, ctx, &c.n)[0], want, 1e-5*float64(max(c.shape[1], c.shape[2])))
	}
	checkThreshold(t, ctx, m)
	if _, err := load("overflow.safetensors").Detect(t.Context(), image("rtdetr", "photo", 1, 30, 47, 3), func(int) {}); err == nil || !strings.Contains(err.Error(), "not finite numbers") {
		t.Errorf("objects of values that are too large: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := m.Detect(stopped, image("rtdetr", "photo", 1, 30, 47, 3), func(int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped run: %v", err)
	}
	nan := tensor.New(1, 4, 4, 3)
	nan.Data[13] = float32(math.NaN())
	for want, n := range map[string]nodes.Node{
		"load a model of RT-DETR": &vision.RTDETRDetect{Image: nan},
		"column 0 of row 1":       &vision.RTDETRDetect{Model: m, Image: nan},
		"not an image batch":      &vision.RTDETRDetect{Model: m, Image: tensor.New(0, 4, 4, 3)},
		"and three channels":      &vision.RTDETRDetect{Model: m, Image: tensor.New(1, 4, 4, 1)},
		"at least one pixel":      &vision.RTDETRDetect{Model: m},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
	if _, err := m.Segmenter(); err == nil || !strings.Contains(err.Error(), "RT-DETR v4") {
		t.Errorf("segmenting: %v", err)
	}
}

// checkThreshold runs with a threshold that is the best score when it is rounded to float32, in which torch compares: no object is above it.
func checkThreshold(t *testing.T, ctx *nodes.Context, m *engine.Model) {
	t.Helper()
	n := vision.RTDETRDetect{Model: m, Image: image("rtdetr", "photo", 1, 30, 47, 3), ClassName: "all", MaxDetections: 1}
	best, _ := nodetest.Run(t, ctx, &n)[0].([]any)[0].([]any)[0].(*pyjson.Object).Get("score")
	n.Threshold = best.(float64) - 1e-12
	if found := nodetest.Run(t, ctx, &n)[0].([]any)[0].([]any); len(found) != 0 {
		t.Errorf("%d objects above the best score", len(found))
	}
}

// compareBoxes compares lists of boxes of images with recorded ones; numbers may differ by a tolerance.
func compareBoxes(t *testing.T, name string, got, want any, tolerance float64) {
	t.Helper()
	a, b := got.([]any), want.([]any)
	if len(a) != len(b) {
		t.Errorf("%s: lists of %d images, want %d", name, len(a), len(b))
		return
	}
	for i := range a {
		x, y := a[i].([]any), b[i].([]any)
		if len(x) != len(y) {
			t.Errorf("%s: image %d has %d boxes, want %d", name, i, len(x), len(y))
			continue
		}
		for k := range x {
			p, q := x[k].(*pyjson.Object), y[k].(*pyjson.Object)
			if p.String("label") != q.String("label") || len(p.Keys()) != len(q.Keys()) {
				t.Errorf("%s: box %d is %s, want %s", name, k, pyjson.Repr(p), pyjson.Repr(q))
			}
			for _, key := range []string{"x", "y", "width", "height", "score"} {
				v, _ := p.Get(key)
				w, _ := q.Get(key)
				if d := v.(float64) - w.(float64); !(math.Abs(d) <= tolerance) {
					t.Errorf("%s: %s of box %d is %v, want %v", name, key, k, v, w)
				}
			}
		}
	}
}
