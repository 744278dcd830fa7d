// Package features reports to clients what the server supports.
package features

import (
	"log/slog"

	"comfygo/server/reply"
)

// Service handles GET /features; the same flags are sent to each WebSocket client.
type Service struct {
	Reply *reply.Service
	// Assets reports whether the asset API is enabled.
	Assets bool
	// FeatureFlags are the values of --feature-flag, KEY or KEY=VALUE.
	FeatureFlags []string
	// ComfyAPIBase is the value of --comfy-api-base.
	ComfyAPIBase string
	// MaxUploadSize bounds request bodies, in MB of 1048576 bytes.
	MaxUploadSize float64
	Log           *slog.Logger
}
