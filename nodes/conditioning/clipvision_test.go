package conditioning_test

import (
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
)

// TestCLIPVisionEncodeWithoutEncoder: what a checkpoint without its image encoder gives is refused in words.
func TestCLIPVisionEncodeWithoutEncoder(t *testing.T) {
	t.Parallel()
	n := &conditioning.CLIPVisionEncode{Image: tensor.New(1, 8, 8, 3), Crop: "center"}
	_, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err == nil || !strings.Contains(err.Error(), "as from a checkpoint that holds none") {
		t.Error(err)
	}
}
