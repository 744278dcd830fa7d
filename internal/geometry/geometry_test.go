package geometry_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
)

func triangle() geometry.Item {
	return geometry.Item{Vertices: []float32{0, 0, 0, 1, 0, 0, 0, 1, 0}, Faces: []int32{0, 1, 2}}
}

func TestMeshCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		change     func(m *geometry.Mesh)
	}{
		{"good", "", func(*geometry.Mesh) {}},
		{"no items", "batch is empty", func(m *geometry.Mesh) { m.Items = nil }},
		{"index", "face 0 refers to vertex 3", func(m *geometry.Mesh) { m.Items[0].Faces = []int32{0, 1, 3} }},
		{"negative index", "face 0 refers to vertex -1", func(m *geometry.Mesh) { m.Items[0].Faces = []int32{0, -1, 2} }},
		{"NaN", "finite", func(m *geometry.Mesh) { m.Items[0].Vertices[4] = float32(math.NaN()) }},
		{"UVs", "texture coordinates have 2 values", func(m *geometry.Mesh) { m.Items[0].UVs = []float32{0, 0} }},
		{"half a triangle", "no whole", func(m *geometry.Mesh) { m.Items[0].Faces = []int32{0, 1} }},
		{"channels", "2 channels", func(m *geometry.Mesh) { m.Items[0].Colors, m.Items[0].Channels = make([]float32, 6), 2 }},
		{"some items", "all items or for none", func(m *geometry.Mesh) {
			m.Items = append(m.Items, triangle())
			m.Items[1].Normals = make([]float32, 9)
		}},
		{"texture", "want [B,H,W,3]", func(m *geometry.Mesh) { m.Texture = tensor.New(2, 2, 3) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &geometry.Mesh{Items: []geometry.Item{triangle()}}
			c.change(m)
			err := m.Check()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestVoxelChecks(t *testing.T) {
	t.Parallel()
	dense := &geometry.Voxels{Grid: tensor.New(1, 2, 2, 2)}
	cells := &geometry.Voxels{Cells: []int32{0, 1, 2}, Colors: tensor.New(1, 3), Resolution: 4}
	if err := dense.CheckGrid(); err != nil {
		t.Error(err)
	}
	if err := cells.CheckCells(); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"nil": (*geometry.Voxels)(nil).CheckGrid(), "cells as a grid": cells.CheckGrid(), "a grid as cells": dense.CheckCells(),
		"no resolution": (&geometry.Voxels{Cells: []int32{0, 1, 2}, Colors: tensor.New(1, 3)}).CheckCells(),
		"no colors":     (&geometry.Voxels{Cells: []int32{0, 1, 2}, Resolution: 4}).CheckCells(),
		"few colors":    (&geometry.Voxels{Cells: []int32{0, 1, 2}, Colors: tensor.New(2, 3), Resolution: 4}).CheckCells(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.GLB")
	if err := os.WriteFile(path, []byte("glTF"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*geometry.File{geometry.Disk(path), geometry.Memory([]byte("glTF"), ".GLB")} {
		data, err := f.Bytes(4)
		if err != nil || string(data) != "glTF" || f.Format() != "glb" {
			t.Errorf("have %q, format %q, error %v", data, f.Format(), err)
		}
		if _, err := f.Bytes(3); err == nil {
			t.Error("a file beyond the limit is read")
		}
	}
	if _, err := geometry.Disk(filepath.Dir(path)).Open(); err == nil {
		t.Error("a folder is opened")
	}
}
