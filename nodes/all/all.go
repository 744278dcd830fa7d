// Package all links every family of nodes into the default registry, and defines the order in which they are listed. It
// must not know what any of them does.
package all

import (
	_ "comfygo/nodes/audio"         // nodes_audio.py
	_ "comfygo/nodes/conditioning"  // nodes.py
	_ "comfygo/nodes/dataset"       // nodes_dataset.py
	_ "comfygo/nodes/depthanything" // nodes_depth_anything_3.py
	_ "comfygo/nodes/image"         // nodes.py, nodes_images.py
	_ "comfygo/nodes/inpaint"       // nodes.py, nodes_ip2p.py, nodes_differential_diffusion.py
	_ "comfygo/nodes/latent"        // nodes.py, nodes_latent.py
	_ "comfygo/nodes/loaders"       // nodes.py
	_ "comfygo/nodes/logic"         // nodes_logic.py, nodes_primitive.py, nodes_preview_any.py
	_ "comfygo/nodes/ltxv"          // nodes_lt.py
	_ "comfygo/nodes/mask"          // nodes_mask.py
	_ "comfygo/nodes/merging"       // nodes_model_merging.py
	_ "comfygo/nodes/mesh"          // nodes_save_3d.py, nodes_load_3d.py, nodes_mesh_postprocess.py
	_ "comfygo/nodes/moge"          // nodes_moge.py
	_ "comfygo/nodes/patches"
	_ "comfygo/nodes/sam3"       // nodes_sam3.py
	_ "comfygo/nodes/sampling"   // nodes.py
	_ "comfygo/nodes/splat"      // nodes_gaussian_splat.py
	_ "comfygo/nodes/text"       // nodes_string.py
	_ "comfygo/nodes/trellis2"   // nodes_trellis2.py
	_ "comfygo/nodes/triposplat" // nodes_triposplat.py
	_ "comfygo/nodes/video"      // nodes_video.py
	_ "comfygo/nodes/vision"     // nodes_bg_removal.py, nodes_rtdetr.py, nodes_mediapipe.py
	_ "comfygo/nodes/wan"        // nodes_wan.py
)
