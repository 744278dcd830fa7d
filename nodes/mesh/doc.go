// Package mesh has the classes that make, load, save, show and edit 3D meshes: comfy_extras.nodes_save_3d, nodes_load_3d,
// nodes_mesh_postprocess and the voxel classes of nodes_hunyuan3d.
//
// The values of their links and the algorithms are in package internal/geometry and below it.
package mesh

import (
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/nodes"
)

// check refuses invalid meshes.
func check(input string, m *geometry.Mesh) error {
	if err := m.Check(); err != nil {
		return nodes.Errorf("ValueError", "reading the input %s: %w", input, err)
	}
	return nil
}

// checkImage refuses values that are not image batches [B,H,W,C].
func checkImage(input string, t *tensor.Tensor) error {
	if t == nil || len(t.Shape) != 4 || tensor.Count(t.Shape) == 0 || len(t.Data) != tensor.Count(t.Shape) {
		return nodes.Errorf("ValueError", "reading the input %s: it is not an image batch [B,H,W,C] with at least one pixel", input)
	}
	return nil
}
