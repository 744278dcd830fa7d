package sam3_test

import (
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	familysam3 "comfygo/engine/family/sam3"
	"comfygo/engine/tensor"
	inner "comfygo/internal/golden"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/sam3"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

const (
	grid                    = 12
	width                   = 64
	imageHeight, imageWidth = 60, 90
)

// runtime is the one of all tests: a process can have one library open. Its SAM 3 looks at small images.
var runtime *engine.Runtime

func TestMain(m *testing.M) {
	small := &family.Registry{}
	small.Register(familysam3.Sized(false, grid))
	small.Register(familysam3.Sized(true, grid))
	os.Exit(nodetest.Main(m, &runtime, small))
}

// model opens a recorded network.
func model(t *testing.T, name string) *engine.Model {
	t.Helper()
	m, err := runtime.LoadModel(nodetest.Save(t, filepath.Join(t.TempDir(), name+".safetensors"), nodetest.Recorded(t, "sam3", name)), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func images(name string, n int) *tensor.Tensor {
	x := golden.Normal("sam3/"+name, n, imageHeight, imageWidth, 4)
	for i, v := range x.Data {
		x.Data[i] = min(max(v*0.3+0.5, 0), 1)
	}
	return x
}

func text(name string, most, count int) family.SegmentText {
	mask := tensor.New(1, count)
	for i := range count - 1 {
		mask.Data[i] = 1
	}
	return family.SegmentText{Hidden: golden.Normal("sam3/"+name, 1, count, width), Mask: mask, Most: most}
}

// described is a conditioning of texts: one as CLIPTextEncode gives it, or several kinds of objects.
func described(list ...family.SegmentText) engine.Conditioning {
	c := engine.Cond{Tokens: list[0].Hidden, Values: map[string]any{"attention_mask": list[0].Mask}}
	if len(list) > 1 {
		c.Values = map[string]any{family.KeySegmentTexts: list}
	}
	return engine.Conditioning{c}
}

func box(x, y, width, height int64) *pyjson.Object {
	return pyjson.NewObject("x", x, "y", y, "width", width, "height", height)
}

// discs are masks of objects.
func discs(n int) *tensor.Tensor {
	if n == 0 {
		return nil
	}
	m := tensor.New(n, 40, 50)
	for i := range m.Data {
		k, y, x := i/2000, i/50%40, i%50
		if dy, dx := y-8-9*k, x-12-11*k; dy*dy+dx*dx < 64 {
			m.Data[i] = 1
		}
	}
	return m
}

// values are those of a recorded tensor.
func values(t *testing.T, stored *inner.Tensors, name string) []float32 {
	t.Helper()
	v, err := stored.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return v.Data
}

// alike compares masks of bits: logits near zero may be on either side of it, for one pixel in 500 at most.
func alike(t *testing.T, name string, got, want []byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d bytes of masks, want %d", name, len(got), len(want))
	}
	differ := 0
	for i := range got {
		differ += bits.OnesCount8(got[i] ^ want[i])
	}
	if most := 8 * len(got) / 500; differ > most {
		t.Errorf("%s: %d of %d pixels differ, at most %d may", name, differ, 8*len(got), most)
	}
}

func bytesOf(list []float32) []byte {
	out := make([]byte, len(list))
	for i, v := range list {
		out[i] = byte(v)
	}
	return out
}

func sameShape(t *testing.T, name string, got []int, want []float32) {
	t.Helper()
	for i, n := range got {
		if len(got) != len(want) || n != int(want[i]) {
			t.Fatalf("%s: shape %v, want %v", name, got, want)
		}
	}
}

// TestDetectEqualsUpstream runs the class as ComfyUI's ran, on small networks. Boxes and scores differ by the order of sums.
func TestDetectEqualsUpstream(t *testing.T) {
	t.Parallel()
	one, other := text("text", 1, 5), func(most int) family.SegmentText { return text("other", most, 4) }
	first := func(most int) family.SegmentText { return text("text", most, 5) }
	calls := map[string]sam3.Detect{
		"points":          {Positive: `[{"x": 30, "y": 20}, {"x": 41.5, "y": 25}]`, Negative: `[{"x": 80, "y": 50}]`, Individual: true, Refine: 2},
		"box":             {Bboxes: box(10, 5, 50, 40), Individual: true, Refine: 3},
		"boxes":           {Bboxes: []any{box(10, 5, 50, 40), box(40, 20, 45, 38)}},
		"boxes of images": {Bboxes: []any{[]any{box(10, 5, 50, 40)}, []any{box(40, 20, 45, 38), box(0, 0, 20, 20)}}, Individual: true, Refine: 1},
		"text":            {Conditioning: described(one), Individual: true, Threshold: 0.4, Refine: 2},
		"texts":           {Conditioning: described(first(3), other(2)), Individual: true, Threshold: 0.4, Refine: 1},
		"examples":        {Conditioning: described(first(2), other(1)), Bboxes: box(10, 5, 50, 40), Threshold: 0.3, Individual: true},
		"all":             {Conditioning: described(first(2), other(3)), Bboxes: box(10, 5, 50, 40), Positive: `[{"x": 30, "y": 20}]`, Threshold: 0.4, Refine: 2},
		"nothing":         {Conditioning: described(one), Threshold: 1, Individual: true, Refine: 2},
	}
	for _, network := range []string{"sam3", "sam31"} {
		stored, err := inner.ReadTensors("testdata/" + network + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		m := model(t, network)
		for name, n := range calls {
			t.Run(network+" "+name, func(t *testing.T) {
				t.Parallel()
				n.Model, n.Image = m, images("node image", 2)
				r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{Engine: runtime}))
				if err != nil {
					t.Fatal(err)
				}
				masks := r.Values[0].(*tensor.Tensor)
				sameShape(t, name, masks.Shape, values(t, stored, "detect "+name+" shape"))
				packed := make([]byte, (len(masks.Data)+7)/8)
				for i, v := range masks.Data {
					if v > 0 {
						packed[i/8] |= 1 << (7 - i%8)
					}
				}
				alike(t, name, packed, bytesOf(values(t, stored, "detect "+name+" masks")))
				var boxes []float32
				for i, list := range r.Values[1].([]any) {
					for _, b := range list.([]any) {
						boxes = append(boxes, float32(i))
						for _, v := range b.(*pyjson.Object).All() {
							boxes = append(boxes, float32(v.(float64)))
						}
					}
				}
				golden.Compare(t, name, boxes, values(t, stored, "detect "+name+" boxes"), golden.Tolerance{RMSRel: 1e-5})
			})
		}
	}
}

// TestTrackEqualsUpstream runs the class as ComfyUI's ran, on a small SAM 3.1. Upstream's class fails for SAM 3.
func TestTrackEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, err := inner.ReadTensors("testdata/sam31.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	m := model(t, "sam31")
	for name, n := range map[string]sam3.VideoTrack{
		"masks":   {InitialMask: discs(2), Threshold: 0.5, Interval: 1},
		"one":     {InitialMask: discs(1), Threshold: 0.5, MaxObjects: 1, Interval: 1},
		"text":    {Conditioning: described(text("text", 1, 5)), Threshold: 0.3, MaxObjects: 3, Interval: 2},
		"texts":   {InitialMask: discs(1), Conditioning: described(text("text", 1, 5), text("other", 1, 4)), Threshold: 0.3, MaxObjects: 4, Interval: 1},
		"nothing": {Conditioning: described(text("text", 1, 5)), Threshold: 1, Interval: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n.Model, n.Images = m, images("node video", 4)
			r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{Engine: runtime}))
			if err != nil {
				t.Fatal(err)
			}
			o := r.Values[0].(*pyjson.Object)
			if size, _ := o.Get("orig_size"); !slices.Equal(size.(pyjson.Tuple), pyjson.Tuple{int64(imageHeight), int64(imageWidth)}) {
				t.Errorf("orig_size is %v", size)
			}
			packed, _ := o.Get("packed_masks")
			scores, _ := o.Get("scores")
			if frames, _ := o.Get("n_frames"); frames != int64(4) {
				t.Errorf("n_frames is %v", frames)
			}
			if name == "nothing" {
				if packed != nil || len(scores.([]any)) != 0 {
					t.Errorf("masks %v and scores %v of no object", packed, scores)
				}
				return
			}
			masks := packed.(*tensor.Tensor)
			sameShape(t, name, masks.Shape, values(t, stored, "track "+name+" shape"))
			const every = 7
			alike(t, name, bytesOf(golden.Strided(masks.Data, every)), bytesOf(values(t, stored, "track "+name+" masks")))
			var found []float32
			for _, s := range scores.([]any) {
				found = append(found, float32(s.(float64)))
			}
			golden.Compare(t, name, found, values(t, stored, "track "+name+" scores"), golden.Tolerance{RMSRel: 1e-4})
		})
	}
}

// TestBounds: more boxes than the network can attend to, and masks that fit no memory, are refused before they take memory.
func TestBounds(t *testing.T) {
	t.Parallel()
	many := make([]any, 5000)
	for i := range many {
		many[i] = box(1, 1, 5, 5)
	}
	m := model(t, "sam31")
	ctx := nodes.TestContext(t.Context(), nodes.Services{Engine: runtime})
	if _, err := (&sam3.Detect{Model: m, Image: images("node image", 1), Bboxes: many}).Run(ctx); err == nil || !strings.Contains(err.Error(), "5000 boxes, want at most 4096") {
		t.Error(err)
	}
	began := time.Now()
	frames := &tensor.Tensor{Shape: []int{1 << 30, 1, 1, 3}, Data: make([]float32, 3)} // a video whose masks take petabytes
	_, err := (&sam3.VideoTrack{Model: m, Images: frames, InitialMask: discs(2), Interval: 1}).Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "masks of tracked objects") {
		t.Error(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}
