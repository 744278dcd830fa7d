package image

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
)

// hills are the maps of testdata/heatmaps.py.
func hills() *tensor.Tensor {
	const w, h = 12, 16
	maps := tensor.New(posePoints, h, w)
	for k := range posePoints {
		cx, cy := math.Mod(float64(k)*1.7, w-1), math.Mod(float64(k)*2.3+0.4, h-1)
		height, wide := 0.4+0.6*float64(k*7%10)/10, 1.5+0.1*float64(k%5)
		for i := range h * w {
			x, y := float64(i%w), float64(i/w)
			v := height*math.Exp(-((x-cx)*(x-cx)+(y-cy)*(y-cy))/(2*wide*wide)) + 0.01*math.Sin(x*0.9+float64(k))*math.Cos(y*0.7)
			if k == 20 {
				v = -math.Abs(v) - 0.1
			}
			maps.Data[k*h*w+i] = float32(v)
		}
	}
	return maps
}

// TestHeatmapsEqualUpstream compares points and their form as OpenPose has it with what testdata/heatmaps.py recorded. Points may be off by
// 2e-3 pixels: where a map is flat, its curvature is the difference of nearly equal logarithms.
func TestHeatmapsEqualUpstream(t *testing.T) {
	t.Parallel()
	var want struct {
		Points []float64
		Person map[string][]float64
	}
	raw, err := os.ReadFile("testdata/heatmaps.json")
	if err == nil {
		err = json.Unmarshal(raw, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	points := decodeHeatmaps(hills())
	if len(want.Points) != 3*len(points) {
		t.Fatalf("%d points, want %d values", len(points), len(want.Points))
	}
	const near = 2e-3
	for i, p := range points {
		for k, v := range []float32{p.x, p.y, p.score} {
			if d := math.Abs(float64(v) - want.Points[3*i+k]); !(d < near) {
				t.Errorf("point %d, value %d: %v, want %v", i, k, v, want.Points[3*i+k])
			}
		}
	}
	person := openPose(points)
	for name, list := range want.Person {
		v, _ := person.Get(name)
		got, _ := v.([]any)
		if len(got) != len(list) {
			t.Errorf("%s: %d values, want %d", name, len(got), len(list))
			continue
		}
		for i, x := range got {
			if f, ok := x.(float64); !ok || !(math.Abs(f-list[i]) < near) {
				t.Errorf("%s, value %d: %v, want %v", name, i, x, list[i])
			}
		}
	}
	if frames, err := posesOf([]any{pyjson.NewObject("canvas_width", int64(48), "canvas_height", int64(64), "people", []any{person})}); err != nil || len(frames) != 1 {
		t.Errorf("the other classes do not read it: %v", err)
	}
}

// TestBrokenHeatmaps holds that maps of no value and of NaN give no point and no panic.
func TestBrokenHeatmaps(t *testing.T) {
	t.Parallel()
	maps := tensor.New(2, 1, 1)
	maps.Data[1] = float32(math.NaN())
	for i, p := range decodeHeatmaps(maps) {
		if p.x != -1 || p.y != -1 {
			t.Errorf("map %d: %+v", i, p)
		}
	}
}
