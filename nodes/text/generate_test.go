package text_test

import (
	"strings"
	"testing"

	"comfygo/nodes"
	"comfygo/nodes/text"
)

func TestGenerateWithoutModel(t *testing.T) {
	t.Parallel()
	for _, n := range []nodes.Node{&text.TextGenerate{}, &text.TextGenerateLTX2Prompt{}} {
		_, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err == nil || !strings.Contains(err.Error(), "no text encoder") {
			t.Errorf("%T: %v", n, err)
		}
	}
}
