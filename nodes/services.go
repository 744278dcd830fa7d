package nodes

import (
	"comfygo/engine"
	"comfygo/engine/preview"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
)

// Services are what nodes reach through their context.
type Services struct {
	// Folders says where models, inputs and outputs are.
	Folders *folders.Folders
	// Engine loads and runs models.
	Engine *engine.Runtime
	// Memory is the budget that large allocations are taken from; nil has no bound.
	Memory Memory
	// FFmpeg reads and writes media files; nil looks for the programs on PATH.
	FFmpeg *ffmpeg.Tool
	// Elsewhere has the classes of another process; nil where there is no such process.
	Elsewhere Elsewhere
	// Metadata is false when images must not carry the prompt (--disable-metadata).
	Metadata bool
	// Preview says how the work of samplers is shown.
	Preview preview.Settings
}
