package nodes

import (
	"comfygo/engine"
	"comfygo/engine/preview"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
)

// Services are the services that nodes reach through their context.
type Services struct {
	// Folders holds the folders of models, inputs and outputs.
	Folders *folders.Folders
	// Engine loads and runs models.
	Engine *engine.Runtime
	// Memory is the budget that large allocations are taken from; nil has no bound.
	Memory Memory
	// FFmpeg reads and writes media files; nil looks for the programs on PATH.
	FFmpeg *ffmpeg.Tool
	// Elsewhere has the classes of another process; nil without one.
	Elsewhere Elsewhere
	// Metadata is false when images must not carry the prompt (--disable-metadata).
	Metadata bool
	// Int8 reports that diffusion models multiply in 8-bit integers (--cpu-int8), which metadata of results tell.
	Int8 bool
	// Preview configures the previews of samplers.
	Preview preview.Settings
}
