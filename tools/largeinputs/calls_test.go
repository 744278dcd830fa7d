package main

import (
	"context"
	"errors"
	"slices"
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

func runWith(ctx context.Context, t *testing.T, number int) error {
	t.Helper()
	const size = 400
	c := slices.Concat(meshCalls, splatCalls)[number]
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
