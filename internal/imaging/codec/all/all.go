// Package all registers every image format.
package all

import (
	_ "comfygo/internal/imaging/codec/bmp"
	_ "comfygo/internal/imaging/codec/gif"
	_ "comfygo/internal/imaging/codec/heif"
	_ "comfygo/internal/imaging/codec/jpeg"
	_ "comfygo/internal/imaging/codec/pcx"
	_ "comfygo/internal/imaging/codec/png"
	_ "comfygo/internal/imaging/codec/pnm"
	_ "comfygo/internal/imaging/codec/tga"
	_ "comfygo/internal/imaging/codec/tiff"
	_ "comfygo/internal/imaging/codec/webp"
)
