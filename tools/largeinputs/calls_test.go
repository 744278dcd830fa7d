package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"comfygo/folders"
	"comfygo/nodes"
)

// large are classes whose work follows an option and not the mesh alone; their packages have tests of interrupts.
var large = []string{"RemeshMesh", "BakeTextureFromVoxel", "BakeNormalMapFromMesh", "BakeAmbientOcclusion", "SplatToMesh", "RenderMesh", "RenderSplat"}

// quick are classes that pass values on or write files of the length of their input.
var quick = []string{
	"GetMeshInfo", "MeshTextureToImage", "ApplyTextureToMesh", "GetSplatCount", "Save3DAdvanced", "Preview3D", "Preview3DAdvanced",
	"SaveGaussianSplat", "PreviewGaussianSplat", "SavePointCloud", "PreviewPointCloud",
}

// stopped ends at the n-th look for an interrupt.
type stopped struct {
	context.Context
	mu          sync.Mutex // nodes look from several goroutines
	looks, stop int
}

var errStop = errors.New("stop")

// Err implements context.Context.
func (c *stopped) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	if c.stop >= 0 && c.looks > c.stop {
		return errStop
	}
	return nil
}

// Value implements context.Context; the cause of the end is Err's.
func (c *stopped) Value(key any) any {
	if _, ok := key.(*int); ok {
		return nil
	}
	return c.Context.Value(key)
}

// TestInterrupted: each class on meshes and splats looks for an interrupt and ends with it, wherever it is, after few more looks.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	const after = 64
	for i, c := range slices.Concat(meshCalls, splatCalls) {
		if slices.Contains(large, c.Class) || slices.Contains(quick, c.Class) {
			continue
		}
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			all := &stopped{Context: t.Context(), stop: -1}
			if err := runWith(all, t, i); err != nil {
				t.Fatal(err)
			}
			if all.looks < 1 {
				t.Fatal("it never looks for an interrupt")
			}
			for part := range 5 {
				s := &stopped{Context: t.Context(), stop: part * (all.looks - 1) / 4}
				if err := runWith(s, t, i); !errors.Is(err, errStop) {
					t.Errorf("interrupted at look %d of %d: %v", s.stop, all.looks, err)
				}
				if s.looks > s.stop+after {
					t.Errorf("interrupted at look %d, it went on for %d", s.stop, s.looks-s.stop)
				}
			}
		})
	}
}

// TestTensorsLook: classes that work for long on one image, latent or sound look for an interrupt within it, at least so many times for so many
// values, and end with it.
func TestTensorsLook(t *testing.T) { //nolint:paralleltest // it sets the number of images
	several = 1 // image of a batch
	for _, c := range []struct {
		class       string
		size, looks int
	}{
		{"LatentAdd", 12_000_000, 3},
		{"LatentSubtract", 12_000_000, 3},
		{"LatentMultiply", 12_000_000, 3},
		{"LatentBlend", 12_000_000, 3},
		{"LatentInterpolate", 12_000_000, 15},
		{"LatentComposite", 12_000_000, 16},
		{"SaveAudio", 1_000_000, 100},
		{"PreviewAudio", 1_000_000, 100},
		{"AudioMerge", 12_000_000, 12},
		{"AudioAdjustVolume", 12_000_000, 3},
		{"WanDancerEncodeAudio", 1_000_000, 1000},
		{"Canny", 1_000_000, 1000},
		{"ImageHistogram", 3_000_000, 15},
		{"ImageScaleBy", 1_000_000, 500},
		{"ImageCropToMask", 1_000_000, 500},
		{"ImageStitch", 1_000_000, 3},
		{"SeedVR2PostProcessing", 1_000_000, 500},
	} {
		t.Run(c.class, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(tensorCalls, func(e call) bool { return e.Class == c.class })
			if i < 0 {
				t.Fatal("there is no such call")
			}
			all := &stopped{Context: t.Context(), stop: -1}
			if err := made(all, t, tensorCalls[i], c.size); err != nil {
				t.Fatal(err)
			}
			if all.looks < c.looks {
				t.Errorf("%d looks for %d values, want at least %d", all.looks, c.size, c.looks)
			}
			for _, part := range []int{1, 2} {
				s := &stopped{Context: t.Context(), stop: part * (all.looks - 1) / 3}
				if err := made(s, t, tensorCalls[i], c.size); !errors.Is(err, errStop) {
					t.Errorf("interrupted at look %d of %d: %v", s.stop, all.looks, err)
				}
				if most := s.stop + max(all.looks/4, 8); s.looks > most {
					t.Errorf("interrupted at look %d of %d, it went on for %d", s.stop, all.looks, s.looks-s.stop)
				}
			}
		})
	}
}

// TestCallsThatAreNone refuses numbers beyond the list.
func TestCallsThatAreNone(t *testing.T) {
	t.Parallel()
	if err := run([]string{"-one", "100000", "-size", "10"}, io.Discard); err == nil || !strings.Contains(err.Error(), "there are calls 0 to") {
		t.Error(err)
	}
}

func runWith(ctx context.Context, t *testing.T, number int) error {
	t.Helper()
	const size = 400
	return made(ctx, t, slices.Concat(meshCalls, splatCalls)[number], size)
}

func made(ctx context.Context, t *testing.T, c call, size int) error {
	t.Helper()
	class, ok := nodes.Default().Get(c.Class)
	if !ok {
		t.Fatalf("there is no class %s", c.Class)
	}
	values, err := c.inputs(size)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	n, err := class.Bind(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Run(nodes.NewContext(ctx, nodes.Call{ID: "1", Services: nodes.Services{Folders: fs}, Inputs: values}))
	return err
}
