// Package splat has the classes for Gaussian splats and point clouds: comfy_extras.nodes_gaussian_splat and what
// nodes_save_3d and nodes_load_3d have for their files.
//
// The values of SPLAT links are in package internal/geometry, files, rendering and meshing in internal/geometry/splat.
package splat
