// Package all links the model families. The order of the imports decides nothing: each family states its rank.
package all

import (
	_ "comfygo/engine/family/auraflow"
	_ "comfygo/engine/family/chroma"
	_ "comfygo/engine/family/clip"
	_ "comfygo/engine/family/clipvision"
	_ "comfygo/engine/family/cogvideo"
	_ "comfygo/engine/family/controlnet"
	_ "comfygo/engine/family/cosmos"
	_ "comfygo/engine/family/esrgan"
	_ "comfygo/engine/family/flux"
	_ "comfygo/engine/family/kl"
	_ "comfygo/engine/family/known"
	_ "comfygo/engine/family/ltxv"
	_ "comfygo/engine/family/lumina"
	_ "comfygo/engine/family/mochi"
	_ "comfygo/engine/family/pixart"
	_ "comfygo/engine/family/sd15"
	_ "comfygo/engine/family/sd2"
	_ "comfygo/engine/family/sd3"
	_ "comfygo/engine/family/sdxl"
	_ "comfygo/engine/family/stableaudio"
	_ "comfygo/engine/family/t5"
	_ "comfygo/engine/family/taehv"
	_ "comfygo/engine/family/taesd"
	_ "comfygo/engine/family/wan"
)
