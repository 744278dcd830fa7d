// Package geometry holds the values of MESH, VOXEL, SPLAT and FILE_3D links that nodes pass to each other, and the code that
// all mesh algorithms share.
//
// The types of upstream's links and their values here:
//
//   - MESH: *Mesh, a batch of triangle meshes with per-vertex attributes, textures and a material.
//   - SPLAT: *Splats, a batch of Gaussian splats.
//   - VOXEL: *Voxels, a dense grid [B,D,H,W] or a list of occupied cells with attributes.
//   - FILE_3D, FILE_3D_GLB, FILE_3D_GLTF, FILE_3D_FBX, FILE_3D_OBJ, FILE_3D_STL, FILE_3D_USDZ, FILE_3D_PLY, FILE_3D_SPLAT,
//     FILE_3D_SPZ, FILE_3D_KSPLAT, FILE_3D_SPLAT_ANY, FILE_3D_POINT_CLOUD_ANY: *File, a file on disk or in memory with the name
//     of its format.
//   - LOAD3D_CAMERA, LOAD3D_MODEL_INFO, LOAD_3D: JSON as the front end sends it (*pyjson.Object and []any).
//
// Coordinates are right-handed with Y up, as in glTF. Values that have been passed on are never changed. Algorithms are in
// packages below this one; none of them depends on nodes, HTTP or folders.
package geometry
