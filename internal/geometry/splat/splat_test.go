package splat_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/splat"
)

func free(int64) error { return nil }

// one is an item of one Gaussian.
func one() geometry.SplatItem {
	return geometry.SplatItem{
		Positions: []float32{0.5, -1, 2}, Scales: []float32{0.1, 0.4, 0.2}, Rotations: []float32{0.5, 0.5, -0.5, 0.5},
		Opacities: []float32{0.75}, SH: []float32{1, 0, -1}, K: 1,
	}
}

// spread is the covariance of the first Gaussian.
func spread(it *geometry.SplatItem) (cov [3][3]float64) {
	q := it.Rotations
	w, x, y, z := float64(q[0]), float64(q[1]), float64(q[2]), float64(q[3])
	r := [3][3]float64{
		{1 - 2*(y*y+z*z), 2 * (x*y - w*z), 2 * (x*z + w*y)}, {2 * (x*y + w*z), 1 - 2*(x*x+z*z), 2 * (y*z - w*x)}, {2 * (x*z - w*y), 2 * (y*z + w*x), 1 - 2*(x*x+y*y)},
	}
	for a := range 3 {
		for b := range 3 {
			for k := range 3 {
				cov[a][b] += r[a][k] * r[b][k] * float64(it.Scales[k]) * float64(it.Scales[k])
			}
		}
	}
	return cov
}

// TestStretch compares the covariance of a Gaussian that is stretched with what stretching makes of it.
func TestStretch(t *testing.T) {
	t.Parallel()
	it := one()
	out, err := splat.Transform(t.Context(), &it, [3]float64{1, 2, 3}, [3]float64{0, 0, 90}, [3]float64{2, 0.5, 3})
	if err != nil {
		t.Fatal(err)
	}
	before, after := spread(&it), spread(&out)
	m := [3][3]float64{{0, -2, 0}, {0.5, 0, 0}, {0, 0, 3}} // a quarter turn around Z, then the scales
	for a := range 3 {
		for b := range 3 {
			want := 0.0
			for i := range 3 {
				for k := range 3 {
					want += m[a][i] * before[i][k] * m[b][k]
				}
			}
			if d := math.Abs(after[a][b] - want); d > 1e-6 {
				t.Errorf("covariance %d,%d is %v, want %v", a, b, after[a][b], want)
			}
		}
	}
	for a, want := range []float32{3, 2.25, 9} {
		if d := math.Abs(float64(out.Positions[a] - want)); d > 1e-6 {
			t.Errorf("position %d is %v, want %v", a, out.Positions[a], want)
		}
	}
}

// TestFiles reads what was written.
func TestFiles(t *testing.T) {
	t.Parallel()
	it := one()
	for _, format := range []string{"ply", "ksplat", "spz"} {
		data, err := splat.Write(t.Context(), &it, format)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{format, "glb"} { // the content tells where the name does not
			got, err := splat.Read(t.Context(), data, name, free)
			if err != nil {
				t.Fatal(err)
			}
			tolerance := map[string]float64{"ply": 1e-6, "ksplat": 1.0 / 255, "spz": 0.02}[format]
			for i, v := range got.Positions {
				if d := math.Abs(float64(v - it.Positions[i])); d > tolerance {
					t.Errorf("%s: position %d is off by %v", format, i, d)
				}
			}
			for i, v := range got.Color(0) {
				if d := math.Abs(float64(v - it.Color(0)[i])); d > tolerance {
					t.Errorf("%s: color %d is off by %v", format, i, d)
				}
			}
			if d := math.Abs(float64(got.Opacities[0] - it.Opacities[0])); d > tolerance {
				t.Errorf("%s: the opacity is off by %v", format, d)
			}
			a, b := spread(&got), spread(&it)
			for i := range 9 {
				if d := math.Abs(a[i/3][i%3] - b[i/3][i%3]); d > tolerance {
					t.Errorf("%s: covariance %d is off by %v", format, i, d)
				}
			}
		}
	}
}

// packed is an SPZ file that announces n splats and has the given body.
func packed(version, n uint32, body []byte) []byte {
	raw := binary.LittleEndian.AppendUint32(nil, 0x5053474E)
	raw = binary.LittleEndian.AppendUint32(raw, version)
	raw = binary.LittleEndian.AppendUint32(raw, n)
	raw = append(append(raw, 0, 12, 0, 0), body...)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(raw) // to memory
	_ = z.Close()
	return b.Bytes()
}

// kfile is a KSPLAT file of a level with one section of the given words.
func kfile(level uint16, size int, words ...uint32) []byte {
	data := make([]byte, 4096+1024+size)
	data[1] = 1
	binary.LittleEndian.PutUint32(data[4:], 1)
	binary.LittleEndian.PutUint16(data[20:], level)
	for i, w := range words {
		binary.LittleEndian.PutUint32(data[4096+4*i:], w)
	}
	return data
}

// TestBadFiles: files that say more than they hold end in errors before memory is taken.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	header := func(lines string) []byte {
		return []byte("ply\nformat binary_little_endian 1.0\n" + lines + "end_header\n")
	}
	small := func(bytes int64) error {
		if bytes > 1<<20 {
			return errors.New("too much")
		}
		return nil
	}
	for name, c := range map[string]struct {
		format string
		data   []byte
		want   string
	}{
		"ply huge":            {"ply", header("element vertex 4000000000\nproperty float x\n"), "ends early"},
		"ply negative":        {"ply", header("element vertex -1\nproperty float x\n"), "vertices"},
		"ply no number":       {"ply", header("element vertex many\nproperty float x\n"), "many"},
		"ply short line":      {"ply", header("element vertex\n"), "the line"},
		"ply list":            {"ply", header("element vertex 1\nproperty list uchar int x\n"), "list"},
		"ply twice":           {"ply", header("element vertex 1\nproperty float x\nproperty float x\n"), "twice"},
		"ply none":            {"ply", header("element vertex 1\n"), "no properties"},
		"ply no end":          {"ply", bytes.Repeat([]byte("ply\n"), 1<<19), "end_header"},
		"ply half a rotation": {"ply", append(header("element vertex 1\nproperty uchar x\nproperty uchar y\nproperty uchar z\nproperty uchar rot_0\n"), 1, 2, 3, 4), "rot_1"},
		"ply coefficients":    {"ply", append(header("element vertex 1\nproperty uchar x\nproperty uchar y\nproperty uchar z\nproperty uchar f_dc_0\nproperty uchar f_dc_1\nproperty uchar f_dc_2\nproperty uchar f_rest_0\n"), make([]byte, 7)...), "multiple of 3"},
		"spz bomb":            {"spz", packed(2, 4_000_000_000, nil), "ends early"},
		"spz zeros":           {"spz", packed(2, 100_000, make([]byte, 2_000_000)), "too much"},
		"spz short":           {"spz", packed(3, 100, make([]byte, 100)), "EOF"},
		"ksplat sections":     {"ksplat", append(make([]byte, 4), append([]byte{255, 255, 255, 255}, make([]byte, 5000)...)...), "sections"},
		"ksplat level":        {"ksplat", kfile(3, 0, 1, 1), "level"},
		"ksplat room":         {"ksplat", kfile(0, 100, 2, 1), "room"},
		"ksplat end":          {"ksplat", kfile(0, 100, 3, 4_000_000_000), "beyond"},
		"ksplat bucket":       {"ksplat", kfile(1, 100, 1, 1, 1, 0, 0, 0, 0, 0, 1), "bucket 0 of 0"},
		"ksplat partial":      {"ksplat", kfile(1, 100, 1, 1, 1, 1), "fewer splats"},
		"ksplat buckets":      {"ksplat", kfile(2, 100, 1, 1, 1, 4_000_000_000), "beyond"},
		"ksplat none":         {"ksplat", kfile(0, 100), "no splats"},
		"ksplat short":        {"ksplat", []byte{0, 1}, "shorter"},
		"unknown":             {"zip", []byte("PK\x03\x04x"), "not a PLY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := splat.Read(t.Context(), c.data, c.format, small); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestBehind renders what is behind the camera, without extent or of another point of view: nothing but the background.
func TestBehind(t *testing.T) {
	t.Parallel()
	flat := one()
	flat.Scales = []float32{0, 0, 0}
	far := one()
	far.Positions = []float32{3e38, 0, 1}
	behind := one()
	behind.Positions = []float32{0, 0, -9}
	for _, it := range []geometry.SplatItem{flat, far, behind, {K: 1}} {
		c := splat.Camera{FOV: 35, Zoom: 1, Target: [3]float64{0, 0, -1}}
		img, mask, err := splat.Render(t.Context(), &it, c, splat.Rendering{Width: 4, Height: 3, Scale: 1, Sharpen: 2, Style: "color", Background: [3]float32{0.25, 0.5, 1}})
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range mask {
			if m != 0 || img[3*i] != 0.25 || img[3*i+2] != 1 {
				t.Fatalf("pixel %d is %v, covered by %v", i, img[3*i:3*i+3], m)
			}
		}
	}
}

// TestInterrupted: rendering and meshing end with their context.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	it := one()
	camera, err := splat.Framed(t.Context(), &it)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := splat.Render(ctx, &it, camera, splat.Rendering{Width: 8, Height: 8, Scale: 1, Sharpen: 1, Style: "clay"}); !errors.Is(err, context.Canceled) {
		t.Errorf("rendering: %v", err)
	}
	if _, err := splat.Mesh(ctx, &it, splat.Meshing{Resolution: 64, Kernel: 3, Level: 1}, free, func(float64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("meshing: %v", err)
	}
	if _, err := splat.Mesh(t.Context(), &it, splat.Meshing{Resolution: 768, Kernel: 3, Level: 1}, func(int64) error { return errors.New("full") }, func(float64) {}); err == nil {
		t.Error("the grid took memory that it did not get")
	}
}

// FuzzRead reads files of untrusted users: an item that fits together, or an error.
func FuzzRead(f *testing.F) {
	it := one()
	for _, format := range []string{"ply", "ksplat", "spz"} {
		data, err := splat.Write(f.Context(), &it, format)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, format)
	}
	f.Add(make([]byte, 64), "splat")
	f.Add(kfile(1, 200, 2, 3, 1, 2, 0, 12, 0, 0, 1, 1), "ksplat")
	f.Add(packed(3, 2, make([]byte, 40)), "")
	f.Fuzz(func(t *testing.T, data []byte, format string) {
		it, err := splat.Read(t.Context(), data, format, func(bytes int64) error {
			if bytes > 1<<22 {
				return errors.New("too much")
			}
			return nil
		})
		if err != nil {
			return
		}
		if err := (&geometry.Splats{Items: []geometry.SplatItem{it}}).Check(); err != nil {
			t.Error(err)
		}
	})
}
